"""Links resolve, and the commands that the README shows exist."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from valija.cli import cli

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not {".venv", ".git", "node_modules", ".collections"} & set(path.relative_to(ROOT).parts)
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
COMMAND_BLOCK = re.compile(r"^```(?:sh|console|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_relative_links_lead_somewhere(path: Path) -> None:
    targets = [link.split("#")[0] for link in LINK.findall(path.read_text()) if "://" not in link]
    missing = [target for target in targets if target and not (path.parent / target).exists()]
    assert not missing


def shown_commands(path: Path) -> list[str]:
    """The lines of the shell blocks of a document, continuation lines joined, comments and output left out."""
    lines: list[str] = []
    for block in COMMAND_BLOCK.findall(path.read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            command = line.removeprefix("$ ").split(" #")[0].strip()
            if command and not command.startswith("#"):
                lines.append(command)
    return lines


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_shown_exist_with_the_options_shown(path: Path) -> None:
    wrong: list[str] = []
    for command in shown_commands(path):
        words = command.split()
        if words[0].startswith(("./scripts/", "scripts/")):
            script = ROOT / words[0].removeprefix("./")
            if not (script.exists() and script.stat().st_mode & 0o100):
                wrong.append(command)
        elif words[0] == "valija":
            wrong += [] if verb_takes(words[1:]) else [command]
    assert not wrong


def verb_takes(words: list[str]) -> bool:
    """Whether `valija WORDS` names a verb, and only options that it has."""
    command: click.Command | None = cli
    context = click.Context(cli)
    rest = words[2:] if words[:1] == ["--lang"] else list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        command = command.get_command(context, rest.pop(0))
    if command is None:
        return False
    known = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
    return all(word.split("=")[0] in known | {"--help", "-h", "--version"} for word in rest if word.startswith("-"))


def outline(path: Path) -> list[list[str]]:
    """The commands of a document without what a translation may change: names, values and the language."""
    outlined = []
    for command in shown_commands(path):
        words = re.sub(r"--lang \w+ ", "", command).split()
        outlined.append([*words[:2], *(word for word in words[2:] if word.startswith("-"))])
    return outlined


@pytest.mark.parametrize(
    "path", [path for path in DOCUMENTS if path.name.endswith(".es.md")], ids=lambda p: str(p.relative_to(ROOT))
)
def test_a_translated_document_shows_the_commands_of_its_original(path: Path) -> None:
    assert outline(path) == outline(path.with_name(path.name.replace(".es.md", ".md")))
