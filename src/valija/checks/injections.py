"""Attempts to put a line of one's own into what the server writes: headers, log and reports (CWE-93), as data."""

from __future__ import annotations

# The line that must stand nowhere by itself.
EVIL = b"X-Evil: 1"

# The command that is replaced, and what stands in its place; {sender}, {alice} (an address), {name} and {domain}.
# Each is one attempt; the rest of the transaction is ordinary.
ATTEMPTS: tuple[tuple[str, bytes], ...] = (
    ("EHLO", b"EHLO probe.invalid\r" + EVIL),
    ("EHLO", b"EHLO probe.invalid\n" + EVIL),
    ("EHLO", b"EHLO probe.invalid\0" + EVIL),
    ("EHLO", b"EHLO probe.invalid%0d%0a" + EVIL),
    ("MAIL", b"MAIL FROM:<{sender}>\r" + EVIL),
    ("MAIL", b"MAIL FROM:<{sender}>\n" + EVIL),
    ("MAIL", b"MAIL FROM:<{sender}\r\n" + EVIL + b">"),
    ("MAIL", b"MAIL FROM:<a%0d%0a" + EVIL + b"@{domain}>"),
    ("MAIL", b'MAIL FROM:<"a\r' + EVIL + b'"@remote.test>'),
    ("MAIL", b'MAIL FROM:<"a\\\r' + EVIL + b'"@remote.test>'),
    ("MAIL", b'MAIL FROM:<"a\n' + EVIL + b'"@remote.test>'),
    ("MAIL", b"MAIL FROM:<{sender}> ENVID=x+0D+0AX-Evil:+201"),
    ("RCPT", b"RCPT TO:<{alice}\r\n" + EVIL + b">"),
    ("RCPT", b"RCPT TO:<{alice}\r" + EVIL + b">"),
    ("RCPT", b"RCPT TO:<{name}+%0d%0a" + EVIL + b"@{domain}>"),
    ("RCPT", b'RCPT TO:<"{name}+\r' + EVIL + b'"@{domain}>'),
    ("RCPT", b'RCPT TO:<"{name}+\0' + EVIL + b'"@{domain}>'),
    ("RCPT", b"RCPT TO:<{alice}> ORCPT=rfc822;x+0D+0AX-Evil:+201"),
    ("RCPT", b"RCPT TO:<{alice}> NOTIFY=NEVER\r" + EVIL),
)


def commands(attempt: tuple[str, bytes], values: dict[str, str]) -> dict[str, bytes]:
    """EHLO, MAIL and RCPT of a transaction, one of them with the attempt in it; without their CRLF."""
    verb, line = attempt
    plain = {
        "EHLO": b"EHLO probe.invalid",
        "MAIL": b"MAIL FROM:<{sender}>",
        "RCPT": b"RCPT TO:<{alice}>",
        verb: line,
    }
    return {name: _filled(text, values) for name, text in plain.items()}


def _filled(text: bytes, values: dict[str, str]) -> bytes:
    for name, value in values.items():
        text = text.replace(b"{%s}" % name.encode(), value.encode())
    return text


def evil_lines(text: bytes) -> list[bytes]:
    """The lines of a header block or a log that begin with the evil one, by any end of line a reader may know."""
    lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return [line for line in lines if line.startswith(EVIL)]
