"""B5: aliases and domains by the thousand."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from typing import Any

from ground import Ground, Unfit
from measure import exponent, interleaved, timed

from parts.plan import Plan, at_most, report

TITLE = "1,000 domains and 10,000 aliases"
# The line is for ten thousand; fifty thousand show how it goes on.
SIZES = (1_000, 10_000, 50_000)
MANY = 10_000
DOMAINS = 1_000
WRITTEN = "play postfix, 10,000 aliases changed, as YAML"
PROFILE = {"mail_profile": "tutorial"}
CALL, HAND = "the same play, nothing to do", "postalias and postmap by hand, 10,000"


def measure(plan: Plan) -> dict[str, Any]:
    ground = Ground("aliases", plan.release)
    ground.fresh("packages")
    ground.set_values("zz_bench", PROFILE)
    ground.valija("apply")
    turns = itertools.cycle(("alice", "bob"))

    def ours(count: int, *, as_yaml: bool = False) -> float:
        _write(ground, count, next(turns), as_yaml)
        ground.playbook("valija.mailserver.postfix")  # the domains change main.cf, which restarts Postfix
        started = _started(ground)
        reader = next(turns)
        next(turns)
        _write(ground, count, reader, as_yaml)
        seconds = timed(lambda: ground.playbook("valija.mailserver.postfix"))
        there = ground.sh(
            "postalias -q name00007 lmdb:/etc/aliases; "
            "postmap -q name00007@d0007.example.net $(postconf -h virtual_alias_maps)"
        )
        if there.split() != [reader, reader] or _started(ground) != started:
            raise Unfit(f"the aliases lead to {there.split()}, not to {reader}; or Postfix was restarted")
        return seconds

    def nothing() -> float:
        ground.set_values("zz_bench", PROFILE)
        ground.playbook("valija.mailserver.postfix")
        return timed(lambda: ground.playbook("valija.mailserver.postfix"))

    def by_hand() -> float:
        ground.sh("mkdir -p /root/hand")
        ground.sh("cat >/root/hand/aliases", _lines(": ").encode())
        ground.sh("cat >/root/hand/virtual", _lines("@d0001.example.net ").encode())
        line = "cd /root/hand && postalias lmdb:aliases && postmap lmdb:virtual"
        return timed(lambda: ground.sh(line))

    cases = {_name(count): (lambda count=count: ours(count)) for count in SIZES}
    cases |= {WRITTEN: lambda: ours(MANY, as_yaml=True), CALL: nothing, HAND: by_hand}
    seconds = interleaved(plan.chosen(cases), plan.rounds or 3)
    median = {name: statistics.median(found) for name, found in seconds.items()}
    lines = []
    if {_name(MANY), CALL, HAND} <= median.keys():
        allowed = 1.5 * median[HAND] + median[CALL]
        lines.append(
            at_most("10,000 aliases beside 1.5 x by hand and one play", median[_name(MANY)] / allowed, 1, " x")
        )
    if CALL in median and all(_name(count) in median for count in SIZES):
        above = {count: max(_above(seconds[_name(count)], seconds[CALL]), 0.01) for count in SIZES}
        lines.append(at_most("growth exponent of what comes on top of the play", exponent(above), 1.1))
    notes = [
        "1,000 domains, half of the aliases in every domain, half in one alone, in "
        "`mail_aliases_file`. The targets of all change; the tables are looked up afterwards, and Postfix must not "
        "have been restarted. By hand: two tables of 5,000 that are on the host already, and one connection. The one "
        "call that ours may cost beside it is the same play with nothing to do. Profile tutorial: internet has a third "
        "table.",
    ]
    return report(TITLE, seconds, _name(MANY), lines, notes)


def _above(ours: Sequence[float], nothing: Sequence[float]) -> float:
    """What a change costs on top of the play, round by round: the machine's load is that of the same minute."""
    return statistics.median(one - other for one, other in zip(ours, nothing, strict=True))


def _name(count: int) -> str:
    return f"play postfix, {count:,} aliases changed"


def _write(ground: Ground, count: int, reader: str, as_yaml: bool) -> None:
    """So many aliases into the site, all leading to the reader: into a file of their own, or as YAML."""
    domains = [f"d{number:04}.example.net" for number in range(DOMAINS)]
    half = range(count // 2)
    aliases = {f"name{number:05}": reader for number in half}
    aliases |= {f"name{number:05}@{domains[number % len(domains)]}": reader for number in half}
    values = {**PROFILE, "mail_domains": domains}
    if as_yaml:
        ground.set_values("zz_bench", {**values, "mail_aliases": aliases})
        return
    (ground.site / "aliases.txt").write_text("".join(f"{name}: {target}\n" for name, target in aliases.items()))
    ground.set_values("zz_bench", {**values, "mail_aliases_file": "aliases.txt"})


def _lines(between: str) -> str:
    return "".join(f"name{number:05}{between}alice\n" for number in range(MANY // 2))


def _started(ground: Ground) -> str:
    return ground.sh("systemctl show -p ActiveEnterTimestampMonotonic --value postfix.service 'postfix@-.service'")
