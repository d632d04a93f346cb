"""What each line of a transcript means, in words: who said what kind of thing, and how it went."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from valija.messages import _
from valija.report import vocabulary

Kind = Literal["command", "reply", "data", "remark"]

# How a reply went, as SMTP's first digit says it; IMAP, POP3 and HTTP are put into the same four classes.
GOOD, ON, LATER, BAD = 2, 3, 4, 5


@dataclass(frozen=True)
class Said:
    """One line of a transcript, understood: `result` is 2, 3, 4 or 5 as in SMTP, or None; `text` begins with `code`."""

    at: float
    who: str
    text: str
    tls: str | None
    kind: Kind
    words: str = ""
    code: str = ""
    result: int | None = None


# A reader is given one line and says how it is to be understood; it keeps in mind what the next line may be.
Reader = Callable[[str, str], tuple[Kind, str, str, int | None]]


def annotate(transcript: Mapping[str, Any]) -> list[Said]:
    """The lines of a transcript (as in results.json), each with its meaning."""
    readers: dict[str, Callable[[], Reader]] = {"smtp": _smtp, "imap": _imap, "pop3": _pop3, "http": _http}
    family = re.sub(r"s$", "", str(transcript["protocol"]).lower())
    read = readers.get({"pop": "pop3", "submission": "smtp", "lmtp": "smtp"}.get(family, family), _unknown)()
    return list(_annotated(transcript["lines"], read))


def _annotated(lines: list[Mapping[str, Any]], read: Reader) -> Iterator[Said]:
    for line in lines:
        at, who, text, tls = float(line["at"]), str(line["who"]), str(line["text"]), line.get("tls")
        if who == "*":
            yield Said(at, who, text, tls, "remark")
        else:
            yield Said(at, who, text, tls, *read(who, text))


def _unknown() -> Reader:
    return lambda who, text: ("command" if who == "C" else "reply", "", "", None)


def enhanced(code: str) -> str:
    """An enhanced status code in words (RFC 3463), empty when it is not known or says no more than its class."""
    known = vocabulary.ENHANCED_CODES.get(code.partition(".")[2])
    vague = code.endswith(".0.0") or (code.startswith("2.") and code.endswith(".0"))
    return _(known) if known and not vague else ""


def smtp_reply(text: str) -> tuple[str, str, int | None]:
    """The words, the codes as they stand in the text, and the class of one line of an SMTP reply."""
    found = re.match(r"([2-5]\d\d)(?:[ -]([245]\.\d{1,3}\.\d{1,3})(?= |$))?", text)
    if not found:
        return "", "", None
    code, fine = int(found[1]), found[2] or ""
    words = _(vocabulary.SMTP_REPLIES.get(code, vocabulary.REPLY_CLASSES[code // 100]))
    if fine and (more := enhanced(fine)) and more.lower() not in words.lower():
        words = f"{words.rstrip('.')}: {more}."
    return words, found[0], code // 100


def _smtp() -> Reader:
    in_data = False
    last = ""
    seen: list[str] = []

    def read(who: str, text: str) -> tuple[Kind, str, str, int | None]:
        nonlocal in_data, last
        if who == "C":
            if in_data:
                in_data = text != "."
                if in_data:
                    return "data", "", "", None
                last = "."
                return "command", _("A dot alone: the message ends."), "", None
            last = text.split(" ", 1)[0].upper().rstrip(":")
            seen.clear()
            return "command", _word(vocabulary.SMTP_COMMANDS, last), "", None
        words, code, result = smtp_reply(text)
        in_data = in_data or code.startswith("354")
        keyword = re.match(r"250[ -](\S+)", text)
        if seen and last in ("EHLO", "LHLO") and keyword:
            words = _word(vocabulary.SMTP_EXTENSIONS, keyword[1].upper())
        elif seen:
            words = ""
        elif last in ("EHLO", "LHLO") and result == GOOD and text[3:4] == "-":
            words = _("Its name; the lines that follow say what it can do.")
        elif last == "." and result == GOOD:
            words = _("The server has the message, and answers for it from now on.")
        seen.append(text)
        if text[3:4] != "-":
            seen.clear()
        return "reply", words, code, result

    return read


def _imap() -> Reader:
    commands: dict[str, str] = {}
    octets = 0

    def read(who: str, text: str) -> tuple[Kind, str, str, int | None]:
        nonlocal octets
        if who == "C":
            tag, _space, rest = text.partition(" ")
            verb = next((word for word in rest.upper().split() if word != "UID"), tag.upper())
            commands[tag] = verb
            known = _word(vocabulary.IMAP_COMMANDS, verb)
            return ("command", known, "", None) if known or rest else ("data", "", "", None)
        tag, _space, rest = text.partition(" ")
        tagged = tag in commands and re.match(r"(OK|NO|BAD)\b", rest)
        if octets > 0 and not tagged and not re.match(r"\* \d+ FETCH\b", text):
            octets -= len(text.encode()) + 2
            return "data", "", "", None
        octets = int(found[1]) if (found := re.search(r"\{(\d+)\}$", text)) else 0
        return _imap_response(tag, rest)

    return read


def _imap_response(tag: str, rest: str) -> tuple[Kind, str, str, int | None]:
    results = {"OK": GOOD, "PREAUTH": GOOD, "NO": BAD, "BAD": BAD, "BYE": None}
    if tag == "+":
        return "reply", _(vocabulary.IMAP_RESPONSES["+"]), "+", ON
    numbered = re.match(r"\d+ (\w+)", rest)
    word = (numbered[1] if numbered else re.split(r"\W", rest, maxsplit=1)[0]).upper()
    words = _word(vocabulary.IMAP_RESPONSES, word)
    if tag == "*" and word == "OK":
        bracket = re.match(r"OK \[(\w+)", rest)
        words = _word(vocabulary.IMAP_CODES, bracket[1]) if bracket else _(vocabulary.SMTP_REPLIES[220])
    if word in results:
        return "reply", words, f"{tag} {word}", results[word]
    return ("reply", words, "", None) if words or tag == "*" else ("data", "", "", None)


def _pop3() -> Reader:
    last = ""
    in_data = False

    def read(who: str, text: str) -> tuple[Kind, str, str, int | None]:
        nonlocal last, in_data
        if who == "C":
            last = text
            return "command", _word(vocabulary.POP3_COMMANDS, text.split(" ", 1)[0].upper()), "", None
        if in_data:
            in_data = text != "."
            return "data", "" if in_data else _("A dot alone: the end."), "", None
        status = text.split(" ", 1)[0]
        result = {"+OK": GOOD, "-ERR": BAD, "+": ON}.get(status)
        verb, _space, argument = last.upper().partition(" ")
        in_data = status == "+OK" and (verb in ("RETR", "TOP", "CAPA") or (verb in ("LIST", "UIDL") and not argument))
        words = _word(vocabulary.POP3_RESPONSES, status) if last else _(vocabulary.SMTP_REPLIES[220])
        return "reply", words, status if result else "", result

    return read


def _http() -> Reader:
    in_body = {"C": False, "S": False}

    def read(who: str, text: str) -> tuple[Kind, str, str, int | None]:
        if who == "C" and (found := re.match(r"([A-Z]+) \S+(?: HTTP/[\d.]+)?$", text)):
            in_body["C"] = in_body["S"] = False
            return "command", _word(vocabulary.HTTP_METHODS, found[1]), "", None
        if who == "S" and (found := re.match(r"(?:HTTP/[\d.]+ )?([1-5]\d\d)\b", text)) and not in_body[who]:
            status = int(found[1])
            result = {2: GOOD, 3: ON, 4: BAD, 5: BAD}.get(status // 100)
            known = vocabulary.HTTP_STATUSES.get(status)
            return "reply", _(known) if known else "", found[0], result
        in_body[who] = in_body[who] or text == ""
        return "data", "", "", None

    return read


def _word(table: Mapping[str, str], key: str) -> str:
    return _(table[key]) if key in table else ""
