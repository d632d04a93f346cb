"""The ports at which TLS begins, and how to stand before each of them: at once, or after the protocol's own command."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from valija.checks.site import Site
from valija.messages import _
from valija.probes import handshake, imap, pop3, smtp, tls, transcript
from valija.probes.handshake import Answer, Hello
from valija.probes.routes import TIMEOUT_SECONDS, Direct, Route, endpoint, join
from valija.probes.transcript import Recorder

T = TypeVar("T")

# The protocol of each service, and the command after which TLS begins; empty where it begins at once.
SERVICES = {
    "smtp": ("smtp", "STARTTLS"),
    "submission": ("smtp", "STARTTLS"),
    "submissions": ("smtp", ""),
    "imap": ("imap", "STARTTLS"),
    "imaps": ("imap", ""),
    "pop3": ("pop3", "STLS"),
    "pop3s": ("pop3", ""),
    "https": ("http", ""),
}
KINDS: dict[str, Any] = {"smtp": smtp.Session, "imap": imap.Session, "pop3": pop3.Session}
LOOPBACK = {"ipv4": "127.0.0.1", "ipv6": "::1"}

# This many doors are tried at once: few enough for any limit of connections from one address.
AT_ONCE = 8


class NotOfferedError(AssertionError):
    """The server does not turn to TLS at this port."""


@dataclass(frozen=True, eq=False)
class Door:
    """A port at which TLS begins; `name` is what the certificate must bear."""

    service: str
    port: int
    address: str
    name: str
    route: Route

    @property
    def protocol(self) -> str:
        return SERVICES[self.service][0]

    @property
    def starttls(self) -> str:
        return SERVICES[self.service][1]

    @property
    def loopback(self) -> bool:
        return self.route.vantage == "loopback"

    def __str__(self) -> str:
        return f"{self.service} ({join(self.address, self.port)})"

    def plain(self) -> Any:
        """A session of a STARTTLS port, before that command; for SMTP, EHLO has been said."""
        session = KINDS[self.protocol](self.address, self.port, route=self.route, server_name=self.name)
        if self.protocol == "smtp":
            session.say_ehlo()
        return session

    def before_tls(self) -> tuple[socket.socket, Recorder]:
        """The connection at the point where the ClientHello is due; NotOfferedError when there is no such point."""
        if not self.starttls:
            sock = self.route.connect(self.address, self.port, TIMEOUT_SECONDS)
            recorder = Recorder(self.protocol, join(self.address, self.port))
            recorder.client = endpoint(sock, peer=False) or self.route.vantage
            transcript.on_conversation(recorder)
            return sock, recorder
        session = self.plain()
        if self.protocol == "smtp":
            said = str(session.command(self.starttls))
            ready = said.startswith("220")
        elif self.protocol == "imap":
            said, lines = session.ask(self.starttls)
            ready = said == "OK"
            said = b" ".join(lines).decode("utf-8", "replace").strip()
        else:
            said = session.ask(self.starttls)[0]
            ready = said.startswith("+OK")
        if not ready:
            session.sock.close()
            raise NotOfferedError(_("{command} was answered {reply!r}.").format(command=self.starttls, reply=said))
        return session.sock, session.recorder

    def shake(self, hello: Hello, *, then: bytes = b"") -> Answer:
        """What the server answers to a ClientHello, see `handshake.shake`."""
        sock, recorder = self.before_tls()
        with sock:
            return handshake.shake(sock, hello, recorder, then=then)

    def secured(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        """The connection after the handshake of this machine's own library."""
        sock, recorder = self.before_tls()
        try:
            return tls.wrapped(sock, context, self.name, recorder)
        except OSError:
            sock.close()
            raise

    def session(self, context: ssl.SSLContext) -> Any:
        """A session of the protocol inside TLS; SMTP has not said EHLO there yet."""
        if not self.starttls:
            kind = KINDS[self.protocol]
            return kind(self.address, self.port, route=self.route, tls=context, server_name=self.name)
        session = self.plain()
        session.starttls(context)
        return session


def doors_of(site: Site, family: str, loopback: Route | None = None) -> list[Door]:
    """The doors that a site declares, by port; with `loopback`, a way there, also those for the host itself.

    What serves loopback is the same in both families, and the way there a long one: one family is asked.
    """
    return [
        Door(
            listener.service,
            listener.port,
            site.addresses[family] if listener.address == "any" else LOOPBACK[family],
            site.hostname,
            loopback if loopback and listener.address != "any" else Direct(),
        )
        for listener in sorted(site.listens, key=lambda listener: listener.port)
        if listener.service in SERVICES
        and (listener.address == "any" or (loopback is not None and family == site.families[0]))
    ]


def at_each(doors: Iterable[Door], look: Callable[[Door], T]) -> dict[Door, T]:
    """What is seen at each door, all tried side by side.

    A door for loopback alone that does not turn to TLS is left out: nobody outside meets it. Skips the check where this
    machine has no way to the address; AssertionError names the doors that do not answer.
    """

    def tried(door: Door) -> T | Exception:
        try:
            return look(door)
        except (AssertionError, OSError, EOFError) as error:
            return error

    doors = list(doors)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = dict(zip(doors, pool.map(tried, doors), strict=True))
    seen: dict[Door, T] = {}
    wrong = []
    for door, result in results.items():
        if not isinstance(result, Exception):
            seen[door] = result
        elif isinstance(result, OSError) and result.errno in (errno.ENETUNREACH, errno.EADDRNOTAVAIL):
            pytest.skip(_("this machine has no way to {address}").format(address=door.address))
        elif not (door.loopback and isinstance(result, NotOfferedError)):
            wrong.append(f"{door}: {result or type(result).__name__}")
    assert not wrong, "\n".join(wrong)
    assert seen, _("TLS begins at no port of this site.")
    return seen


def nothing_wrong(problems: dict[Door, list[str]]) -> None:
    """Assert that no door has a problem; the text has one line for each."""
    lines = [f"{door}: {problem}" for door, found in problems.items() for problem in found]
    assert not lines, "\n".join(lines)
