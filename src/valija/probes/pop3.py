"""A POP3 client on poplib that keeps what is said (RFC 1939)."""

from __future__ import annotations

import contextlib
import poplib
import socket
import ssl
from typing import Any, Self

from valija.probes import transcript
from valija.probes.routes import TIMEOUT_SECONDS, Direct, Route, endpoint, join
from valija.probes.tls import Reader, wrapped
from valija.probes.transcript import Recorder, Transcript


class Session(poplib.POP3):
    """One POP3 connection; poplib's own verbs, every line recorded, the password masked.

    With `tls` the connection begins with TLS (RFC 8314 section 3.2); `server_name` is what the certificate must bear,
    `host` when it is not given.
    """

    def __init__(
        self,
        host: str,
        port: int = 110,
        *,
        route: Route | None = None,
        timeout: float = TIMEOUT_SECONDS,
        tls: ssl.SSLContext | None = None,
        server_name: str = "",
    ) -> None:
        self._route = route or Direct()
        self._tls = tls
        self.server_name = server_name or host
        self.recorder = Recorder("pop3", join(host, port))
        super().__init__(host, port, timeout)

    def _create_socket(self, timeout: float) -> socket.socket:
        sock = self._route.connect(self.host, self.port, timeout)
        self.recorder.client = endpoint(sock, peer=False) or self._route.vantage
        transcript.on_conversation(self.recorder)
        if self._tls is not None:
            sock = wrapped(sock, self._tls, self.server_name, self.recorder)
        self._reader = Reader(sock)
        return sock

    def _putline(self, line: bytes) -> None:
        self.recorder.client_says(line)
        super()._putline(line)  # type: ignore[misc]

    def _getline(self) -> tuple[bytes, int]:
        self.file = self._reader  # type: ignore[assignment]  # poplib makes a file of its own, which loses lines
        line, octets = super()._getline()  # type: ignore[misc]
        self.recorder.server_says(line)
        return line, octets

    # plain talk

    def ask(self, command: str, *, multiline: bool = False) -> tuple[str, list[bytes]]:
        """Send one line; the status line, and with `multiline` and +OK the lines that follow, dots undoubled."""
        self._putline(command.encode())
        status, _octets = self._getline()
        lines: list[bytes] = []
        while multiline and status.startswith(b"+OK"):
            line, _octets = self._getline()
            if line == b".":
                break
            lines.append(line[1:] if line.startswith(b"..") else line)
        return status.decode("utf-8", "backslashreplace"), lines

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

    def starttls(self, context: ssl.SSLContext) -> str:
        """STLS (RFC 2595 section 4) and the handshake; the status line that STLS got."""
        status, _lines = self.ask("STLS")
        if status.startswith("+OK"):
            self.handshake(context)
        return status

    def content(self, number: int) -> bytes:
        """One message as it was stored, lines ending CRLF."""
        _status, lines, _octets = self.retr(number)
        return b"".join(line + b"\r\n" for line in lines)

    def number_of(self, test_id: str) -> int:
        """The number of the message with an X-Test-Id, looked for from the newest on; 0 when it is not there."""
        count, _octets = self.stat()
        wanted = f"X-Test-Id: {test_id}".encode()
        return next((number for number in range(count, 0, -1) if wanted in self.top(number, 0)[1]), 0)

    @property
    def transcript(self) -> Transcript:
        return self.recorder.transcript()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_args: Any) -> None:
        """Close without QUIT; a connection that is gone already is no error."""
        with contextlib.suppress(OSError):
            self.close()


def connect(host: str, port: int = 110, **options: Any) -> Session:
    """A session whose greeting has been read; the options are those of Session."""
    return Session(host, port, **options)
