"""One connection of the client: the probes' recorded session, with TLS verified and every reply checked."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from dataclasses import dataclass, replace

from valija.client.server import Security, Server
from valija.messages import _
from valija.probes.routes import endpoint
from valija.probes.smtp import Reply, Session
from valija.probes.transcript import MASK, Recorder, Transcript

# Octets written at a time: the socket's timeout is for one of them, not for the whole message.
_CHUNK = 65536
_SHOWN_LINES = 40


@dataclass
class Course:
    """How far a sending has come: what is being done, and what was said; it outlives a connection that fails."""

    stage: str = "connect"
    recorder: Recorder | None = None


class ClosedError(OSError):
    """The server ended the connection without a reply."""


class GarbledError(OSError):
    """What came is no reply of SMTP."""


class RefusedError(Exception):
    """The server's reply at this stage is no."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class Connection(Session):
    """A connection whose greeting has been read; `features` holds what EHLO told, by upper-case keyword."""

    def __init__(self, server: Server, course: Course, *, timeout: float) -> None:
        self.server = server
        self.course = course
        self.features: dict[str, str] = {}
        self.secrets: list[str] = []
        try:
            super().__init__(server.host, server.port, timeout=timeout)
        except smtplib.SMTPServerDisconnected as error:
            self.close()
            raise ClosedError from error
        except BaseException:
            self.close()
            raise
        if self.greeting.code != 220:
            self.close()
            raise RefusedError(self.greeting)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        self.course.recorder = self.recorder
        sock = super()._get_socket(host, port, timeout)
        self.recorder.server = endpoint(sock, peer=True) or self.recorder.server
        if self.server.security is Security.TLS:
            sock = self._handshake(sock)
        self.course.stage = "greeting"
        return sock

    def _handshake(self, sock: socket.socket) -> ssl.SSLSocket:
        self.course.stage = "tls"
        with_tls = self.server.tls_context().wrap_socket(sock, server_hostname=self.server.host)
        cipher = with_tls.cipher()
        self.recorder.tls = with_tls.version()
        self.recorder.remark(f"{with_tls.version()} {cipher[0] if cipher else ''}")
        return with_tls

    def read_reply(self) -> Reply:
        """The next reply, without any secret that the server repeats; raises ClosedError and GarbledError."""
        reply = super().read_reply()
        if reply.closed:
            raise ClosedError
        if reply.code < 200 or reply.code > 599:
            raise GarbledError(reply.raw[-1][:80].decode("ascii", "backslashreplace").strip())
        return replace(reply, lines=tuple(scrubbed(line, self.secrets) for line in reply.lines))

    def command(self, line: str | bytes) -> Reply:
        """Send one line and read the reply; raises ClosedError also when the line could not be sent."""
        reply = super().command(line)
        if reply.closed:
            raise ClosedError
        return reply

    def ask(self, stage: str, line: str) -> Reply:
        """Send one line and read the reply."""
        self.course.stage = stage
        return self.command(line)

    def answer(self, text: str) -> Reply:
        """Answer a challenge of SASL; the transcript shows a mask."""
        self.recorder.secret_next = True
        return self.command(text)

    def hello(self, name: str) -> None:
        """EHLO, or HELO for a server without extensions (RFC 5321 section 3.2); raises RefusedError."""
        name = name or self._own_name()
        reply = self.ask("hello", f"EHLO {name}")
        if reply.code in (500, 502) and self.server.security is Security.NONE:
            reply = self.ask("hello", f"HELO {name}")
        if not reply.accepted:
            raise RefusedError(reply)
        said = [re.split(r"[ =]", line.strip(), maxsplit=1) for line in reply.lines[1:]]
        self.features = {}
        for keyword, *rest in said:
            known = self.features.get(keyword.upper(), "")
            self.features[keyword.upper()] = " ".join([known, *rest]).strip()

    def secure(self) -> None:
        """STARTTLS (RFC 3207); what the server had said before is forgotten. Raises RefusedError, OSError."""
        reply = self.ask("starttls", "STARTTLS")
        if reply.code != 220:
            raise RefusedError(reply)
        assert self.sock is not None
        self.sock = self._handshake(self.sock)
        self.file = None

    def send_content(self, stuffed: bytes) -> None:
        """Send the message, dots doubled and the lone dot at its end; the transcript shows its beginning."""
        lines = stuffed.split(b"\r\n", _SHOWN_LINES)
        if len(lines) <= _SHOWN_LINES:
            self.recorder.client_sends_body(stuffed.removesuffix(b".\r\n"))
        else:
            self.recorder.client_sends_body(b"\r\n".join(lines[:-1]))
            words = _("... and so on: {lines} lines, {octets} octets in all")
            self.recorder.remark(words.format(lines=stuffed.count(b"\r\n") - 1, octets=len(stuffed) - 3))
        self.recorder.client_says(".")
        assert self.sock is not None
        try:
            for start in range(0, len(stuffed), _CHUNK):
                self.sock.sendall(stuffed[start : start + _CHUNK])
        except ConnectionError as error:
            self._last_words(error)

    def _last_words(self, error: ConnectionError) -> None:
        """A server that refuses in the midst of a message says why before it closes: read that."""
        try:
            reply = self.read_reply()
        except OSError:
            raise ClosedError from error
        raise RefusedError(reply) from error

    def leave(self) -> None:
        """Say farewell; what comes of it does not matter any more."""
        try:
            if self.sock is not None:
                self.sock.settimeout(5)
                self.command("QUIT")
        except OSError:
            pass
        self.close()

    def _own_name(self) -> str:
        """An address literal (RFC 5321 section 4.1.3): true everywhere, and no name service is asked."""
        assert self.sock is not None
        address = str(self.sock.getsockname()[0]).partition("%")[0]
        return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def scrubbed(text: str, secrets: list[str]) -> str:
    """The text without the secrets, which a confused server may have repeated."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def discreet(transcript: Transcript, secrets: list[str]) -> Transcript:
    """The transcript without the secrets in what the server said."""
    lines = (replace(line, text=scrubbed(line.text, secrets)) for line in transcript.lines)
    return replace(transcript, lines=tuple(lines))
