"""The options that the verbs share; they mean what they mean in ansible-playbook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from valija.messages import _

F = TypeVar("F", bound=Callable[..., Any])

inventory = click.option(
    "-i",
    "--inventory",
    "inventory",
    multiple=True,
    required=True,
    metavar="SITE",
    help=_("The site: its folder, its inventory file, or a list of hosts with a comma. May be given several times."),
)
limit = click.option("-l", "--limit", metavar="HOSTS", help=_("Only these hosts or groups of the site."))
tags = click.option(
    "-t", "--tags", multiple=True, metavar="TAGS", help=_("Only the tasks with these tags, such as postfix.")
)
extra_vars = click.option(
    "-e",
    "--extra-vars",
    multiple=True,
    metavar="NAME=VALUE",
    help=_("Set variables; they win over the site's. NAME=VALUE, JSON, or @FILE."),
)
verbosity = click.option(
    "-v",
    "--verbose",
    "verbosity",
    count=True,
    help=_("Print the command line that is run, and Ansible's own output. More v: more of it."),
)
vault_password_file = click.option(
    "--vault-password-file", metavar="FILE", help=_("The file with the vault's password, or a program that prints it.")
)
ask_vault_pass = click.option("-J", "--ask-vault-pass", is_flag=True, help=_("Ask for the vault's password."))
as_json = click.option("--json", "as_json", is_flag=True, help=_("Write the result as one JSON object, for programs."))


def playbook_options(command: F) -> F:
    """All the options of a verb that runs a playbook, as keyword arguments of `runner.run_playbook`, and `as_json`."""
    shared = (inventory, limit, tags, extra_vars, verbosity, vault_password_file, ask_vault_pass, as_json)
    for option in reversed(shared):
        command = option(command)
    return command
