"""`valija prove`: hold the conversations that show that the hosts of a site work, and write the report."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from valija import evidence, summary
from valija.messages import _
from valija.options import playbook_options
from valija.runner import run_playbook


@click.command(
    help=_(
        "Prove that the hosts of a site work, by conversation.\n\n"
        "Speaks SMTP, IMAP, POP3 and HTTP with each host as its users and strangers would, through probe accounts "
        "that are made for it and removed again. Messages go to these alone. Writes a report with every line that was "
        "said.\n\n"
        "Exit code: 0 every check passed, 1 a check or a host failed, 2 the input is wrong."
    )
)
@click.option(
    "--tier",
    type=click.Choice(["quick", "full", "slow"]),
    default="quick",
    show_default=True,
    help=_("How much: quick takes seconds, full a few minutes, slow waits and floods."),
)
@click.option(
    "--only", metavar="EXPRESSION", help=_("Only these checks: a catalogue id such as A-20, or pytest's -k expression.")
)
@click.option(
    "--report",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help=_("The folder for the report; made when missing. Default: a dated folder in the user's state folder."),
)
@playbook_options
def command(
    tier: str, only: str | None, directory: Path | None, as_json: bool, extra_vars: tuple[str, ...], **options: Any
) -> int:
    """Run the playbook `prove`, then show what its suite wrote."""
    directory = (directory or evidence.new_folder(options["inventory"])).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    ours = json.dumps({"prove_tier": tier, "prove_only": only or "", "prove_report_dir": str(directory)})
    progress = summary.progress_for(as_json)
    begun = time.time()
    colour = {"PY_COLORS": "1"} if progress.console.is_terminal else {}
    outcome = run_playbook("prove", extra_vars=[*extra_vars, ours], environment=colour, progress=progress, **options)
    results = evidence.load(directory, since=begun)
    if as_json:
        click.echo(evidence.as_json(outcome, directory, results))
    else:
        evidence.show(progress.console, outcome, directory, results)
    return outcome.exit_code
