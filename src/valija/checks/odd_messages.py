"""Messages that break programs: headers that should not be there, attachments that mean harm, MIME built to exhaust.

Each is built by code from a plain message, so that its hash and its X-Test-Id are known before it is sent.
"""

from __future__ import annotations

import base64
import io
import zipfile
import zlib
from collections.abc import Callable

from valija.probes import message
from valija.probes.message import Message

# The test file of all scanners (eicar.org), in two pieces, so that none takes this file for it.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-" + rb"STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


def _with(sent: Message, head: bytes, body: bytes = b"Hello.\r\n") -> Message:
    """A message of these header lines and this body, its X-Test-Id before them."""
    content = f"X-Test-Id: {sent.test_id}\r\n".encode() + head + b"\r\n" + body
    return Message(sent.test_id, content, message.digest(content))


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()


def odd_headers(sender: str, recipient: str, hostname: str) -> dict[str, Message]:
    """By name: headers twice, missing, forged, too many and too long (RFC 5322 section 3.6, RFC 8601 section 5)."""

    def new(*lines: str) -> Message:
        return _with(message.new(sender, recipient), _lines(*lines))

    addresses = ", ".join(f"a{number}@c.test" for number in range(10))
    long_to = ",\r\n ".join(f"someone-{number:05d}@c.test" for number in range(4000))
    bomb = "\r\n ".join(["=?utf-8?B?" + base64.b64encode(b"x" * 42).decode() + "?="] * 1000)
    return {
        "two From": new("From: ceo@c.test", f"From: {sender}", "Subject: x"),
        "no From": new("Subject: x"),
        "From of ten": new(f"From: {addresses}", "Subject: x"),
        "empty From": new("From: ", "Subject: x"),
        "100 kB To": new(f"From: {sender}", f"To: {long_to}", "Subject: x"),
        "a thousand encoded words": new(f"From: {sender}", f"Subject: {bomb}"),
        "a broken encoded word": new(f"From: {sender}", "Subject: =?utf-8?Q?=FF=FE=00?= =?x?B?!!?= =?utf-8?B?"),
        "Received forged": new(
            f"Received: from {hostname} (localhost [127.0.0.1]) by {hostname} with ESMTP id 1;",
            " Mon, 1 Jan 2035 00:00:00 +0000",
            f"From: {sender}",
            "Subject: x",
        ),
        "Return-Path forged": new("Return-Path: <ceo@c.test>", f"From: {sender}", "Subject: x"),
        "no subject, no date": new(f"From: {sender}"),
    }


def many_hops(sender: str, recipient: str) -> Message:
    """A message that has been through more servers than a loop needs (RFC 5321 section 6.3)."""
    hop = "Received: from a.c.test by b.c.test; Mon, 1 Jan 2035 00:00:00 +0000"
    return _with(message.new(sender, recipient), _lines(*[hop] * 120, f"From: {sender}", "Subject: x"))


def _attachment(content: bytes, name: str, kind: str = "application/octet-stream") -> bytes:
    text = base64.encodebytes(content).replace(b"\n", b"\r\n")
    head = _lines(
        f"Content-Type: {kind}; {name}", "Content-Transfer-Encoding: base64", "Content-Disposition: attachment; " + name
    )
    return b"--=_b\r\n" + head + b"\r\n" + text


def _multipart(sender: str, recipient: str, parts: bytes) -> Message:
    head = _lines(
        f"From: {sender}",
        f"To: {recipient}",
        "Subject: x",
        "MIME-Version: 1.0",
        "Content-Type: multipart/mixed; boundary==_b",
    ).replace(b"boundary==_b", b'boundary="=_b"')
    return _with(message.new(sender, recipient), head, parts + b"--=_b--\r\n")


def _zip(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return packed.getvalue()


def attachments(sender: str, recipient: str) -> dict[str, Message]:
    """By name: what a scanner would stop; without one it is delivered as it is, and costs nothing."""
    program = b"MZ" + bytes(62) + b"harmless"
    bomb = _zip("inner.zip", _zip("zeros", bytes(20_000_000)))
    nested = b"innermost\r\n"
    for _level in range(50):
        nested = b"Content-Type: message/rfc822\r\n\r\n" + nested
    split = 'filename*0*=utf-8\'\'run; filename*1=".pdf"; filename*2=".exe"'

    def one(content: bytes, name: str, kind: str = "application/octet-stream") -> Message:
        return _multipart(sender, recipient, _attachment(content, name, kind))

    return {
        "EICAR": one(EICAR, 'name="eicar.com"'),
        "a program": one(program, 'name="run.exe"'),
        "a screen saver": one(program, 'name="run.scr"'),
        "two extensions": one(program, 'name="letter.pdf.exe"'),
        "a program in a zip": one(_zip("run.exe", program), 'name="run.zip"'),
        "a bomb in a zip": one(bomb, 'name="bomb.zip"'),
        "a name in pieces (RFC 2231)": one(program, split),
        "winmail.dat": one(
            b"\x78\x9f\x3e\x22" + zlib.compress(bytes(1000)), 'name="winmail.dat"', "application/ms-tnef"
        ),
        "50 messages in one another": _multipart(sender, recipient, b"--=_b\r\n" + nested),
    }


def bombs(sender: str, recipient: str) -> dict[str, Callable[[], Message]]:
    """By name: MIME that costs a reader more than its octets; made when asked for."""

    def levels(count: int) -> Message:
        head = b"".join(
            b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(count)
        )
        tail = b"".join(b"--b%d--\r\n" % n for n in reversed(range(count)))
        plain = _lines(f"From: {sender}", f"To: {recipient}", "Subject: levels", "MIME-Version: 1.0")
        first, _empty, rest = head.partition(b"\r\n\r\n")
        body = rest + b"Content-Type: text/plain\r\n\r\ninnermost\r\n" + tail
        return _with(message.new(sender, recipient), plain + first + b"\r\n", body)

    def boundary(size: int) -> Message:
        mark = b"\r\n ".join([b"b" * 900] * (size // 900))
        head = _lines(f"From: {sender}", "Subject: boundary", "MIME-Version: 1.0")
        head += b'Content-Type: multipart/mixed;\r\n boundary="' + mark + b'"\r\n'
        return _with(message.new(sender, recipient), head, b"--" + b"b" * 900 + b"\r\n\r\nx\r\n")

    def no_boundary() -> Message:
        head = _lines(f"From: {sender}", "Subject: none", "MIME-Version: 1.0", "Content-Type: multipart/mixed")
        return _with(message.new(sender, recipient), head, b"--b\r\n\r\nx\r\n--b--\r\n")

    def header(size: int) -> Message:
        folded = "\r\n ".join(["x" * 70] * (size // 70))
        return _with(message.new(sender, recipient), _lines(f"From: {sender}", "Subject: long", f"X-Long: {folded}"))

    return {
        "10,000 parts": lambda: _multipart(sender, recipient, b"--=_b\r\n\r\nx\r\n" * 10_000),
        "100 levels": lambda: levels(100),
        "1 MB of boundary": lambda: boundary(1_000_000),
        "no boundary": no_boundary,
        "500 kB of header": lambda: header(500_000),
    }
