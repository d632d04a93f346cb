"""The commands, from what click knows of them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click
from markdown import code, prose, table

from valija.cli import cli


def page() -> str:
    """One section for each verb, those inside a group included."""
    verbs = click.Context(cli, info_name="valija")
    return "\n\n".join(["# Commands", *sections(cli, verbs)])


def sections(command: click.Command, context: click.Context) -> Iterator[str]:
    """A command, then the commands in it."""
    path = context.command_path
    words = [path, *(metavar(one) for one in command.params if isinstance(one, click.Argument))]
    if context.parent or isinstance(command, click.Group):
        yield "\n\n".join(
            [
                f"## {path}",
                code(" ".join([*words, "COMMAND" if isinstance(command, click.Group) else "[OPTION]..."])),
                *help_text(command),
                *option_table(command),
            ]
        )
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            if not inner.hidden:
                yield from sections(inner, click.Context(inner, info_name=name, parent=context))


def help_text(command: click.Command) -> list[str]:
    """The help as paragraphs; one that click does not wrap (``\\b``) is a block."""
    texts = inspect.cleandoc(command.help or "").split("\n\n")
    return [f"```text\n{text[2:]}\n```" if text.startswith("\b\n") else prose(text) for text in texts if text]


def option_table(command: click.Command) -> list[str]:
    """The options of a command; `--help` is everywhere."""
    rows = []
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            names = ", ".join([*option.opts, *option.secondary_opts])
            words = [names] if option.is_flag or option.count else [names, metavar(option)]
            meaning = prose(option.help or "")
            if option.required:
                meaning += " Required."
            if option.show_default and option.default is not None:
                meaning += f" Default: {code(str(option.default))}."
            rows.append([code(" ".join(words)), meaning])
    return [table(["Option", "Meaning"], rows)] if rows else []


def metavar(parameter: click.Parameter) -> str:
    """What stands for a value: its choices, its own name, or its type."""
    if isinstance(parameter.type, click.Choice):
        name = "|".join(str(choice) for choice in parameter.type.choices)
    elif isinstance(parameter, click.Argument):
        name = parameter.metavar or str(parameter.name).upper()
    else:
        return parameter.metavar or parameter.type.name.upper()
    if isinstance(parameter, click.Option):
        return name
    name += "..." if parameter.nargs == -1 else ""
    return name if parameter.required else f"[{name}]"
