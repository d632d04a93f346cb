"""How a run ended, for people (tables) and for programs (JSON)."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from valija.messages import _
from valija.progress import Progress, elapsed, make_progress
from valija.runner import Outcome


def progress_for(as_json: bool) -> Progress:
    """Progress on the standard output; on the error output when the former carries JSON."""
    return make_progress(Console(file=sys.stderr if as_json else sys.stdout, highlight=False))


def outcome_data(outcome: Outcome, *, diffs: bool = False) -> dict[str, Any]:
    """An outcome as plain values."""
    data: dict[str, Any] = {
        "exit_code": outcome.exit_code,
        "seconds": round(outcome.seconds, 1),
        "changed": outcome.changed,
        "hosts": {
            host: dict(tally) | {"changed_tasks": outcome.record.changed_tasks.get(host, [])}
            for host, tally in sorted(outcome.record.tallies.items())
        },
        "remote_calls": outcome.remote_calls,
        "failures": [
            {"host": one.host, "task": one.task, "refused": one.refused, "findings": one.message.splitlines()}
            for one in outcome.failures
        ],
        "command": list(outcome.command),
    }
    if outcome.errors and outcome.exit_code:
        data["errors"] = outcome.errors.splitlines()
    if diffs:
        data["diffs"] = [
            {"host": event["host"], "task": event["task"], "diff": event["diff"]} for event in outcome.record.diffs
        ]
    return data


def outcome_json(outcome: Outcome, *, diffs: bool = False) -> str:
    """An outcome as one JSON object."""
    return json.dumps(outcome_data(outcome, diffs=diffs), indent=2, ensure_ascii=False)


def show_outcome(console: Console, outcome: Outcome, *, check: bool = False) -> None:
    """A line for each host, and one for the whole."""
    if outcome.exit_code == 2:
        console.print(Text(_("Nothing was touched: the input is wrong."), style="bold red"))
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column(_("host"), style="bold")
    for name in (_("would change") if check else _("changed"), _("ok"), _("failed"), _("remote calls")):
        table.add_column(name, justify="right")
    for host, tally in sorted(outcome.record.tallies.items()):
        failed = tally["failed"] + tally["unreachable"]
        table.add_row(
            host,
            Text(str(tally["changed"]), style="yellow" if tally["changed"] else ""),
            str(tally["ok"] - tally["changed"]),
            Text(str(failed), style="bold red" if failed else ""),
            str(outcome.remote_calls.get(host, 0)),
        )
    console.print(table)
    console.print(Text(_sentence(outcome, check), style="bold red" if outcome.exit_code else "bold green"))


def _sentence(outcome: Outcome, check: bool) -> str:
    if outcome.exit_code:
        words = _("A host failed after {time}; what it says stands above.")
    elif check:
        words = _("Tasks that would change something: {count}.") if outcome.changed else _("Nothing to change.")
    else:
        words = _("Done in {time}.") if outcome.changed else _("Done in {time}: nothing had to change.")
    return words.format(time=elapsed(outcome.seconds), count=outcome.changed)
