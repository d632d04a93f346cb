"""Replies that differ from one release of Postfix to another (postconf(5), HISTORY)."""

from __future__ import annotations

from dataclasses import dataclass

from valija.probes.smtp import Reply

Version = tuple[int, int]


@dataclass(frozen=True)
class Owed:
    """A reply that is owed: its code, and its enhanced status code or an empty text."""

    code: int
    enhanced: str = ""

    def is_met_by(self, reply: Reply) -> bool:
        return reply.code == self.code and (not self.enhanced or reply.enhanced == self.enhanced)

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced}".strip()


def version_of(text: str) -> Version:
    """`3.10.13` -> (3, 10)."""
    major, minor = text.strip().split(".")[:2]
    return int(major), int(minor)


def unknown_verb(version: Version) -> Owed:
    """EXPN, SEND, SOML, SAML, TURN: verbs that Postfix does not have."""
    return Owed(502, "5.5.2") if version < (3, 7) else Owed(500, "5.5.2")


def help_verb(version: Version) -> Owed:
    """HELP is a command from 3.9 on."""
    return Owed(214, "2.0.0") if version >= (3, 9) else unknown_verb(version)
