"""`valija apply`: bring the hosts of a site to the state that its inventory asks for."""

from __future__ import annotations

from typing import Any

import click

from valija import summary, take_over
from valija.messages import _
from valija.options import playbook_options
from valija.runner import Outcome, run_playbook


@click.command(
    help=_(
        "Bring the hosts of a site to the state that its inventory asks for.\n\n"
        "What can be refused is refused before a host is touched. Packages are installed, configuration is written "
        "(what was there before is kept beside it), daemons are restarted where they have to, accounts are made. "
        "A second run changes nothing. It is safe to interrupt it and to run it again.\n\n"
        "Where a host is the machine itself (ansible_connection: local), what would be taken over is shown and asked "
        "first, once.\n\n"
        "Exit code: 0 done, 1 a host failed, 2 the input is wrong, or this machine was not confirmed, and nothing was "
        "touched."
    )
)
@click.option("--yes", is_flag=True, help=_("Take over the machine itself without asking. Other hosts never ask."))
@playbook_options
def command(yes: bool, as_json: bool, **options: Any) -> int:
    """Run the playbook `site`; where it stops at this machine, ask and run it again."""
    progress = summary.progress_for(as_json)
    if yes:
        options["extra_vars"] = (*options["extra_vars"], take_over.CONFIRMED)
    outcome = run_playbook("site", progress=progress, **options)
    asked = take_over.is_asked(outcome)
    if asked and _is_confirmed(outcome, as_json, options):
        options["extra_vars"] = (*options["extra_vars"], take_over.CONFIRMED)
        outcome, asked = run_playbook("site", progress=summary.progress_for(as_json), **options), False
    if as_json:
        click.echo(summary.outcome_json(outcome))
    elif not asked or outcome.exit_code != 2:
        summary.show_outcome(progress.console, outcome)
    return outcome.exit_code


def _is_confirmed(outcome: Outcome, as_json: bool, options: dict[str, Any]) -> bool:
    """Show what a plan would take over of this machine, and ask."""
    plan = run_playbook("site", check=True, diff=True, progress=summary.progress_for(as_json), **options)
    console = summary.progress_for(as_json).console
    take_over.show(console, outcome, take_over.of_plan(plan, outcome))
    return not plan.exit_code and take_over.confirmed(console)
