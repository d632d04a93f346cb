"""TLS for the probes: what a careful client trusts, and the handshake as a line of the transcript (RFC 8446)."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field

from valija.messages import _
from valija.probes.transcript import Recorder

_CHUNK = 65536


def verifying(ca_pem: str = "") -> ssl.SSLContext:
    """A context that wants a certificate of this CA, or of one of the system's, with the name of the server."""
    return ssl.create_default_context(cadata=ca_pem or None)


def wrapped(sock: socket.socket, context: ssl.SSLContext, server_name: str, recorder: Recorder) -> ssl.SSLSocket:
    """The socket after the handshake; raises ssl.SSLError, of which an unknown certificate is one kind."""
    try:
        secure = context.wrap_socket(sock, server_hostname=server_name)
    except OSError as error:
        recorder.remark(_("the handshake failed: {error}").format(error=error))
        raise
    cipher = secure.cipher()
    recorder.tls = secure.version()
    recorder.remark(f"{secure.version()} {cipher[0] if cipher else ''}".strip())
    return secure


@dataclass
class Reader:
    """Lines and octets of a socket. What came and was not read is here, so that it can be asked about and forgotten.

    A read that lasts longer than the socket's timeout raises TimeoutError, and so does, at once, every later one.
    """

    sock: socket.socket
    _kept: bytearray = field(default_factory=bytearray, repr=False)
    _ended: bool = False
    _silent: bool = False

    def readline(self, limit: int = _CHUNK) -> bytes:
        """One line with its LF, at most `limit` octets of it; an empty text at the end of the stream."""
        while (at := self._kept.find(b"\n", 0, limit)) < 0 and len(self._kept) < limit and self._awaited():
            pass
        return self._taken(at + 1 if at >= 0 else limit)

    def read(self, size: int) -> bytes:
        """Exactly so many octets; fewer at the end of the stream."""
        while len(self._kept) < size and self._awaited():
            pass
        return self._taken(size)

    def anything_within(self, seconds: float) -> bool:
        """Whether there is anything to read, or the end of the stream, within a time. Nothing is lost by asking.

        A TLS socket is read: what makes it readable may be a session ticket (RFC 8446 section 4.6.1).
        """
        before = self.sock.gettimeout()
        self.sock.settimeout(max(seconds, 0.001))
        try:
            if not self._kept:
                self._more()
        except (TimeoutError, ssl.SSLWantReadError):
            return False
        except ConnectionError:
            self._ended = True
        finally:
            self.sock.settimeout(before)
        return True

    def forget(self) -> bytes:
        """Drop what was not read yet, and tell it."""
        return self._taken(len(self._kept))

    def close(self) -> None:
        """Nothing: the socket belongs to the session."""

    def _awaited(self) -> bool:
        if self._silent:
            raise TimeoutError(_("the server has been silent once already"))
        try:
            return self._more()
        except TimeoutError:
            self._silent = True
            raise

    def _more(self) -> bool:
        if not self._ended:
            data = self.sock.recv(_CHUNK)
            self._kept += data
            self._ended = not data
        return not self._ended

    def _taken(self, size: int) -> bytes:
        data = bytes(self._kept[:size])
        del self._kept[:size]
        return data
