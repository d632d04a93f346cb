"""Clauses of standards as links to the text itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RFC = re.compile(r"RFC (\d+)(?:,? (sections?|appendix|appendices) ([\w., ]+))?$")


@dataclass(frozen=True)
class Clause:
    """A clause and where to read it; `url` is empty for what is not an RFC."""

    text: str
    url: str = ""


def links(clause: str) -> list[Clause]:
    """`RFC 5321 sections 3.3, 4.1.1` as a link for each section; other texts as they are."""
    found = _RFC.match(clause.strip())
    if not found:
        return [Clause(clause)]
    page = f"https://www.rfc-editor.org/rfc/rfc{found[1]}"
    if not found[3]:
        return [Clause(clause, page)]
    kind, sign = ("appendix", "App. ") if found[2].startswith("appendi") else ("section", "§")
    parts = [part for part in re.split(r",\s*|\s+and\s+", found[3]) if part]
    first, *others = [Clause(f"{sign}{part}", f"{page}#{kind}-{part}") for part in parts]
    return [Clause(f"RFC {found[1]} {first.text}", first.url), *others]
