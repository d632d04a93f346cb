"""Who receives the mail to a name: the alias table of aliases(5), and how a site's vocabulary becomes one.

Sources: aliases(5) of Postfix, RFC 2142 (mailbox names for common services), RFC 5321 section 4.5.1 (postmaster).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils.site_names import ROLE_ADDRESSES

# What a name or a target may hold without quotes; all else, a program's `|` among it, is refused rather than quoted.
_NAME = re.compile(r"[A-Za-z0-9._+=~^!$%&'*?{}`\x80-\U0010ffff-]+")
_ADDRESS = re.compile(rf"(?P<local>{_NAME.pattern})(@(?P<domain>[A-Za-z0-9.\[\]:\x80-\U0010ffff-]+))?")


def parse_aliases(text: str) -> dict[str, list[str]]:
    """Read aliases(5): name to its targets, in the file's order. ValueError for a line without a name."""
    lines: list[str] = []
    for line in text.split("\n"):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0].isspace() and lines:
            lines[-1] += line
        else:
            lines.append(line)
    table: dict[str, list[str]] = {}
    for line in lines:
        name, colon, targets = line.partition(":")
        if not colon or not name.strip():
            raise ValueError(f"aliases: no name: {line!r}")
        table[name.strip().strip('"')] = [target.strip() for target in targets.split(",") if target.strip()]
    return table


def render_aliases(table: Mapping[str, Sequence[str]]) -> str:
    """Write aliases(5), one line a name.

    ValueError for a name or a target that is no plain address: no command, file or include is ever written.
    """
    lines = []
    for name, targets in table.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"aliases: not a plain name: {name!r}")
        wrong = [target for target in targets if not _ADDRESS.fullmatch(target)]
        if wrong or not targets:
            raise ValueError(f"aliases: {name}: not a plain address: {', '.join(map(repr, wrong)) or 'nothing'}")
        lines.append(f"{name}: {', '.join(targets)}\n")
    return "".join(lines)


def local_aliases(
    aliases: Mapping[str, Any], accounts: Iterable[Mapping[str, Any]], postmaster: str
) -> dict[str, list[str]]:
    """The names that hold in every domain of a site, sorted, as a table for ``render_aliases``.

    ``aliases`` and ``accounts`` are ``mail_aliases`` and ``mail_accounts``; a name with ``@`` is not local and is left
    to ``address_aliases``, in both. An alias of an account that is absent is gone with it. ``postmaster`` leads to the
    person named, and the other role addresses to postmaster, unless the site gave the name to somebody: an account or
    an alias of that name wins.
    """
    table: dict[str, list[str]] = {}
    taken = {"postmaster", postmaster.lower()}
    for account in accounts:
        if account.get("state") == "absent":
            continue
        taken.add(account["name"].lower())
        for alias in account.get("aliases") or []:
            if "@" not in alias:
                _add(table, alias, [account["name"]])
    for name, targets in aliases.items():
        if "@" not in name:
            _add(table, name, _targets(targets))
    if postmaster.lower() != "postmaster":
        table.setdefault("postmaster", [postmaster])
    for name in ROLE_ADDRESSES:
        if name not in taken:
            table.setdefault(name, ["postmaster"])
    return dict(sorted(table.items()))


def address_aliases(aliases: Mapping[str, Any], accounts: Iterable[Mapping[str, Any]] = ()) -> dict[str, list[str]]:
    """The names that hold in one domain alone, those with ``@``, sorted, as a table for virtual(5)."""
    table: dict[str, list[str]] = {}
    for account in accounts:
        if account.get("state") == "absent":
            continue
        for alias in account.get("aliases") or []:
            if "@" in alias:
                _add(table, alias, [account["name"]])
    for name, targets in aliases.items():
        if "@" in name:
            _add(table, name, _targets(targets))
    return dict(sorted(table.items()))


def _targets(value: Any) -> list[str]:
    """A site may write one target without the list."""
    return [value] if isinstance(value, str) else list(value)


def _add(table: dict[str, list[str]], name: str, targets: list[str]) -> None:
    """Add targets to a name; names are compared in lower case, as aliases(5) does, and a target is listed once."""
    known = table.setdefault(name.lower(), [])
    known += [target for target in targets if target not in known]
