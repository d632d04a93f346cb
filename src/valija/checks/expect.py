"""Assertions whose text a person understands: what was sent, what came, what is owed."""

from __future__ import annotations

from dataclasses import dataclass

from valija.messages import _
from valija.probes import smtp
from valija.probes.smtp import Reply


@dataclass(frozen=True)
class Heard:
    """A reply of the run, with where it breaks the reply grammar and where its enhanced status code is wrong."""

    reply: str
    grammar: list[str]
    enhanced: list[str]


def heard(reply: Reply) -> Heard:
    """A reply with what is wrong about its form."""
    return Heard(str(reply), smtp.grammar_problems(reply), smtp.enhanced_code_problems(reply))


def answered(reply: Reply, *codes: int, enhanced: str = "") -> Reply:
    """Assert that a reply has one of the codes, and the enhanced status code if one is given; returns the reply."""
    owed = " / ".join(str(code) for code in codes) + (f" {enhanced}" if enhanced else "")
    sent = reply.sent if len(reply.sent) <= 100 else reply.sent[:100] + "..."
    said = _("{sent!r} was answered {reply!r}; {owed} is owed.").format(
        sent=sent or _("the connection"), reply=str(reply), owed=owed
    )
    assert reply.code in codes, said
    assert not enhanced or reply.enhanced == enhanced, said
    return reply


def refused(reply: Reply) -> Reply:
    """Assert a permanent refusal, 5xx."""
    sent = reply.sent
    assert 500 <= reply.code <= 599, _("{sent!r} was answered {reply!r}; a refusal, 5xx, is owed.").format(
        sent=sent, reply=str(reply)
    )
    return reply


def keywords(reply: Reply) -> set[str]:
    """The keywords that an answered EHLO offers, in upper case (RFC 5321 section 4.1.1.1)."""
    answered(reply, 250)
    return {line.split()[0].upper() for line in reply.lines[1:] if line.strip()}


def offers(reply: Reply, keyword: str, *, owed: bool = True) -> None:
    """Assert that an answered EHLO offers a keyword, or that it does not when it is not `owed`."""
    found = keywords(reply)
    words = _("EHLO does not offer {keyword}: {found}") if owed else _("EHLO offers {keyword}: {found}")
    assert (keyword in found) is owed, words.format(keyword=keyword, found=", ".join(sorted(found)))
