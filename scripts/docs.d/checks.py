"""The checks, from the marks of the suite, and the rows of the catalogue that still wait."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType

from markdown import code, prose, table

import valija.checks
from valija.checks.marks import Check
from valija.checks.plugin import waiting


def page() -> str:
    """A table for each behaviour, then the rows without a check."""
    modules = [name for _, name, _ in pkgutil.iter_modules(valija.checks.__path__) if name.startswith("test_")]
    found = {name: list(checks_of(importlib.import_module(f"valija.checks.{name}"))) for name in modules}
    built = {check.id for checks in found.values() for check in checks}
    rows = waiting()
    parts = [
        "# Checks",
        f"What `valija prove` proves: {len(built)} rows of the catalogue have a check, {len(rows)} wait for one. "
        "`quick` runs with every `valija prove`, `full` in the lab and in CI, `slow` when asked for. "
        "`outside` speaks from the control node, `stranger` from one of the lab's many other addresses, "
        "`loopback` and `host` on the host itself, `client` as a person's program: from the control node, "
        "wherever that is.",
    ]
    for name, checks in found.items():
        parts += [f"## {name.removeprefix('test_')}", table(HEADINGS, [row(check) for check in checks])]
    parts += ["## Waiting", "Never counted as passed."]
    parts.append(table(["Id", "Title", "Waits for"], [[one["id"], one["title"], one["waits_for"]] for one in rows]))
    return "\n\n".join(parts)


HEADINGS = ["Id", "What is proved", "By", "Tier", "From"]


def row(check: Check) -> list[str]:
    """A check as a row of its table."""
    return [check.id, prose(check.title), ", ".join(check.clauses), check.tier, code(check.vantage)]


def checks_of(module: ModuleType) -> Iterator[Check]:
    """The checks of a module, in the order of the file, each once however many variants it has."""
    functions = [one for name, one in vars(module).items() if name.startswith("test_") and inspect.isfunction(one)]
    seen = set()
    for function in functions:
        for mark in getattr(function, "pytestmark", []):
            variants = mark.args[1] if mark.name == "parametrize" else []
            marks = [mark, *(inner for variant in variants for inner in getattr(variant, "marks", ()))]
            for check in (one.args[0] for one in marks if one.name == "check"):
                if (check.id, check.title) not in seen:
                    seen.add((check.id, check.title))
                    yield check
