"""An IMAP client on imaplib that keeps what is said (RFC 3501)."""

from __future__ import annotations

import contextlib
import imaplib
import re
import socket
import ssl
from typing import Any

from valija.messages import _
from valija.probes import transcript
from valija.probes.routes import TIMEOUT_SECONDS, Direct, Route, endpoint, join
from valija.probes.tls import Reader, wrapped
from valija.probes.transcript import Recorder, Transcript

_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")
_CARRIES_A_SECRET = re.compile(rb"\S+ (LOGIN|AUTHENTICATE)\b", re.I)


class Session(imaplib.IMAP4):
    """One IMAP connection; imaplib's own verbs, every line recorded, the password masked.

    With `tls` the connection begins with TLS (RFC 8314 section 3.2); `server_name` is what the certificate must bear,
    `host` when it is not given.
    """

    def __init__(
        self,
        host: str,
        port: int = 143,
        *,
        route: Route | None = None,
        timeout: float = TIMEOUT_SECONDS,
        tls: ssl.SSLContext | None = None,
        server_name: str = "",
    ) -> None:
        self._route = route or Direct()
        self._tls = tls
        self.server_name = server_name or host
        self.recorder = Recorder("imap", join(host, port))
        self._secret = False
        super().__init__(host, port, timeout)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        sock = self._route.connect(self.host, self.port, timeout or TIMEOUT_SECONDS)
        self.recorder.client = endpoint(sock, peer=False) or self._route.vantage
        transcript.on_conversation(self.recorder)
        if self._tls is not None:
            sock = wrapped(sock, self._tls, self.server_name, self.recorder)
        self._reader = Reader(sock)
        return sock

    def send(self, data: Any) -> None:
        self.recorder.client_says(bytes(data))
        self._secret = self._secret or bool(_CARRIES_A_SECRET.match(data))
        super().send(data)

    def readline(self) -> bytes:
        line = self._reader.readline()
        if line:
            self.recorder.server_says(line)
        if line.startswith(b"+"):  # what is asked for next is a name, a password or a SASL response
            self.recorder.secret_next = self._secret
        else:
            self._secret = False
        return line

    def read(self, size: int) -> bytes:
        data = self._reader.read(size)
        self.recorder.remark(_("a literal of {count} octets").format(count=len(data)))
        return data

    # plain talk

    def ask(self, command: str | bytes) -> tuple[str, list[bytes]]:
        """Send one tagged line as it is; the tagged answer as `("OK", text)` and all lines of the response."""
        tag = self._new_tag()
        data = command.encode() if isinstance(command, str) else command
        self.send(tag + b" " + data + b"\r\n")
        if data.strip().upper() == b"LOGOUT":
            self.state = "LOGOUT"
        lines: list[bytes] = []
        while True:
            line = self.readline()
            if not line:
                return "", lines
            lines.append(line)
            if line.startswith(b"+ "):
                return "+", lines
            literal = _LITERAL.search(line)
            if literal:
                lines.append(self.read(int(literal[1])))
            elif line.startswith(tag + b" "):
                return line.split(b" ")[1].decode("ascii", "replace").upper(), lines

    def raw_bytes(self, data: bytes) -> None:
        """Send octets as they are, and read nothing."""
        self.recorder.client_says(data)
        self.sock.sendall(data)

    def answers_within(self, seconds: float) -> bool:
        """Whether the server says anything, or closes, within a time; every answer so far must have been read."""
        return self._reader.anything_within(seconds)

    def handshake(self, context: ssl.SSLContext) -> bytes:
        """Begin TLS now, whatever was said before; what had come and was not read. Raises ssl.SSLError."""
        unread = self._reader.forget()
        self.sock = wrapped(self.sock, context, self.server_name, self.recorder)
        self._reader = Reader(self.sock)
        return unread

    def starttls(self, context: ssl.SSLContext) -> tuple[str, list[bytes]]:  # type: ignore[override]
        """STARTTLS, the handshake, the capabilities once more (RFC 3501 section 6.2.1); the answer to STARTTLS."""
        kind, lines = self.ask("STARTTLS")
        if kind == "OK":
            self.handshake(context)
            _kind, capabilities = self.capability()
            self.capabilities = tuple(capabilities[-1].decode("ascii", "replace").upper().split())
        return kind, lines

    # what a check asks often

    def holding(self, test_id: str, folder: str = "INBOX") -> list[bytes]:
        """The octets of each message that carries an X-Test-Id. Does not mark anything as read."""
        return self.found(f'HEADER X-Test-Id "{test_id}"', folder)

    def found(self, criterion: str, folder: str = "INBOX") -> list[bytes]:
        """The octets of each message that a SEARCH finds, oldest first."""
        kind, data = self.select(folder, readonly=True)
        if kind != "OK":
            raise self.error(f"SELECT {folder}: {kind} {data!r}")
        _kind, answer = self.uid("SEARCH", criterion)
        contents = []
        for uid in answer[0].split() if answer and answer[0] else []:
            _kind, parts = self.uid("FETCH", uid.decode(), "(BODY.PEEK[])")
            contents += [part[1] for part in parts if isinstance(part, tuple)]
        return contents

    def __exit__(self, *_args: object) -> None:
        """Log out; a server that has hung up already is no error."""
        with contextlib.suppress(self.error, OSError):
            if self.state != "LOGOUT":
                self.logout()
        with contextlib.suppress(OSError):
            self.shutdown()

    @property
    def transcript(self) -> Transcript:
        return self.recorder.transcript()

    def _new_tag(self) -> bytes:
        return bytes(super()._new_tag())  # type: ignore[misc]


def connect(host: str, port: int = 143, **options: Any) -> Session:
    """A session whose greeting and capabilities have been read; the options are those of Session."""
    return Session(host, port, **options)
