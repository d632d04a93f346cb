"""`mail_accounts_file`: the accounts of a site as a table, one a line, for lists too long for YAML.

Two forms: CSV with a header (RFC 4180, commas), and JSON Lines. Both have the fields of `mail_accounts`; every value is
taken as it stands, nothing is a template.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils.account import KEYS, STATES
from ansible_collections.valija.mailserver.plugins.module_utils.finding import Finding, Steps

# The variable that names the file; the first step of the path of each finding, the line (from 1) being the second.
NAME = "mail_accounts_file"

_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True)
class Row:
    """One account as the file has it, and the line on which it begins."""

    line: int
    account: dict[str, Any]


@dataclass(frozen=True)
class AccountRows:
    """What a file holds: its good rows, and what is wrong with the others or with the file as a whole."""

    rows: tuple[Row, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def accounts(self) -> list[dict[str, Any]]:
        return [row.account for row in self.rows]


def parse_rows(data: bytes, file_name: str) -> AccountRows:
    """The accounts of a file whose name ends in .csv, .jsonl or .ndjson. 10,000 take about 0.1 s."""
    suffix = file_name.lower().rpartition(".")[2]
    read = {"csv": _csv_rows, "jsonl": _json_rows, "ndjson": _json_rows}.get(suffix)
    if read is None:
        remedy = "Name it .csv (with a header) or .jsonl (one object a line)."
        return AccountRows(findings=(Finding((NAME,), file_name, "is a file of a kind that is not known", remedy),))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return AccountRows(findings=(Finding((NAME, line), None, "is not UTF-8", "Save the file as UTF-8."),))
    rows: list[Row] = []
    findings: list[Finding] = []
    for found in read(text):
        if isinstance(found, Finding):
            findings.append(found)
        elif wrong := _misfits(found):
            findings += wrong
        else:
            rows.append(found)
    return AccountRows(tuple(rows), tuple(findings))


def _csv_rows(text: str) -> Iterator[Row | Finding]:
    """An empty cell is a key that is not given. A first line that is no header is not shown: it may be an account."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if wrong := _header_misfit(header):
            yield wrong
            return
        end = reader.line_num
        for cells in reader:
            line, end = end + 1, reader.line_num
            if not any(cells):
                continue
            if len(cells) != len(header):
                problem = f"has {len(cells)} cells, the header has {len(header)}"
                yield Finding((NAME, line), None, problem, "Put cells with a comma or a quote into double quotes.")
                continue
            yield Row(line, {key: _cell(key, cell) for key, cell in zip(header, cells, strict=True) if cell})
    except csv.Error as error:
        yield Finding((NAME, reader.line_num), None, f"is not CSV ({error})", "Look at the quotes of this line.")


def _header_misfit(header: list[str]) -> Finding | None:
    path: Steps = (NAME, 1)
    if "name" not in header:
        remedy = f"Begin with a header, columns separated by commas: {', '.join(KEYS)}."
        return Finding(path, None, "is no header with a column name", remedy)
    for column in header:
        if column not in KEYS:
            return Finding(path, column, "is no column of an account", f"The columns are {', '.join(KEYS)}.")
        if header.count(column) > 1:
            return Finding(path, column, "is there twice", "Remove one of the two columns.")
    return None


def _cell(key: str, cell: str) -> Any:
    """A cell as the value of its key: aliases are separated by spaces, purge is true or false."""
    if key == "aliases":
        return cell.split()
    return _BOOLEANS.get(cell.strip().lower(), cell) if key == "purge" else cell


def _json_rows(text: str) -> Iterator[Row | Finding]:
    for line, words in enumerate(text.split("\n"), start=1):
        if not words.strip():
            continue
        try:
            account = json.loads(words)
        except ValueError as error:
            reason = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "a number"
            yield Finding((NAME, line), None, f"is not JSON ({reason})", "Write one object a line.")
            continue
        if isinstance(account, dict):
            yield Row(line, account)
        else:
            yield Finding((NAME, line), None, "is no object", 'Write {"name": "alice"}, its other keys beside it.')


def _misfits(row: Row) -> list[Finding]:
    """Keys and types, which a specification says for the list in YAML. Never shows a secret."""
    path: Steps = (NAME, row.line)
    account = row.account
    found = [
        Finding((*path, key), None, "is not known", f"The keys are {', '.join(KEYS)}.")
        for key in account
        if key not in KEYS
    ]
    if "name" not in account:
        found.append(Finding((*path, "name"), None, "is not set", "Give the account a name."))
    for key in ("name", "password", "password_hash", "full_name", "state", "shell"):
        if key in account and not isinstance(account[key], str):
            found.append(Finding((*path, key), None, "is not text", "Write it in quotes."))
    if not isinstance(account.get("purge", False), bool):
        found.append(Finding((*path, "purge"), None, "is not a boolean", "Write true or false."))
    if not _is_list_of_text(account.get("aliases", [])):
        found.append(Finding((*path, "aliases"), None, "is not a list of names", 'Write ["name", ...].'))
    if isinstance(state := account.get("state", "present"), str) and state not in STATES:
        found.append(Finding((*path, "state"), state, f"is not one of {', '.join(STATES)}", "Write one of them."))
    return found


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
