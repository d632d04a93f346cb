"""What a run was asked for, and the shape of its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from ansible_collections.valija.mailserver.plugins.module_utils.hashing import hash_password
from measure import figures

T = TypeVar("T")

# The password of every account that is made here.
PASSWORD = "the bench's password"


@dataclass(frozen=True)
class Plan:
    """The release of the hosts, rounds (None: the part's own number), and words that a case's name must have."""

    release: str
    rounds: int | None
    words: tuple[str, ...]

    def chosen(self, cases: Mapping[str, T]) -> dict[str, T]:
        return {name: case for name, case in cases.items() if self.wants(name)}

    def wants(self, name: str) -> bool:
        return not self.words or any(word in name for word in self.words)


@cache
def password_hash() -> str:
    """One hash for all: what making hashes costs is a figure of its own."""
    return hash_password(PASSWORD)


def named(count: int) -> list[dict[str, str]]:
    """Accounts for a site: alice, who reads postmaster's mail, and others."""
    names = ["alice", *(f"user{number:06}" for number in range(1, count))]
    return [{"name": name, "password_hash": password_hash(), "full_name": name.title()} for name in names]


def table(count: int) -> str:
    """The same as a table of accounts, without alice."""
    rows = (f"{one['name']},{one['password_hash']},{one['full_name']}\n" for one in named(count + 1)[1:])
    return "name,password_hash,full_name\n" + "".join(rows)


def report(
    title: str,
    seconds: Mapping[str, Sequence[float]],
    ours: str,
    lines: Sequence[Mapping[str, Any]] = (),
    notes: Sequence[str] = (),
    estimates: Mapping[str, float] | None = None,
    calls: Mapping[str, Mapping[str, int]] | None = None,
    growth: Mapping[str, Mapping[int, float]] | None = None,
) -> dict[str, Any]:
    """The figures of a part; each case beside ours, as a multiple of its median.

    `calls` are the remote calls of a kind of run, by profile; `growth` the seconds of a way, by count.
    """
    cases: dict[str, dict[str, Any]] = {name: figures(found) for name, found in seconds.items() if found}
    for name, value in (estimates or {}).items():
        cases[name] = {"median": value, "least": value, "most": value, "rounds": []}
    if ours in cases:
        for name, figure in cases.items():
            figure["beside"] = "1" if name == ours else f"{figure['median'] / cases[ours]['median']:.2f} x"
    more = {"calls": calls or {}, "growth": growth or {}}
    return {"title": title, "cases": cases, "lines": list(lines), "notes": list(notes), **more}


def at_most(what: str, value: float, limit: float, unit: str = "") -> dict[str, Any]:
    """A line that a figure must not pass."""
    return {"line": f"{what} ≤ {limit:g}{unit}", "figure": f"{value:.2f}{unit}", "held": value <= limit}


def at_least(what: str, value: float, limit: float, unit: str = "") -> dict[str, Any]:
    """A line that a figure must reach."""
    return {"line": f"{what} ≥ {limit:,g}{unit}", "figure": f"{value:,.1f}{unit}", "held": value >= limit}
