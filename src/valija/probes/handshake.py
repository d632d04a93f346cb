"""The first flight of a TLS handshake, written by hand (RFC 5246, RFC 8446): what a server would agree to.

No library of this machine stands between: today's OpenSSL neither speaks TLS 1.0 nor offers a weak suite, and a check
that only saw its own library's refusal would prove nothing about the server. Nothing is encrypted here; the client goes
away when the server has said what it chose.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from valija.messages import _
from valija.probes import tls_registry as tls
from valija.probes.transcript import Recorder

# Record types, and the handshake messages that travel unencrypted.
ALERT_RECORD, HANDSHAKE_RECORD = 21, 22
CLIENT_HELLO, SERVER_HELLO, CERTIFICATE, SERVER_KEY_EXCHANGE, CERTIFICATE_REQUEST, SERVER_HELLO_DONE = (
    1,
    2,
    11,
    12,
    13,
    14,
)

# A ServerHello with this random number asks for another ClientHello (RFC 8446 section 4.1.3).
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")

# ChangeCipherSpec before the keys are agreed, which a sound server refuses (CVE-2014-0224).
EARLY_CHANGE_CIPHER_SPEC = b"\x14\x03\x03\x00\x01\x01"

ANSWER_SECONDS = 10.0


@dataclass(frozen=True)
class Hello:
    """What a client offers. `versions` and the rest are numbers of the registry; `extensions` are further empty ones.

    With TLS 1.3 no key is offered, so that a server of TLS 1.3 answers which group it wants.
    """

    versions: tuple[int, ...] = (tls.TLS13, tls.TLS12)
    suites: tuple[int, ...] = (*tls.TLS13_SUITES, *tls.INTERMEDIATE_SUITES)
    groups: tuple[int, ...] = (tls.X25519, tls.P256, tls.P384)
    compressions: tuple[int, ...] = (0,)
    server_name: str = ""
    extensions: tuple[int, ...] = (tls.EXTENDED_MASTER_SECRET,)

    def octets(self) -> bytes:
        """The record to send."""
        highest = max(self.versions)
        legacy = min(highest, tls.TLS12)
        body = struct.pack(">H", legacy) + os.urandom(32) + _vector(1, os.urandom(32) if highest == tls.TLS13 else b"")
        body += _vector(2, _numbers(self.suites)) + _vector(1, bytes(self.compressions))
        if highest > tls.SSL3:
            body += _vector(2, b"".join(_extension(kind, data) for kind, data in self._extensions()))
        message = struct.pack(">B", CLIENT_HELLO) + len(body).to_bytes(3, "big") + body
        return struct.pack(">BHH", HANDSHAKE_RECORD, min(legacy, tls.TLS10), len(message)) + message

    def _extensions(self) -> Iterator[tuple[int, bytes]]:
        if self.server_name:
            yield tls.SERVER_NAME, _vector(2, b"\0" + _vector(2, self.server_name.encode("idna")))
        if self.groups:
            yield tls.SUPPORTED_GROUPS, _vector(2, _numbers(self.groups))
            yield tls.EC_POINT_FORMATS, _vector(1, b"\0")
        if max(self.versions) >= tls.TLS12:
            yield tls.SIGNATURE_ALGORITHMS, _vector(2, _numbers(tls.SIGNATURES))
        if tls.TLS13 in self.versions:
            yield tls.SUPPORTED_VERSIONS, _vector(1, _numbers(self.versions))
            yield tls.KEY_SHARE, _vector(2, b"")
        yield tls.RENEGOTIATION_INFO, _vector(1, b"")
        for kind in self.extensions:
            yield kind, b"\x01" if kind == tls.HEARTBEAT else b""

    def __str__(self) -> str:
        return _("ClientHello: {versions}, {count} suites").format(
            versions=", ".join(tls.VERSIONS[version] for version in self.versions), count=len(self.suites)
        )


@dataclass(frozen=True)
class Answer:
    """What the server chose, or how it refused: `version` 0 is a refusal, by an `alert` or by closing (`alert` None).

    `group` is the named group, `dh_bits` the size of a prime of the server's own. `certificates` are DER, the server's
    first; with TLS 1.3 they travel encrypted and are not seen.
    """

    version: int = 0
    suite: int = 0
    compression: int = 0
    extensions: dict[int, bytes] = field(default_factory=dict)
    group: int = 0
    dh_bits: int = 0
    certificates: tuple[bytes, ...] = ()
    asks_for_certificate: bool = False
    alert: int | None = None
    silent: bool = False

    @property
    def agreed(self) -> bool:
        return bool(self.version)

    def __str__(self) -> str:
        if self.agreed:
            way = tls.GROUPS.get(self.group, f"0x{self.group:04X}") if self.group else ""
            way = f"DH {self.dh_bits}" if self.dh_bits else way
            version = tls.VERSIONS.get(self.version, hex(self.version))
            return " ".join(filter(None, [version, tls.suite_name(self.suite), way]))
        if self.alert is not None:
            return _("alert {name}").format(name=tls.ALERTS.get(self.alert, self.alert))
        return _("no answer") if self.silent else _("connection closed")


def shake(sock: socket.socket, hello: Hello, recorder: Recorder, *, then: bytes = b"") -> Answer:
    """Send a ClientHello and read what the server answers, up to the point where the keys would be agreed.

    With `then` these octets follow the server's flight, and the answer is what the server says to them.
    """
    recorder.remark(str(hello))
    answer = _exchange(sock, hello.octets())
    recorder.remark(str(answer))
    if then and answer.agreed:
        answer = _exchange(sock, then)
        recorder.remark(_("{count} octets too early: {answer}").format(count=len(then), answer=answer))
    return answer


def shake_ssl2(sock: socket.socket, recorder: Recorder) -> bool:
    """Whether the server speaks SSL 2.0, which has a hello of its own (Hickman 1995)."""
    suites = b"".join(bytes.fromhex(one) for one in ("010080", "020080", "030080", "040080", "060040", "0700c0"))
    body = struct.pack(">BHHHH", CLIENT_HELLO, 0x0002, len(suites), 0, 16) + suites + os.urandom(16)
    recorder.remark(_("ClientHello: {versions}, {count} suites").format(versions="SSL 2.0", count=6))
    sock.settimeout(ANSWER_SECONDS)
    try:
        sock.sendall(struct.pack(">H", 0x8000 | len(body)) + body)
        head = sock.recv(3)
    except OSError:
        head = b""
    spoken = len(head) == 3 and bool(head[0] & 0x80) and head[2] == 4
    recorder.remark("SSL 2.0" if spoken else _("connection closed"))
    return spoken


def _exchange(sock: socket.socket, octets: bytes) -> Answer:
    sock.settimeout(ANSWER_SECONDS)
    try:
        sock.sendall(octets)
        return read_answer(_records(sock))
    except TimeoutError:
        return Answer(silent=True)
    except OSError:
        return Answer()


def _records(sock: socket.socket) -> Iterator[tuple[int, bytes]]:
    """The server's records, each with its type; ends where the connection does."""
    stream = sock.makefile("rb")
    while len(head := stream.read(5)) == 5:
        kind, _version, size = struct.unpack(">BHH", head)
        body = stream.read(size)
        if len(body) < size:
            return
        yield kind, body


def read_answer(records: Iterable[tuple[int, bytes]]) -> Answer:
    """The server's first flight, out of its records (type, content)."""
    found: dict[str, object] = {}
    waiting = b""
    for record, body in records:
        if record == ALERT_RECORD:
            # A warning, of a name that the server does not know, is not the end of the handshake.
            if len(body) == 2 and body[0] == 1 and body[1] != 0:
                continue
            return Answer(alert=body[1] if len(body) == 2 else 0)
        if record != HANDSHAKE_RECORD:
            return Answer(**found) if found else Answer()  # type: ignore[arg-type]
        waiting += body
        while len(waiting) >= 4 and len(waiting) >= 4 + (size := int.from_bytes(waiting[1:4], "big")):
            kind, message, waiting = waiting[0], waiting[4 : 4 + size], waiting[4 + size :]
            found.update(_read_message(kind, message, found))
            if kind == SERVER_HELLO_DONE or found.get("version") == tls.TLS13:
                return Answer(**found)  # type: ignore[arg-type]
    return Answer()


def _read_message(kind: int, body: bytes, before: dict[str, object]) -> dict[str, object]:
    if kind == SERVER_HELLO:
        return _read_server_hello(body)
    if kind == CERTIFICATE:
        return {"certificates": tuple(_vectors(3, body[3:]))}
    if kind == SERVER_KEY_EXCHANGE and tls.suite_name(int(str(before.get("suite", 0)))).startswith("TLS_DHE"):
        return {"dh_bits": int.from_bytes(body[2 : 2 + int.from_bytes(body[:2], "big")], "big").bit_length()}
    if kind == SERVER_KEY_EXCHANGE and body[:1] == b"\x03":  # a named curve
        return {"group": int.from_bytes(body[1:3], "big")}
    return {"asks_for_certificate": True} if kind == CERTIFICATE_REQUEST else {}


def _read_server_hello(body: bytes) -> dict[str, object]:
    version, random = struct.unpack(">H32s", body[:34])
    at = 35 + body[34]
    suite, compression = struct.unpack(">HB", body[at : at + 3])
    extensions: dict[int, bytes] = {}
    rest = body[at + 5 :]
    while len(rest) >= 4:
        kind, size = struct.unpack(">HH", rest[:4])
        extensions[kind], rest = rest[4 : 4 + size], rest[4 + size :]
    found = {"version": version, "suite": suite, "compression": compression, "extensions": extensions}
    if chosen := extensions.get(tls.SUPPORTED_VERSIONS):
        found["version"] = int.from_bytes(chosen, "big")
    if (share := extensions.get(tls.KEY_SHARE)) and (random == _RETRY or len(share) >= 2):
        found["group"] = int.from_bytes(share[:2], "big")
    return found


def _numbers(numbers: Iterable[int]) -> bytes:
    return b"".join(struct.pack(">H", number) for number in numbers)


def _vector(width: int, content: bytes) -> bytes:
    return len(content).to_bytes(width, "big") + content


def _vectors(width: int, content: bytes) -> Iterator[bytes]:
    while len(content) >= width:
        size = int.from_bytes(content[:width], "big")
        yield content[width : width + size]
        content = content[width + size :]


def _extension(kind: int, data: bytes) -> bytes:
    return struct.pack(">H", kind) + _vector(2, data)
