"""The table of accounts that `mail_accounts_file` names, edited in place: other rows stay byte for byte."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils.account_rows import (
    NAME,
    AccountRows,
    Row,
    parse_rows,
)
from ansible_collections.valija.mailserver.plugins.plugin_utils.memory import uncollected

from valija import inventory_files
from valija.errors import InputError
from valija.messages import _


@dataclass(frozen=True)
class AccountTable:
    """A table of accounts and its text; `.csv` with a header, else one JSON object a line."""

    path: Path
    text: str

    key = NAME

    @classmethod
    def read(cls, path: Path) -> AccountTable:
        """The table at a path. InputError, a line for each finding, when it is no table of accounts."""
        try:
            data = path.read_bytes()
        except OSError as error:
            words = _("{path}: cannot be read: {reason}. {name} names it.")
            raise InputError(words.format(path=path, reason=error.strerror, name=NAME)) from error
        if data.startswith(b"$ANSIBLE_VAULT;"):
            words = _("{path}: is encrypted and cannot be edited. Open it with `ansible-vault edit`.")
            raise InputError(words.format(path=path))
        if findings := _parsed(data, path.name).findings:
            raise InputError("\n".join(_told(path, finding.path, finding.text) for finding in findings))
        return cls(path, data.decode("utf-8"))

    @property
    def rows(self) -> tuple[Row, ...]:
        return _parsed(self.text.encode(), self.path.name).rows

    @property
    def names(self) -> list[str]:
        """The names of the accounts in the table."""
        return [row.account["name"] for row in self.rows]

    def with_account(self, account: Mapping[str, str]) -> str:
        """The text with one more account at its end."""
        ended = self.text if not self.text or self.text.endswith("\n") else self.text + self._line_end
        return self._checked(ended + self._written(account), [*self._accounts(), dict(account)])

    def with_password_hash(self, name: str, made: str) -> str:
        """The text with another password for an account: its hash, in place of what stands there."""
        rows = self.rows
        position = next(number for number, row in enumerate(rows) if row.account["name"] == name)
        account = {key: value for key, value in rows[position].account.items() if key != "password"}
        account["password_hash"] = made
        wanted = self._accounts()
        wanted[position] = account
        start, end = self._span(rows[position].line)
        return self._checked(self.text[:start] + self._written(account) + self.text[end:], wanted)

    def write(self, text: str) -> None:
        """Put another text in place of this one, in one step."""
        inventory_files.replace(self.path, text)

    @property
    def _is_csv(self) -> bool:
        return self.path.suffix.lower() == ".csv"

    @property
    def _line_end(self) -> str:
        """As the table's first line ends."""
        return "\r\n" if self.text.partition("\n")[0].endswith("\r") else "\n"

    def _accounts(self) -> list[dict[str, Any]]:
        return [row.account for row in self.rows]

    def _span(self, line: int) -> tuple[int, int]:
        """Where the row that begins on a line stands in the text, its line end included."""
        ends = [0]
        for words in self.text.split("\n"):
            ends.append(ends[-1] + len(words) + 1)
        if not self._is_csv:
            return ends[line - 1], min(ends[line], len(self.text))
        reader = csv.reader(io.StringIO(self.text, newline=""))
        begin = 1
        for _cells in reader:
            if begin == line:
                break
            begin = reader.line_num + 1
        return ends[line - 1], min(ends[reader.line_num], len(self.text))

    def _written(self, account: Mapping[str, Any]) -> str:
        """One account as a row of this table."""
        if not self._is_csv:
            return json.dumps(dict(account), ensure_ascii=False) + self._line_end
        header = [
            cell.strip() for cell in next(csv.reader(io.StringIO(self.text.removeprefix("\ufeff"), newline="")), [])
        ]
        if missing := [key for key in account if key not in header]:
            words = _("{path}: has no column {name}. Add it to the header, and a cell to each row.")
            raise InputError(words.format(path=self.path, name=", ".join(missing)))
        stream = io.StringIO()
        csv.writer(stream, lineterminator=self._line_end).writerow([_cell(account.get(key, "")) for key in header])
        return stream.getvalue()

    def _checked(self, text: str, wanted: list[dict[str, Any]]) -> str:
        """The text, once it is sure to say what is wanted."""
        read = _parsed(text.encode(), self.path.name)
        if read.findings or read.accounts != wanted:
            words = _("{path} is written in a way that cannot be edited safely. Edit it by hand.")
            raise InputError(words.format(path=self.path))
        return text


@lru_cache(maxsize=4)
def _parsed(data: bytes, name: str) -> AccountRows:
    """The rows of a text; it is asked for several times, before an edit and in it, and mostly has not changed."""
    with uncollected():
        return parse_rows(data, name)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(value) if isinstance(value, list) else str(value)


def _told(path: Path, steps: tuple[Any, ...], text: str) -> str:
    """A finding with its file and line in front."""
    place = f"{path}:{steps[1]}" if len(steps) > 1 else str(path)
    return f"{place}: {text}"
