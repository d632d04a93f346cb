"""The command `valija`: its verbs live in `valija.commands`, one file each, loaded only when called."""

from __future__ import annotations

import importlib
import pkgutil

import click

from valija import __version__, commands
from valija.messages import LANGUAGES, N_, _, use_language


class Verbs(click.Group):
    """Finds a verb `x` as the object `command` in `valija/commands/x.py`, in the language asked for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Choose the language before anything is said: before --help, an error, or a verb's texts."""
        given, *_rest = self.make_parser(ctx).parse_args(list(args))
        use_language(given.get("language"))
        return super().parse_args(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The group's own texts were made before the language was known: translate them now."""
        for described in (self, *self.get_params(ctx)):
            if isinstance(described, click.Command | click.Option) and described.help:
                described.help = _(described.help)
        super().format_help(ctx, formatter)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(module.name for module in pkgutil.iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"valija.commands.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command


@click.command(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=N_("Build a complete mail server, and prove it by talking to it."),
)
@click.option(
    "--lang",
    "language",
    type=click.Choice(LANGUAGES),
    expose_value=False,
    help=N_("The language of messages and report. Default: the environment's (LANGUAGE, LC_ALL, LC_MESSAGES, LANG)."),
)
@click.version_option(__version__, prog_name="valija")
def cli() -> None:
    """Every verb is a file of its own."""
