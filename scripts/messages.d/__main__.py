"""Writes the catalogue of texts, and each language's translation, into a folder; see scripts/messages."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from babel.messages import Catalog, extract, mofile, plurals, pofile

# Marks of texts, and which of their arguments are texts.
KEYWORDS = {"_": None, "gettext": None, "N_": None, "ngettext": (1, 2)}

WIDTH = 120


class Stable(Catalog):
    """A catalogue whose header holds no date and no version, so that a file changes only with its texts."""

    @property
    def mime_headers(self) -> list[tuple[str, str]]:  # type: ignore[override]
        forms = plurals.get_plural(self.locale).plural_forms if self.locale else ""
        return [
            ("Language", str(self.locale or "")),
            ("MIME-Version", "1.0"),
            ("Content-Type", "text/plain; charset=UTF-8"),
            ("Content-Transfer-Encoding", "8bit"),
            *([("Plural-Forms", forms)] if forms else []),
        ]


def texts(root: Path) -> Catalog:
    """Every text for people, with the files that it stands in."""
    catalog = Stable(fuzzy=False)
    for folder, methods in (
        ("src/valija", [("checks/waiting.json", waiting), ("**.py", "python")]),
        ("templates/report", [("**.j2", "jinja2")]),
    ):
        found = extract.extract_from_dir(
            root / folder, methods, {"**.j2": {"trimmed": "true"}}, KEYWORDS, directory_filter=lambda _name: True
        )
        for name, _line, message, comments, context in found:
            catalog.add(message, None, [(f"{folder}/{name}", None)], auto_comments=comments, context=context)
    with (Path(__file__).parent / "click.pot").open("rb") as file:
        for message in pofile.read_po(file):
            if message.id:
                catalog.add(message.id, None, [("click", None)])
    return catalog


def waiting(file: IO[bytes], *_given: object, **_options: object) -> Iterator[tuple[int, str, str, list[str]]]:
    """The rows of the suite's catalogue that have no check yet (Babel's interface of an extractor)."""
    rows: list[dict[str, Any]] = json.load(file)["rows"]
    for row in rows:
        yield 0, "_", row["title"], []
        yield 0, "_", row["waits_for"], []


def translation(path: Path, template: Catalog) -> Catalog:
    """The template's texts with the translations that a file has; what it has besides is left out."""
    with path.open("rb") as file:
        known = pofile.read_po(file)
    result = Stable(locale=path.parents[1].name, header_comment=known.header_comment, fuzzy=False)
    for message in template:
        if message.id:
            before = known.get(message.id, message.context)
            result.add(message.id, before.string if before else None, message.locations, context=message.context)
    return result


def missing(catalog: Catalog) -> list[str]:
    """The texts that are not translated, or not in every plural form."""
    return [
        str(message.id)
        for message in catalog
        if message.id and not all(message.string if isinstance(message.string, tuple) else [message.string])
    ]


def write(root: Path, folder: Path) -> None:
    """Write the template, and for each language the translation and its compiled form."""
    template = texts(root)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "valija.pot").open("wb") as file:
        pofile.write_po(file, template, WIDTH, omit_header=True, sort_by_file=True, include_lineno=False)
    for path in sorted((root / "src" / "valija" / "locale").glob("*/LC_MESSAGES/valija.po")):
        catalog = translation(path, template)
        target = folder / path.parents[1].name / "LC_MESSAGES"
        target.mkdir(parents=True, exist_ok=True)
        with (target / "valija.po").open("wb") as file:
            pofile.write_po(file, catalog, WIDTH, sort_by_file=True, include_lineno=False)
        with (target / "valija.mo").open("wb") as file:
            mofile.write_mo(file, catalog)
        absent = missing(catalog)
        print(f"{path.parents[1].name}: {len(catalog)} texts, {len(absent)} not translated")


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
