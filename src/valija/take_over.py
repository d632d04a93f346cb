"""The machine that one sits at: what `valija apply` would take over there is said, and a person confirms it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click
from ansible_collections.valija.mailserver.plugins.module_utils.header import is_managed
from rich.console import Console
from rich.text import Text

from valija.messages import _
from valija.progress import TAKE_OVER
from valija.runner import Outcome

# The variable that confirms it, in the form of the option -e.
CONFIRMED = json.dumps({"mail_take_over_confirmed": True})


@dataclass(frozen=True)
class TakenOver:
    """What a plan would do to what is there: to files and links that are not Valija's, and to daemons."""

    replaced: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    services: tuple[str, ...] = ()


def is_asked(outcome: Outcome) -> bool:
    """Whether a run has stopped before the first change of this machine, because nobody has confirmed it."""
    return any(failure.refused == TAKE_OVER for failure in outcome.failures)


def of_plan(plan: Outcome, stopped: Outcome) -> TakenOver:
    """What a plan would do to the hosts that a run has stopped at."""
    hosts = {failure.host for failure in stopped.failures if failure.refused == TAKE_OVER}
    parts = [diff for event in plan.record.diffs if event["host"] in hosts for diff in event["diff"]]
    strangers = [diff for diff in parts if _is_somebody_elses(diff)]
    return TakenOver(
        replaced=tuple(sorted({str(diff["after_header"]) for diff in strangers if diff["after"]})),
        removed=tuple(sorted({str(diff["after_header"]) for diff in strangers if not diff["after"]})),
        services=tuple(
            dict.fromkeys(
                line for diff in parts if diff.get("after_header") == "services" for line in diff["after"].splitlines()
            )
        ),
    )


def _is_somebody_elses(diff: Mapping[str, Any]) -> bool:
    """Whether the difference is about the content of a file or link that does not say that it is Valija's."""
    before = str(diff.get("before") or "")
    is_path = str(diff.get("after_header") or "").startswith("/")
    only_owner = all(line.split(":")[0] in ("owner", "group", "mode") for line in before.splitlines())
    return is_path and not only_owner and before != "folder\n" and not is_managed(before)


def show(console: Console, stopped: Outcome, taken: TakenOver) -> None:
    """Say all that would be taken over, before it is asked."""
    for failure in stopped.failures:
        if failure.refused == TAKE_OVER:
            console.print(Text(failure.message), soft_wrap=True)
    for words, values in (
        (_("Files that would be replaced; what is there now stays beside them as FILE.before-valija:"), taken.replaced),
        (_("Files and links that would be removed:"), taken.removed),
        (_("Daemons:"), taken.services),
    ):
        if values:
            console.print(Text(f"{words} {', '.join(values)}"), soft_wrap=True)


def has_terminal() -> bool:
    """Whether a person can answer."""
    return sys.stdin.isatty()


def confirmed(console: Console) -> bool:
    """Ask on the terminal; without one the answer is no."""
    if not has_terminal():
        words = _("This machine was not touched: there is no terminal to ask at. `--yes` confirms.")
        console.print(Text(words, style="bold red"))
        return False
    try:
        if click.confirm(_("Take this machine over?"), default=False, err=True):
            return True
    except click.Abort:
        console.print()
    console.print(Text(_("This machine was not touched."), style="bold red"))
    return False
