"""The roles, from their argument specifications."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from markdown import options, paragraphs, table

ROLES = Path(__file__).parents[2] / "roles"
# In the order of the play; a role that is not named here comes last.
ORDER = ("mail", "accounts", "postfix", "courier", "apache", "squirrelmail", "roundcube")
_REFERENCE = re.compile(r"\{\{ (mail_\w+) \}\}")


INTRODUCTION = """\
A site sets `mail_*` once, in its inventory; the other roles refine what concerns one service alone. Valija refuses a
name with one of its prefixes that is not here."""


def page() -> str:
    """One table for each role."""
    names = sorted(path.name for path in ROLES.iterdir())
    return "\n\n".join(["# Roles", INTRODUCTION, *(section(name) for name in sorted(names, key=order))])


def order(name: str) -> int:
    """Where a role stands on the page."""
    return ORDER.index(name) if name in ORDER else len(ORDER)


def section(name: str) -> str:
    """What one role is, and its variables."""
    main = load(name, "meta/argument_specs.yml")["argument_specs"]["main"]
    given = main.get("options") or {}
    for variable, default in defaults(name).items():
        reference = _REFERENCE.fullmatch(default) if isinstance(default, str) else None
        if reference and variable in given:
            given[variable].setdefault("default", reference[1])
    rows = options(given, "options")
    text = f"## {name}\n\n{main['short_description']}.\n\n{paragraphs(main['description'])}"
    return f"{text}\n\n{table(['Variable', 'Type', 'Default', 'Meaning'], rows)}" if rows else text


def defaults(name: str) -> dict[str, Any]:
    """The values of a role's defaults/main.yml; none when its defaults are a folder."""
    return load(name, "defaults/main.yml") or {}


def load(name: str, path: str) -> Any:
    """A YAML file of a role, or None."""
    file = ROLES / name / path
    return yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
