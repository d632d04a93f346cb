"""`valija apply`: bring the hosts of a site to the state that its inventory asks for."""

from __future__ import annotations

from typing import Any

import click

from valija import summary
from valija.messages import _
from valija.options import playbook_options
from valija.runner import run_playbook


@click.command(
    help=_(
        "Bring the hosts of a site to the state that its inventory asks for.\n\n"
        "What can be refused is refused before a host is touched. Packages are installed, configuration is written "
        "(what was there before is kept beside it), daemons are restarted where they have to, accounts are made. "
        "A second run changes nothing. It is safe to interrupt it and to run it again.\n\n"
        "Exit code: 0 done, 1 a host failed, 2 the input is wrong and nothing was touched."
    )
)
@playbook_options
def command(as_json: bool, **options: Any) -> int:
    """Run the playbook `site`."""
    progress = summary.progress_for(as_json)
    outcome = run_playbook("site", progress=progress, **options)
    if as_json:
        click.echo(summary.outcome_json(outcome))
    else:
        summary.show_outcome(progress.console, outcome)
    return outcome.exit_code
