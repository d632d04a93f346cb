"""An SMTP client that says exactly what it is told and keeps what it hears (RFC 5321)."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, Self

from valija.messages import _
from valija.probes import transcript
from valija.probes.message import dot_stuffed
from valija.probes.routes import TIMEOUT_SECONDS, Direct, Route, endpoint, join
from valija.probes.tls import Reader, wrapped
from valija.probes.transcript import MASK, Recorder, Transcript, mask

# Longest reply line, CRLF included (RFC 5321 section 4.5.3.1.5).
REPLY_LINE_OCTETS = 512

# Of what is sent, so much is kept with the reply.
_SAID_OCTETS = 512

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
    work too. With `tls` the connection begins with TLS (RFC 8314 section 3.3); `server_name` is what the certificate
    must bear, `host` when it is not given. `early` are octets sent before the greeting is read.
    """

    def __init__(
        self,
        host: str,
        port: int = 25,
        *,
        route: Route | None = None,
        timeout: float = TIMEOUT_SECONDS,
        tls: ssl.SSLContext | None = None,
        server_name: str = "",
        early: bytes = b"",
    ) -> None:
        self._route = route or Direct()
        self._tls = tls
        self.early = early
        self.server_name = server_name or host
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
        if self._tls is not None:
            sock = wrapped(sock, self._tls, self.server_name, self.recorder)
        if self.early:
            self.recorder.client_says(self.early)
            sock.sendall(self.early)
        return sock

    def send(self, s: Any) -> None:
        data = s.encode(self.command_encoding) if isinstance(s, str) else bytes(s)
        self._says(data)
        super().send(s)

    def _says(self, data: bytes) -> None:
        """Keep what is sent: the reply to come names it, without its secret."""
        said = data[:_SAID_OCTETS].decode("utf-8", "backslashreplace").rstrip("\r\n").split("\r\n")
        self._last_sent = MASK if self.recorder.secret_next else "\r\n".join(mask("smtp", line) for line in said)
        self.recorder.client_says(data)

    def getreply(self) -> tuple[int, bytes]:
        reply = self.read_reply()
        if reply.closed:
            self.close()
            raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed")
        return reply.code, "\n".join(reply.lines).encode()

    # plain talk

    def read_reply(self) -> Reply:
        """The next reply; code 0 when the server has closed the connection."""
        reader = self._reader()
        raws: list[bytes] = []
        while True:
            try:
                raw = reader.readline()
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
        self.recorder.secret_next = reply.code == 334  # what answers a challenge is a name, a password or both
        return reply

    def _reader(self) -> Reader:
        if not isinstance(self.file, Reader):
            assert self.sock is not None
            self.file = Reader(self.sock)
        return self.file

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
        self._says(data)
        self.sock.sendall(data)

    def answers_within(self, seconds: float) -> bool:
        """Whether the server says anything, or closes, within a time; call it when every reply so far has been read."""
        return self._reader().anything_within(seconds)

    # TLS and the login

    def handshake(self, context: ssl.SSLContext) -> bytes:
        """Begin TLS now, whatever was said before; raises ssl.SSLError.

        What the server told before is forgotten (RFC 3207 section 4.2). Returns what had come and was not read: a
        client that kept it would take clear text for what TLS protects.
        """
        assert self.sock is not None
        unread = self._reader().forget()
        self.sock = wrapped(self.sock, context, self.server_name, self.recorder)
        self.file = None
        self.helo_resp = self.ehlo_resp = None
        self.esmtp_features, self.does_esmtp = {}, False
        return unread

    def starttls(self, context: ssl.SSLContext) -> Reply:  # type: ignore[override]
        """STARTTLS, and the handshake when the server is ready; the reply to STARTTLS. EHLO is to be said again."""
        reply = self.command("STARTTLS")
        if reply.code == 220:
            self.handshake(context)
        return reply

    def log_in(self, name: str, password: str, mechanism: str = "PLAIN", *, authzid: str = "") -> Reply:
        """AUTH PLAIN with its response at once (RFC 4616), or AUTH LOGIN; the last reply. Secrets are masked."""
        if mechanism == "PLAIN":
            response = "\0".join((authzid, name, password))
            return self.command(f"AUTH PLAIN {base64(response)}")
        reply = self.command(f"AUTH {mechanism}")
        for answer in (name, password):
            if reply.code != 334:
                break
            reply = self.command(base64(answer))
        return reply

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


def base64(text: str | bytes) -> str:
    """A response of SASL as AUTH carries it."""
    return b64encode(text.encode() if isinstance(text, str) else text).decode("ascii")


def connect(host: str, port: int = 25, **options: Any) -> Session:
    """A session whose greeting has been read; the options are those of Session."""
    return Session(host, port, **options)
