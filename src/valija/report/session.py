"""The steps of a mail's journey, picked from recorded transcripts: what the sequence diagram draws."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from valija.messages import N_, _, ngettext
from valija.report.explain import Said, annotate

# Who takes part, from left to right.
CLIENT, MTA, MDA, MAILBOX, READER = range(5)

Transcript = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """One arrow: from whom to whom, the words on it (`code` is their beginning, if they have one), and its phase.

    `words` explain it. `inferred` marks what no client can see: it follows from the reply, and from the message that
    was read afterwards.
    """

    phase: str
    source: int
    target: int
    text: str
    code: str = ""
    result: int | None = None
    inferred: bool = False
    parcel: bool = False
    words: str = ""


GREETING, ENVELOPE, CONTENT, END = N_("Greeting"), N_("Envelope"), N_("Content"), N_("Farewell")
DELIVERY, READING = N_("Delivery"), N_("Reading")

_IMAP_SHOWN = ("LOGIN", "AUTHENTICATE", "STARTTLS", "SELECT", "EXAMINE", "FETCH", "LOGOUT")


def main_transcripts(results: Mapping[str, Any]) -> list[Transcript]:
    """The transcripts of the check that shows best how a message is sent and read back.

    That is the tutorial's session (A-20) if it passed, else one in which the server refused nothing. Empty when no
    check holds a delivered message.
    """
    checks = sorted(results["checks"], key=_oddity)
    sent = [check for check in checks if smtp_transcript(check["transcripts"])]
    for check in sent:
        if imap_transcript(check["transcripts"]):
            return list(check["transcripts"])
    if not sent:
        return []
    reading = (imap_transcript(check["transcripts"]) for check in checks)
    return [*sent[0]["transcripts"], *[one for one in reading if one][:1]]


def _oddity(check: Mapping[str, Any]) -> tuple[bool, bool, bool, bool]:
    """What makes a check's session less fit to be shown, the worst first."""
    smtp = smtp_transcript(check["transcripts"])
    refused = any(re.match("[45]", line["text"]) and line["who"] == "S" for line in (smtp or {}).get("lines", []))
    return check["outcome"] != "passed", check["id"] != "A-20", refused, check.get("step") != 3


def smtp_transcript(transcripts: Iterable[Transcript]) -> Transcript | None:
    """The SMTP conversation in which a message was sent."""
    return _first(transcripts, "smtp", "354")


def imap_transcript(transcripts: Iterable[Transcript]) -> Transcript | None:
    """The IMAP conversation in which a message was read."""
    return _first(transcripts, "imap", "FETCH")


def steps(transcripts: Sequence[Transcript]) -> list[Step]:
    """The journey: what client and MTA said up to the first message, its delivery, and how it was read."""
    result: list[Step] = []
    if smtp := smtp_transcript(transcripts):
        result += _smtp_steps(annotate(smtp))
    if imap := imap_transcript(transcripts):
        result += _imap_steps(annotate(imap))
    return result


def _first(transcripts: Iterable[Transcript], protocol: str, sign: str) -> Transcript | None:
    for one in transcripts:
        if one["protocol"].lower().startswith(protocol) and any(sign in line["text"] for line in one["lines"]):
            return one
    return None


def _smtp_steps(said: Sequence[Said]) -> Iterator[Step]:
    phase, queued, data, more = GREETING, "", [], 0
    for number, line in enumerate(said):
        verb = line.text.split(" ", 1)[0].upper() if line.kind == "command" else ""
        phase = {"MAIL": ENVELOPE, "DATA": CONTENT, "QUIT": END}.get(verb, phase)
        if queued and phase != END:
            more += verb == "MAIL"
        elif line.kind == "data":
            data.append(line.text)
        elif line.kind == "command":
            if data:
                yield Step(phase, CLIENT, MTA, _parcel(data), parcel=True, words=_("The message: headers and body."))
                data = []
            if more and verb == "QUIT":
                again = _("(messages after this one: {count})").format(count=more)
                yield Step(END, CLIENT, CLIENT, again)
            yield Step(phase, CLIENT, MTA, line.text, words=line.words)
        elif line.kind == "reply" and line.text[3:4] != "-":
            listed = number and said[number - 1].kind == "reply"
            words = _("Its name, and what it can do.") if listed else line.words
            yield Step(phase, MTA, CLIENT, _reply_text(said, number), line.code, line.result, words=words)
            found = re.search(r"queued as (\S+)", line.text)
            queued = found[1] if found else queued
    if queued:
        kept, written = _("Kept on disk, then handed over."), _("Written as a file of its own.")
        yield Step(DELIVERY, MTA, MDA, queued, inferred=True, words=kept)
        yield Step(DELIVERY, MDA, MAILBOX, _("Maildir/new"), inferred=True, words=written)


def _reply_text(said: Sequence[Said], number: int) -> str:
    """The last line of a reply; for a list of extensions its first line, and how many there are."""
    first = number
    while first and said[first - 1].kind == "reply" and said[first - 1].text[3:4] == "-":
        first -= 1
    if first == number:
        return said[number].text
    words = ngettext("{line} and {count} extension", "{line} and {count} extensions", number - first)
    return words.format(line=said[first].text.replace("-", " ", 1), count=number - first)


def _parcel(data: Sequence[str]) -> str:
    subject = next((line for line in data if line.lower().startswith("subject:")), "")
    words = ngettext("the message, {count} line", "the message, {count} lines", len(data))
    return subject or words.format(count=len(data))


def _imap_steps(said: Sequence[Said]) -> Iterator[Step]:
    shown = False
    tag = ""
    for line in said:
        if line.who == "C" and line.kind == "command":
            tag, _space, rest = line.text.partition(" ")
            shown = any(verb in rest.upper().split()[:2] for verb in _IMAP_SHOWN)
            if shown:
                yield Step(READING, READER, MAILBOX, rest, words=line.words)
        elif shown and line.kind == "reply":
            rest = line.text.partition(" ")[2]
            if re.match(r"\d+ EXISTS", rest):
                yield Step(READING, MAILBOX, READER, line.text, words=line.words)
            elif found := re.search(r"FETCH .*\{(\d+)\}$", line.text):
                words = _("the message, {count} octets").format(count=found[1])
                yield Step(READING, MAILBOX, READER, words, parcel=True, words=_("The same bytes as were sent."))
            elif line.text.startswith(tag + " "):
                code = line.code.partition(" ")[2]
                yield Step(READING, MAILBOX, READER, rest, code, line.result, words=line.words)
