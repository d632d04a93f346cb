"""Real servers to send to: aiosmtpd with its behaviour told, and a socket that says what a script says."""

from __future__ import annotations

import socket
import ssl
import threading
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from aiosmtpd.smtp import Session as SmtpSession

DSN_PARAMETERS = ("RET=", "ENVID=", "NOTIFY=", "ORCPT=")


@dataclass
class Behaviour:
    """What a server offers and refuses: `refuses` maps MAIL, RCPT ADDRESS, DATA or AUTH to a reply."""

    refuses: dict[str, str] = field(default_factory=dict)
    offers: Sequence[str] = ("PIPELINING", "DSN", "ENHANCEDSTATUSCODES")
    hides: Sequence[str] = ()
    passwords: dict[str, str] = field(default_factory=lambda: {"alice": "right horse"})
    token: str = "ya29.good"
    smtputf8: bool = True
    size: int = 100_000
    tls: ssl.SSLContext | None = None
    starttls: ssl.SSLContext | None = None
    mechanisms_hidden: Sequence[str] = ()
    echoes_login: bool = False


class Recorded(SMTP):
    """Keeps what each connection received, segment by segment, deciphered; takes the parameters of DSN."""

    def __init__(self, handler: Handler, **options: Any) -> None:
        super().__init__(handler, **options)
        self.segments: list[bytes] = []
        handler.connections.append(self.segments)

    def data_received(self, data: bytes) -> None:
        self.segments.append(data)
        super().data_received(data)

    def _getparams(self, params: Sequence[str]) -> dict[str, str | bool] | None:
        found: dict[str, str | bool] | None = super()._getparams(
            [p for p in params if not p.startswith(DSN_PARAMETERS)]
        )
        return found


class Handler:
    """Behaves as it is told, and keeps the messages."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.connections: list[list[bytes]] = []
        self.envelopes: list[Envelope] = []

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: SmtpSession, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        kept = [one for one in responses if not one[4:].startswith(tuple(self.behaviour.hides) or ("-",))]
        return [kept[0], *(f"250-{keyword}" for keyword in self.behaviour.offers), *kept[1:]]

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, _session: SmtpSession, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "MAIL" in self.behaviour.refuses:
            return self.behaviour.refuses["MAIL"]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: SmtpSession, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        refused = self.behaviour.refuses.get(f"RCPT {address}", self.behaviour.refuses.get("RCPT"))
        if refused:
            return refused
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, _server: SMTP, _session: SmtpSession, envelope: Envelope) -> str:  # noqa: N802
        if "DATA" in self.behaviour.refuses:
            return self.behaviour.refuses["DATA"]
        self.envelopes.append(envelope)
        return "250 2.0.0 Ok: queued as 4TEST"

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: N802
        response = await server.challenge_auth("") if len(args) == 1 else b64decode(args[1])
        if response == f"user=alice\1auth=Bearer {self.behaviour.token}\1\1".encode():
            return AuthResult(success=True)
        await server.challenge_auth('{"status":"401","schemes":"bearer"}')
        return AuthResult(success=False, handled=False, message="535 5.7.8 Username and Password not accepted.")

    def authenticate(
        self, _server: SMTP, _session: SmtpSession, _envelope: Envelope, mechanism: str, data: LoginPassword
    ) -> AuthResult:
        user, password = data.login.decode(), data.password.decode()
        if "AUTH" in self.behaviour.refuses:
            return AuthResult(success=False, handled=False, message=self.behaviour.refuses["AUTH"])
        if self.behaviour.passwords.get(user) == password:
            return AuthResult(success=True, auth_data=data)
        said = f"535 5.7.8 Error: {mechanism} refused"
        return AuthResult(
            success=False, handled=False, message=said + (f" for {password}" if self.behaviour.echoes_login else "")
        )

    async def handle_exception(self, error: Exception) -> str:
        raise error


class Running(Controller):
    """A server in a thread, on a port that the system chose."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        super().__init__(Handler(behaviour), hostname="127.0.0.1", port=0, ssl_context=behaviour.tls)

    def factory(self) -> SMTP:
        return Recorded(
            self.handler,
            hostname="mail.example.org",
            ident="ESMTP",
            enable_SMTPUTF8=self.behaviour.smtputf8,
            data_size_limit=self.behaviour.size,
            tls_context=self.behaviour.starttls,
            auth_require_tls=self.behaviour.starttls is not None,
            auth_exclude_mechanism=self.behaviour.mechanisms_hidden,
            authenticator=self.handler.authenticate,
            loop=self.loop,
        )

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()
        self.handler.connections.clear()

    @property
    def received(self) -> bytes:
        """All octets that the clients sent."""
        return b"".join(segment for connection in self.handler.connections for segment in connection)

    @property
    def segments(self) -> list[bytes]:
        return [segment for connection in self.handler.connections for segment in connection]

    @property
    def message(self) -> Envelope:
        (envelope,) = self.handler.envelopes
        return envelope


@contextmanager
def running(behaviour: Behaviour) -> Iterator[Running]:
    """The server, until the block ends."""
    server = Running(behaviour)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@dataclass
class Scripted:
    """A listening socket that answers the n-th line (0: the connection itself) with the n-th reply.

    After the last reply it closes, or waits in silence for `silent_seconds`. What it was sent is in `lines`.
    """

    replies: Sequence[bytes]
    silent: bool = False
    port: int = 0
    lines: list[bytes] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def listening(self) -> Iterator[Scripted]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
            thread = threading.Thread(target=self._serve, args=(listener,))
            thread.start()
            try:
                yield self
            finally:
                self._end.set()
                thread.join()

    def _serve(self, listener: socket.socket) -> None:
        listener.settimeout(20)
        client, _address = listener.accept()
        with client, client.makefile("rb") as file:
            client.settimeout(20)
            try:
                for number, reply in enumerate(self.replies):
                    if number:
                        line = file.readline()
                        if not line:
                            return
                        self.lines.append(line)
                    client.sendall(reply)
                if self.silent:
                    self._end.wait(20)
            except OSError:
                return
