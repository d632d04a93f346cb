"""What was said on one connection: the unit of evidence."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from valija.messages import _

MASK = "********"

Who = Literal["C", "S", "*"]


@dataclass(frozen=True)
class Line:
    """One line: seconds since the connection began, the client (C), the server (S) or a remark of the probe (*)."""

    at: float
    who: Who
    text: str
    tls: str | None = None


@dataclass(frozen=True)
class Transcript:
    """All lines of one connection, secrets masked; `started` is ISO 8601 in UTC."""

    protocol: str
    server: str
    client: str
    started: str
    lines: tuple[Line, ...]

    def to_json(self) -> dict[str, Any]:
        """The transcript as the results file and the report read it."""
        return {
            "protocol": self.protocol,
            "server": self.server,
            "client": self.client,
            "started": self.started,
            "lines": [asdict(line) for line in self.lines],
        }

    def __str__(self) -> str:
        head = f"{self.protocol} {self.client} -> {self.server}, {self.started}"
        return "\n".join([head, *(f"{line.at:8.3f} {line.who}: {line.text}" for line in self.lines)])


# Patterns per protocol: group 1 is kept, what follows it is a secret.
_SECRETS = {
    "smtp": [re.compile(r"(AUTH\s+\S+\s+)\S.*", re.I)],
    "imap": [
        re.compile(r"(\S+\s+LOGIN\s+(?:\"(?:[^\"\\]|\\.)*\"|\S+)\s+).*", re.I),
        re.compile(r"(\S+\s+AUTHENTICATE\s+\S+\s+)\S.*", re.I),
    ],
    "pop3": [
        re.compile(r"(PASS\s+).*", re.I),
        re.compile(r"(AUTH\s+\S+\s+)\S.*", re.I),
        re.compile(r"(APOP\s+\S+\s+).*", re.I),
    ],
    "http": [
        re.compile(r"((?:Cookie|Authorization):\s*).*", re.I),
        re.compile(r"(Set-Cookie:\s*[^=;]+=)[^;]*(.*)", re.I),
    ],
}


def mask(protocol: str, text: str) -> str:
    """The line without its secret: passwords, SASL responses, session cookies."""
    for pattern in _SECRETS.get(protocol, []):
        found = pattern.fullmatch(text)
        if found:
            return found[1] + MASK + (found[2] if pattern.groups > 1 else "")
    return text


class Recorder:
    """Collects the lines of one connection while it lives.

    `secret_next` masks the client's next line whole: an answer to a SASL challenge carries the password alone.
    """

    def __init__(self, protocol: str, server: str = "", client: str = "") -> None:
        self.protocol = protocol
        self.server = server
        self.client = client
        self.started = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.tls: str | None = None
        self.secret_next = False
        self._begin = time.monotonic()
        self._lines: list[Line] = []

    def client_says(self, data: bytes | str) -> None:
        """Record what the client sends; several lines in one segment become several lines."""
        for text in _lines(data):
            shown = MASK if self.secret_next else mask(self.protocol, text)
            self.secret_next = False
            self._add("C", shown)

    def server_says(self, data: bytes | str) -> None:
        """Record what the server sends."""
        for text in _lines(data):
            self._add("S", mask(self.protocol, text))

    def remark(self, text: str) -> None:
        """Record a remark of the probe, such as a handshake or a measured latency."""
        self._add("*", text)

    def client_sends_body(self, data: bytes, shown: int = 40) -> None:
        """Record a message's lines, at most `shown` of them, so that large messages do not fill a report."""
        lines = _lines(data)
        for text in lines[:shown]:
            self._add("C", text)
        if len(lines) > shown:
            words = _("... {lines} more lines, {octets} octets in all")
            self.remark(words.format(lines=len(lines) - shown, octets=len(data)))

    def transcript(self) -> Transcript:
        """What was said so far."""
        return Transcript(self.protocol, self.server, self.client, self.started, tuple(self._lines))

    def _add(self, who: Who, text: str) -> None:
        self._lines.append(Line(round(time.monotonic() - self._begin, 3), who, text, self.tls))


# Whoever wants every transcript (the suite does) sets this; each probe announces its recorder when it connects.
on_conversation: Callable[[Recorder], None] = lambda recorder: None  # noqa: E731


def _lines(data: bytes | str) -> list[str]:
    text = data.decode("utf-8", "backslashreplace") if isinstance(data, bytes) else data
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    return ["".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line) for line in lines]
