"""`valija check`: what is wrong with a site's inventory, found without touching a host."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import click
from rich.console import Console

from valija import inventory_files, options
from valija.messages import _, ngettext
from valija.progress import Progress
from valija.runner import Outcome, own_errors, run_playbook

_PLACE = re.compile(r"(?P<file>[^:\n]+)(?::(?P<line>\d+))?: (?P<text>.+)")


@click.command(
    help=_(
        "Say what is wrong with a site's inventory, without touching a host.\n\n"
        "Each finding names the file and the line, the value, and what to do. All findings are told at once.\n\n"
        "Exit code: 0 no findings, 2 findings."
    )
)
@options.inventory
@options.limit
@options.extra_vars
@options.verbosity
@options.vault_password_file
@options.ask_vault_pass
@options.as_json
def command(inventory: tuple[str, ...], as_json: bool, **given: Any) -> int:
    """Look at the files first, then at the values, with Ansible's own precedence of variables."""
    hosts, code = 0, 2
    findings = inventory_files.findings(inventory)
    if not findings:
        outcome = run_playbook("check", inventory, progress=Progress(Console(file=io.StringIO())), **given)
        hosts, code = len(outcome.record.tallies), outcome.exit_code
        findings = _findings(outcome, inventory)
    if as_json:
        click.echo(json.dumps({"hosts": hosts, "findings": [_parts(line) for line in findings]}, indent=2))
    elif findings:
        click.echo("\n".join(findings))
    else:
        words = ngettext("{count} host, no findings", "{count} hosts, no findings", hosts)
        click.echo(words.format(count=hosts))
    return code


def _findings(outcome: Outcome, inventory: tuple[str, ...]) -> list[str]:
    """Each finding once, although every host of a group has it."""
    found = [line for failure in outcome.failures for line in failure.message.splitlines()]
    if outcome.exit_code and not found:
        found = own_errors(outcome, inventory) or [_("Ansible ended without saying why.")]
    return list(dict.fromkeys(found))


def _parts(line: str) -> dict[str, str | int | None]:
    """A finding as values; `file` is null where it has none."""
    match = _PLACE.fullmatch(line)
    if not match:
        return {"file": None, "line": None, "text": line}
    number = match["line"]
    return {"file": match["file"], "line": int(number) if number else None, "text": match["text"]}
