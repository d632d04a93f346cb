"""The differences that Ansible reports (`--diff`), as coloured unified differences for people."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from valija.messages import _

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def lines(diff: Mapping[str, Any]) -> Iterator[str]:
    """One difference as unified lines, without their two header lines; a `prepared` one as it is."""
    if "prepared" in diff:
        yield from str(diff["prepared"]).splitlines()
        return
    before, after = _text(diff.get("before")), _text(diff.get("after"))
    compared = difflib.unified_diff(before.splitlines(), after.splitlines(), n=2, lineterm="")
    yield from list(compared)[2:]


def title(diff: Mapping[str, Any]) -> str:
    """What differs: a path, or whatever the module calls it."""
    return str(diff.get("after_header") or diff.get("before_header") or "")


def show(console: Console, event: Mapping[str, Any]) -> None:
    """Show the differences of one task on one host."""
    for diff in event["diff"]:
        shown = list(lines(diff))
        if not shown:
            continue
        head = Text.assemble((str(event["host"]), "bold"), " ", (title(diff) or str(event["task"]), "bold cyan"))
        if not diff.get("before") and "prepared" not in diff:
            head.append(" " + _("(new)"), "green")
        console.print(head, soft_wrap=True)
        for line in shown:
            console.print(Text(f"  {line}", style=_STYLES.get(line[:1], "")), soft_wrap=True)
        console.print()


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return "".join(f"{key}: {value[key]}\n" for key in value)
    return "" if value is None else str(value)
