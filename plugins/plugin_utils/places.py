"""Where a value was written: file and line, for findings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils.finding import Steps
from ansible_collections.valija.mailserver.plugins.plugin_utils.role_specs import ROLES

try:  # ansible-core 2.19 tags values with their origin, by an interface that it calls private.
    from ansible._internal._datatag._tags import Origin
except ImportError:  # pragma: no cover
    Origin = None

_VAULT = "$ANSIBLE_VAULT;"


@dataclass(frozen=True)
class Place:
    """A file and a line from 1 (0: not known), or, without a file, words such as those for the option -e."""

    file: Path | None
    line: int = 0
    words: str = ""

    def __str__(self) -> str:
        if self.file is None:
            return self.words
        here = Path.cwd()
        shown = self.file.relative_to(here) if self.file.is_relative_to(here) else self.file
        return f"{shown}:{self.line}" if self.line else str(shown)

    @property
    def in_a_role(self) -> bool:
        """Whether a role sets it (its own default, then), not the site."""
        return self.file is not None and re.search(r"/roles/[^/]+/(defaults|vars)/", str(self.file)) is not None

    @property
    def in_our_roles(self) -> bool:
        """Whether it is a default of this collection."""
        return self.file is not None and (self.file.is_relative_to(ROLES) or self.file.is_relative_to(ROLES.resolve()))


def place_of(value: object) -> Place | None:
    """Where Ansible says that it read the value; None for booleans, null and values made by a template."""
    tag = Origin.get_tag(value) if Origin is not None else None
    if tag is None:
        return None
    if tag.path:
        return Place(Path(tag.path), tag.line_num or 0)
    return Place(None, words=str(tag.description).strip("<>"))


def find(path: Steps, variables: dict[str, Any]) -> Place:
    """Where the value at `path` was written: its own place, else its key's, else that of what holds it.

    A variable's key is not asked: Ansible keeps the key that it met first, which is the role's.
    """
    best: Place | None = None
    value: Any = variables
    for depth, step in enumerate(path):
        if isinstance(value, dict):
            key = next((key for key in value if key == step), None)
            best = (place_of(key) if depth else None) or best
            value = value.get(step) if key is not None else None
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            break
        best = place_of(value) or best
    return best or _search(str(path[0]), variables)


def home(variables: dict[str, Any]) -> Place:
    """The file in which a site sets what it has not set yet."""
    folder = variables.get("inventory_dir")
    if not folder:
        return Place(None, words="group_vars/all/mail.yml")
    flat = Path(folder, "group_vars", "all.yml")
    return Place(flat if flat.is_file() else Path(folder, "group_vars", "all", "mail.yml"))


def as_written(place: Place, key: str) -> str | None:
    """What stands behind `key:` in the line, or behind a list's dash; None where that cannot be told."""
    if place.file is None or not place.line:
        return None
    try:
        lines = place.file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    if not lines or lines[0].startswith(_VAULT) or place.line > len(lines):
        return None
    line = lines[place.line - 1]
    match = re.search(rf"\b{re.escape(key)}\s*:\s+([^\s,\]}}#]+)", line) or re.search(r"^\s*-\s+([^\s,#]+)\s*$", line)
    return match.group(1) if match and "{" not in match.group(1) else None


def _search(name: str, variables: dict[str, Any]) -> Place:
    """The first line of the inventory's files that sets the name; the last resort, by reading them."""
    folder = Path(variables.get("inventory_dir") or ".")
    sources = [Path(variables["inventory_file"])] if variables.get("inventory_file") else []
    for room in ("host_vars", "group_vars"):
        sources += sorted(path for path in (folder / room).rglob("*") if path.is_file())
    for source in sources:
        try:
            lines = source.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        for number, line in enumerate(lines, 1):
            if re.match(rf"\s*['\"]?{re.escape(name)}['\"]?\s*[:=]", line):
                return Place(source.absolute(), number)
    return home(variables)
