"""Where a message is handed over, and who hands it over: server, security, login."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from valija.errors import InputError
from valija.messages import _


class Security(StrEnum):
    """How a connection is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}


@dataclass(frozen=True)
class Server:
    """A submission server (RFC 6409). `ca_file`: PEM file of the roots to trust in place of the system's."""

    host: str
    port: int = 587
    security: Security = Security.STARTTLS
    ca_file: Path | None = None

    @classmethod
    def parse(cls, text: str, security: Security | None = None, ca_file: Path | None = None) -> Server:
        """`host`, `host:port`, `[2001:db8::1]:port`.

        Without `security`: TLS at once on port 465, else STARTTLS, which must succeed; never none. Without a port:
        the one of the security (587, 465, 25).
        """
        found = re.fullmatch(r"(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\s:\[\]/@]+))(?::(?P<port>\d{1,5}))?", text)
        port = int(found["port"]) if found and found["port"] else None
        if not found or (port is not None and not 0 < port < 65536):
            words = _("{value}: not a server. Write smtp.example.org:587, or [2001:db8::1]:587.")
            raise InputError(words.format(value=text))
        host = found["six"] or found["host"]
        if security is None:
            security = Security.TLS if port == PORTS[Security.TLS] else Security.STARTTLS
        return cls(host, port or PORTS[security], security, ca_file)

    @property
    def loopback(self) -> bool:
        """Whether it is this machine, so that nothing goes over a network."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    def tls_context(self) -> ssl.SSLContext:
        """Verifies certificate and host name, TLS 1.2 at least; raises InputError for a bad `ca_file`."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            words = _("{path}: no certificates can be read from it: {why}. Give a PEM file.")
            why = getattr(error, "strerror", None) or error
            raise InputError(words.format(path=self.ca_file, why=why)) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


@dataclass(frozen=True)
class Login:
    """A user name with a password or, if `token`, an OAuth 2.0 access token.

    `mechanism`: PLAIN, LOGIN or XOAUTH2; empty: the first of them that the server offers and that fits.
    """

    user: str
    secret: str = field(repr=False)
    token: bool = False
    mechanism: str = ""

    def __post_init__(self) -> None:
        if not self.user or not self.secret:
            raise InputError(_("A login needs a user name and a password or token, and one of them is empty."))
        if any(sign in self.user + self.secret for sign in "\0\1\r\n"):
            raise InputError(_("The user name, the password or the token holds a control character."))
        if self.mechanism and (self.mechanism == "XOAUTH2") != self.token:
            words = _("{mechanism} takes {what}.")
            what = _("a token, not a password") if self.mechanism == "XOAUTH2" else _("a password, not a token")
            raise InputError(words.format(mechanism=self.mechanism, what=what))


class Notify(StrEnum):
    """When a report of delivery is wanted (RFC 3461 section 4.1)."""

    SUCCESS = "success"
    FAILURE = "failure"
    DELAY = "delay"
    NEVER = "never"


@dataclass(frozen=True)
class Reports:
    """Delivery reports asked for: when, and whether they bring back the `headers` or the `full` message."""

    when: Sequence[Notify]
    brings: str = ""

    @classmethod
    def parse(cls, text: str, brings: str = "") -> Reports:
        """`success,failure,delay` in any choice, or `never`."""
        words = [word.strip().lower() for word in text.split(",")]
        if not set(words) <= set(Notify) or len(set(words)) != len(words):
            raise InputError(_("--dsn {value}: give success, failure, delay, or never.").format(value=text))
        if Notify.NEVER in words and len(words) > 1:
            raise InputError(_("--dsn {value}: never stands alone.").format(value=text))
        return cls([Notify(word) for word in words], brings)


def check(server: Server, login: Login | None) -> None:
    """Raise InputError for a password that would go over a network in clear text (RFC 8314)."""
    if login and server.security is Security.NONE and not server.loopback:
        words = _(
            "A login without TLS would show the password to everybody on the way. Use --security starttls or tls."
        )
        raise InputError(words)
