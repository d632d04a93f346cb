"""`valija plan`: show what `valija apply` would change, without changing it."""

from __future__ import annotations

from typing import Any

import click

from valija import differences, summary
from valija.messages import _
from valija.options import playbook_options
from valija.runner import run_playbook


@click.command(
    help=_(
        "Show what `valija apply` would change, file by file, without changing anything.\n\n"
        "Secrets are masked. Exit code: 0 done, 1 a host failed, 2 the input is wrong."
    )
)
@playbook_options
def command(as_json: bool, **options: Any) -> int:
    """Run the playbook `site` in check mode, with differences."""
    progress = summary.progress_for(as_json)
    outcome = run_playbook("site", check=True, diff=True, progress=progress, **options)
    if as_json:
        click.echo(summary.outcome_json(outcome, diffs=True))
        return outcome.exit_code
    if not options["verbosity"]:
        for event in outcome.record.diffs:
            differences.show(progress.console, event)
    summary.show_outcome(progress.console, outcome, check=True)
    return outcome.exit_code
