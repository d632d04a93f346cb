"""Every text for people is in the catalogue, none that is gone, and each is translated, whole."""

from __future__ import annotations

import ast
import gettext
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from babel.messages import Catalog, Message, pofile

from valija.checks import plugin
from valija.cli import cli
from valija.messages import LANGUAGES, LOCALE_DIR
from valija.report.html import BEHAVIOURS

TRANSLATIONS = [language for language in LANGUAGES if language != "en"]

# What a translation must keep as it is: places for values, commands and names in backticks, options.
KEPT = re.compile(r"\{[^{}]*\}|%\(\w+\)s|`[^`]+`|(?<!\w)--[a-z]+[a-z-]*|\b(?:mail|prove|postfix)_\w+|\b[A-Z]+=")

# Who says its text to people, and marks of texts.
SPEAKERS = {"echo", "secho", "confirm", "prompt", "skip", "add_column", "InputError", "ValijaError", "ClickException"}
SPEAKERS |= {"BadParameter", "UsageError", "remark", "says"}
MARKS = {"_", "N_", "ngettext"}


def read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return pofile.read_po(file)


def texts(path: Path) -> dict[str | tuple[str, ...], str | tuple[str, ...]]:
    """The texts of a catalogue with their translations."""
    return {_key(message): message.string for message in read(path) if message.id}


def _key(message: Message) -> str | tuple[str, ...]:
    return message.id if isinstance(message.id, str) else tuple(message.id)


@pytest.fixture(scope="module")
def fresh(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `scripts/messages` would write now."""
    folder = tmp_path_factory.mktemp("locale")
    subprocess.run([root / "scripts" / "messages", folder], check=True)
    return folder


@pytest.fixture(scope="module")
def marked(fresh: Path) -> set[str]:
    """Every text that the code and the templates mark."""
    return {text for key in texts(fresh / "valija.pot") for text in ([key] if isinstance(key, str) else key)}


def test_the_catalogue_is_fresh(fresh: Path) -> None:
    assert texts(LOCALE_DIR / "valija.pot").keys() == texts(fresh / "valija.pot").keys(), "run scripts/messages"


def test_code_data_and_templates_are_all_read(marked: set[str]) -> None:
    assert "The tutorial, step by step" in marked
    assert "Names one recipient of the message." in marked
    assert "Only these hosts or groups of the site." in marked
    assert "Show this message and exit." in marked, "click's own texts"
    assert {row["title"] for row in plugin.waiting()} <= marked


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_translation_is_fresh(language: str, fresh: Path) -> None:
    place = Path(language) / "LC_MESSAGES" / "valija.po"
    assert texts(LOCALE_DIR / place) == texts(fresh / place), "run scripts/messages"


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_every_text_is_translated(language: str) -> None:
    kept = texts(LOCALE_DIR / language / "LC_MESSAGES" / "valija.po")
    missing = [key for key, text in kept.items() if not all([text] if isinstance(text, str) else text)]
    assert not missing, "fill the empty places of valija.po, and run scripts/messages"


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_what_is_compiled_is_the_translation(language: str) -> None:
    folder = LOCALE_DIR / language / "LC_MESSAGES"
    with (folder / "valija.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for key, text in texts(folder / "valija.po").items():
        if isinstance(key, str):
            assert compiled.gettext(key) == text, "run scripts/messages"
        else:
            assert tuple(compiled.ngettext(*key, count) for count in (1, 2)) == text, "run scripts/messages"


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_translation_keeps_places_commands_options_and_lines(language: str) -> None:
    wrong = []
    for key, text in texts(LOCALE_DIR / language / "LC_MESSAGES" / "valija.po").items():
        pairs = [(key, text)] if isinstance(key, str) else zip(key, text, strict=True)
        for source, target in pairs:
            lines = source.count("\n") == target.count("\n")
            if set(KEPT.findall(source)) != set(KEPT.findall(target)) or not lines:
                wrong.append((source, target))
    assert not wrong


def test_the_help_of_every_verb_and_option_is_in_the_catalogue(marked: set[str]) -> None:
    absent = [text for text in help_texts(cli, click.Context(cli)) if text not in marked]
    assert not absent


def help_texts(command: click.Command, context: click.Context) -> Iterator[str]:
    """The help of a command, of its options, and of the commands in it."""
    if command.help:
        yield command.help
    for option in command.get_params(context):
        if isinstance(option, click.Option) and option.help:
            yield option.help
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from help_texts(inner, click.Context(inner, parent=context))


def test_the_behaviours_of_the_suite_are_in_the_catalogue(root: Path) -> None:
    files = (root / "src" / "valija" / "checks").glob("test_*.py")
    names = {path.stem.removeprefix("test_").replace("_", " ").capitalize() for path in files}
    assert names <= set(BEHAVIOURS)


def test_no_text_for_people_is_without_a_mark(root: Path) -> None:
    bare = []
    for path in sorted((root / "src" / "valija").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and _name(node) in SPEAKERS:
                said = [*node.args, *(one.value for one in node.keywords if one.arg in ("help", "text"))]
            elif isinstance(node, ast.Call):
                said = [one.value for one in node.keywords if one.arg in ("help", "short_help", "epilog")]
            else:
                continue
            bare += [f"{path.relative_to(root)}:{node.lineno}: {text}" for one in said for text in _words(one)]
    assert not bare, "give it to _ of valija.messages"


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _words(node: ast.expr) -> Iterator[str]:
    """The literal texts of an expression that hold words, those within a mark or another call left out."""
    if isinstance(node, ast.Call):
        if _name(node) == "format" and isinstance(node.func, ast.Attribute):
            yield from _words(node.func.value)
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, str) and re.search(r"[a-z]{2,} [a-z]{2,}", node.value):
            yield node.value
    elif not isinstance(node, ast.Subscript):
        for inner in ast.iter_child_nodes(node):
            if isinstance(inner, ast.expr):
                yield from _words(inner)


def test_the_reports_template_has_no_words_without_a_mark(root: Path) -> None:
    text = (root / "templates" / "report" / "report.html.j2").read_text("utf-8")
    for hidden in (r"<(script|style)>.*?</\1>", r"\{[{%].*?[}%]\}", r"<[^>]*>", r"&\w+;"):
        text = re.sub(hidden, " ", text, flags=re.DOTALL)
    assert set(re.findall(r"[A-Za-z]{2,}", text)) <= {"Valija", "UTC"}
