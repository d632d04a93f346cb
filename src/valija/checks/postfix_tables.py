"""Following an alias on the host by Postfix's own look-up, without sending any mail."""

from __future__ import annotations

from typing import Any

DEEPEST = 20


def split_tables(value: str) -> list[str]:
    """The tables of a main.cf value: separated by commas or white space, a brace holding its own together."""
    tables, depth, word = [], 0, ""
    for character in value:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0 and (character == "," or character.isspace()):
            tables.append(word)
            word = ""
        else:
            word += character
    return [table for table in [*tables, word] if table]


def look_up(host: Any, tables: list[str], name: str) -> list[str]:
    """Where an alias ends (aliases(5)): the names that no table leads further, sorted; a loop ends nowhere."""
    ends: set[str] = set()
    seen: set[str] = set()
    todo = [name]
    while todo and len(seen) < DEEPEST:
        current = todo.pop()
        if current in seen:
            continue
        seen.add(current)
        targets = _targets(host, tables, current)
        if not targets or "@" in current:
            ends.add(current)
        todo += [target for target in targets if target != current]
        if current in targets:
            ends.add(current)
    return sorted(ends)


def _targets(host: Any, tables: list[str], name: str) -> list[str]:
    asks = " || ".join(["postmap -q %s %s"] * len(tables))
    found = host.run(asks, *(word for table in tables for word in (name, table)))
    return [part.strip() for part in found.stdout.strip().split(",") if part.strip()] if found.rc == 0 else []
