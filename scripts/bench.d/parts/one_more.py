"""B4: one more account where there are 10,000."""

from __future__ import annotations

import itertools
import statistics
from typing import Any

from ground import PEERS, Ground
from measure import interleaved, timed

from parts.plan import Plan, at_most, named, report, table

TITLE = "one more account at 10,000"
OURS, PLAY, CALL = (
    "valija accounts add",
    "ansible-playbook valija.mailserver.accounts",
    "a playbook of one trivial module",
)


def measure(plan: Plan) -> dict[str, Any]:
    ground = Ground("more", plan.release)
    ground.fresh()
    (ground.site / "accounts.csv").write_text(table(10_000))
    ground.set_values("zz_bench", {"mail_accounts": named(1), "mail_accounts_file": "accounts.csv"})
    ground.playbook("valija.mailserver.accounts")
    numbers = itertools.count(1)
    calls: dict[str, int] = {}

    def add() -> float:
        name = f"more{next(numbers)}"
        done: list[dict[str, Any]] = []
        seconds = timed(lambda: done.append(ground.run("accounts add", name, "--generate")))
        calls["internet"] = sum(done[0]["remote_calls"].values())
        ground.sh(f"getent passwd {name} && test -d /home/{name}/Maildir/new")
        return seconds

    cases = {
        OURS: add,
        PLAY: lambda: timed(lambda: ground.playbook("valija.mailserver.accounts")),
        CALL: lambda: timed(lambda: ground.playbook(PEERS / "one_call.yml")),
    }
    seconds = interleaved(plan.chosen(cases), plan.rounds or 5)
    median = {name: statistics.median(found) for name, found in seconds.items()}
    lines = [
        at_most(f"{name} beside one module", median[name] / median[CALL], 1.5, " x")
        for name in (OURS, PLAY)
        if name in median and CALL in median
    ]
    notes = [
        "The accounts stand in a table of 10,000 rows. `valija accounts add` makes a password and its hash as well."
    ]
    return report(TITLE, seconds, OURS, lines, notes, calls={"the accounts alone": calls})
