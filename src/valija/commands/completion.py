"""`valija completion`: the script that lets a shell complete verbs, options and their values."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from valija.messages import _


@click.command(
    help=_(
        "Print the script that lets a shell complete valija's verbs and options.\n\n"
        "\b\n"
        "bash, in ~/.bashrc:\n"
        '  eval "$(valija completion bash)"\n'
        "zsh, in ~/.zshrc, after compinit:\n"
        '  eval "$(valija completion zsh)"\n'
        "fish:\n"
        "  valija completion fish > ~/.config/fish/completions/valija.fish"
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Click writes the script; it asks the program itself what fits, so that a new verb needs no new script."""
    kind = get_completion_class(shell)
    assert kind is not None, "click knows the shells of the choice"
    click.echo(kind(context.find_root().command, {}, "valija", "_VALIJA_COMPLETE").source())
