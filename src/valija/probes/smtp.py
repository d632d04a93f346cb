"""An SMTP client that says exactly what it is told and keeps what it hears (RFC 5321)."""

from __future__ import annotations

import re
import select
import smtplib
import socket
from dataclasses import dataclass
from typing import Any, Self

from valija.messages import _
from valija.probes import transcript
from valija.probes.message import dot_stuffed
from valija.probes.routes import TIMEOUT_SECONDS, Direct, Route, endpoint, join
from valija.probes.transcript import Recorder, Transcript

# Longest reply line, CRLF included (RFC 5321 section 4.5.3.1.5).
REPLY_LINE_OCTETS = 512

_REPLY_LINE = re.compile(rb"[2345][0-9][0-9](?:[ -][\t\x20-\x7e]*)?\r\n")
_ENHANCED = re.compile(r"([245])\.\d{1,3}\.\d{1,3}(?: |$)")

# Replies without an enhanced status code: the greeting, EHLO and HELO owe none (RFC 2034 section 4), Postfix gives
# ETRN none either.
_NO_ENHANCED_CODE = ("", "EHLO", "HELO", "ETRN")


@dataclass(frozen=True)
class Reply:
    """One SMTP reply as the server gave it (RFC 5321, section 4.2), with the line that it answers.

    `sent` is empty for the greeting. `raw` holds the octets as they came. Code 0 and no lines: the server closed.
    """

    sent: str
    code: int
    lines: tuple[str, ...]
    raw: tuple[bytes, ...]

    @property
    def accepted(self) -> bool:
        return 200 <= self.code < 400

    @property
    def closed(self) -> bool:
        return self.code == 0

    @property
    def enhanced(self) -> str:
        """The enhanced status code of the last line (RFC 3463), or an empty text."""
        found = _ENHANCED.match(self.lines[-1]) if self.lines else None
        return found[0].strip() if found else ""

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def __str__(self) -> str:
        return f"{self.code} {' / '.join(self.lines)}" if self.lines else "no reply, connection closed"


def grammar_problems(reply: Reply) -> list[str]:
    """Where a reply breaks the grammar of RFC 5321 sections 4.2 and 4.5.3.1.5."""
    problems = []
    for raw in reply.raw:
        if not _REPLY_LINE.fullmatch(raw):
            problems.append(_("not a reply line of printable ASCII that ends CRLF: {line!r}").format(line=raw))
        if len(raw) > REPLY_LINE_OCTETS:
            words = _("{size} octets in a reply line, at most {limit}: {line!r}...")
            problems.append(words.format(size=len(raw), limit=REPLY_LINE_OCTETS, line=raw[:60]))
    if len({raw[:3] for raw in reply.raw}) > 1:
        problems.append(_("one reply with several codes: {reply}").format(reply=reply))
    return problems


def enhanced_code_problems(reply: Reply) -> list[str]:
    """Where a reply lacks the enhanced status code that RFC 2034 section 4 asks for, or has one of another class."""
    verb = reply.sent.strip().partition(" ")[0].upper()
    if not reply.lines or verb in _NO_ENHANCED_CODE or reply.code // 100 not in (2, 4, 5):
        return []
    if not reply.enhanced:
        return [_("no enhanced status code: {reply}").format(reply=reply)]
    if reply.enhanced[0] != str(reply.code)[0]:
        return [_("enhanced status code of another class: {reply}").format(reply=reply)]
    return []


class Session(smtplib.SMTP):
    """One SMTP connection; `replies` keeps every reply, `transcript` what was said.

    Nothing is repaired: `command` sends its line and CRLF as they are, `raw_bytes` sends octets. The verbs of smtplib
    work too.
    """

    def __init__(
        self, host: str, port: int = 25, *, route: Route | None = None, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        self._route = route or Direct()
        self._last_sent = ""
        self.replies: list[Reply] = []
        self.recorder = Recorder("smtp", join(host, port))
        super().__init__(local_hostname="probe.invalid", timeout=timeout)
        code, _text = self.connect(host, port)
        self.greeting = self.replies[0] if self.replies else Reply("", code, (), ())

    # smtplib's seams

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock = self._route.connect(host, port, timeout)
        self.recorder.client = endpoint(sock, peer=False) or self._route.vantage
        transcript.on_conversation(self.recorder)
        return sock

    def send(self, s: Any) -> None:
        data = s.encode(self.command_encoding) if isinstance(s, str) else bytes(s)
        self._last_sent = data.decode("utf-8", "backslashreplace").rstrip("\r\n")
        self.recorder.client_says(data)
        super().send(s)

    def getreply(self) -> tuple[int, bytes]:
        reply = self.read_reply()
        if reply.closed:
            self.close()
            raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed")
        self.recorder.secret_next = reply.code == 334
        return reply.code, "\n".join(reply.lines).encode()

    # plain talk

    def read_reply(self) -> Reply:
        """The next reply; code 0 when the server has closed the connection."""
        if self.file is None:
            assert self.sock is not None
            self.file = self.sock.makefile("rb")
        raws: list[bytes] = []
        while True:
            try:
                raw = self.file.readline(65536)
            except ConnectionError:
                raw = b""
            if not raw:
                self.recorder.remark(_("connection closed by the server"))
                break
            raws.append(raw)
            self.recorder.server_says(raw)
            if raw[3:4] != b"-":
                break
        lines = tuple(raw[4:].decode("utf-8", "backslashreplace").rstrip("\r\n") for raw in raws)
        digits = raws[-1][:3] if raws else b"0"
        reply = Reply(self._last_sent, int(digits) if digits.isdigit() else -1, lines, tuple(raws))
        if raws:
            self.replies.append(reply)
        return reply

    def command(self, line: str | bytes) -> Reply:
        """Send one line with CRLF and read the reply; a closed connection is reply code 0."""
        data = line.encode() if isinstance(line, str) else line
        try:
            self.send(data + b"\r\n")
        except (smtplib.SMTPServerDisconnected, ConnectionError):
            self.recorder.remark(_("connection closed by the server"))
            return Reply(self._last_sent, 0, (), ())
        return self.read_reply()

    def raw_bytes(self, data: bytes) -> None:
        """Send octets as they are, and read nothing."""
        assert self.sock is not None
        self._last_sent = data[:80].decode("utf-8", "backslashreplace").rstrip("\r\n")
        self.recorder.client_says(data)
        self.sock.sendall(data)

    def answers_within(self, seconds: float) -> bool:
        """Whether the server says anything, or closes, within a time; call it when every reply so far has been read."""
        assert self.sock is not None
        return bool(select.select([self.sock], [], [], seconds)[0])

    def say_ehlo(self, name: str = "probe.invalid") -> Reply:
        return self.command(f"EHLO {name}")

    def mail_from(self, address: str, parameters: str = "") -> Reply:
        return self.command(f"MAIL FROM:<{address}>{' ' + parameters if parameters else ''}")

    def rcpt_to(self, address: str, parameters: str = "") -> Reply:
        return self.command(f"RCPT TO:<{address}>{' ' + parameters if parameters else ''}")

    def data_content(self, content: bytes) -> Reply:
        """After a 354: send the message, dots doubled and the lone dot at its end, and read the reply."""
        assert self.sock is not None
        stuffed = dot_stuffed(content)
        self.recorder.client_sends_body(stuffed)
        self._last_sent = "."
        self.sock.sendall(stuffed)
        return self.read_reply()

    def message(self, sender: str, recipients: list[str], content: bytes) -> Reply:
        """One transaction after EHLO; returns the first reply that refuses, or the one to the lone dot."""
        steps = [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{address}>" for address in recipients), "DATA"]
        for step in steps:
            reply = self.command(step)
            if not reply.accepted:
                return reply
        return self.data_content(content)

    @property
    def transcript(self) -> Transcript:
        return self.recorder.transcript()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_args: object) -> None:
        """Close without QUIT: what the conversation says is what the caller says."""
        self.close()


def connect(host: str, port: int = 25, *, route: Route | None = None, timeout: float = TIMEOUT_SECONDS) -> Session:
    """A session whose greeting has been read."""
    return Session(host, port, route=route, timeout=timeout)
