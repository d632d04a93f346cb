"""Test messages: bytes with a hash made before they are sent, and the way back from what was delivered."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime


@dataclass(frozen=True)
class Message:
    """One message as it is sent: lines end CRLF, dots not yet doubled. Its first line is an X-Test-Id header."""

    test_id: str
    content: bytes
    digest: str


def new(
    sender: str,
    recipient: str,
    *,
    subject: str = "Valija test",
    body: bytes = b"Hello.\r\n",
    test_id: str | None = None,
) -> Message:
    """A message with a fresh id; `body` must have CRLF line ends and end with one."""
    test_id = test_id or uuid.uuid4().hex
    head = "\r\n".join(
        [
            f"X-Test-Id: {test_id}",
            f"From: {sender}",
            f"To: {recipient}",
            f"Subject: {subject}",
            f"Date: {format_datetime(datetime.now(UTC))}",
            f"Message-ID: <{test_id}@probe.invalid>",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=us-ascii",
        ]
    )
    content = head.encode("ascii") + b"\r\n\r\n" + body
    return Message(test_id, content, digest(content))


def digest(content: bytes) -> str:
    """SHA-256 of a message, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sent_part(delivered: bytes, test_id: str) -> bytes:
    """What was sent, out of what was delivered: the trace headers that the way added stand before X-Test-Id.

    Returns an empty text when the id is not there.
    """
    at = delivered.find(f"X-Test-Id: {test_id}\r\n".encode("ascii"))
    return delivered[at:] if at >= 0 else b""


def trace_part(delivered: bytes, test_id: str) -> bytes:
    """The headers that the way added."""
    at = delivered.find(f"X-Test-Id: {test_id}\r\n".encode("ascii"))
    return delivered[: max(at, 0)]


def dot_stuffed(content: bytes) -> bytes:
    """The message as DATA carries it: leading dots doubled and the lone dot at the end (RFC 5321 section 4.5.2)."""
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed + (b"" if not stuffed or stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n"
