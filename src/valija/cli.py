"""The command `valija`: its verbs live in `valija.commands`, one file each, loaded only when called."""

from __future__ import annotations

import importlib
import pkgutil

import click

from valija import __version__, commands


class Verbs(click.Group):
    """Finds a verb `x` as the object `command` in `valija/commands/x.py`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(module.name for module in pkgutil.iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"valija.commands.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="valija")
def cli() -> None:
    """Build a complete mail server, and prove it by talking to it."""
