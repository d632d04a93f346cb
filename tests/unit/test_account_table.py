"""The table of accounts edited in place: only the row that is meant changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from valija.account_table import AccountTable
from valija.errors import InputError

HASH = "$y$j8T$abcdefghijklmnopqrstu.$abcdefghijklmnopqrstuvwxyzabcdefghijklmnop"
ERIN = {"name": "erin", "full_name": "Erin, O'Hara", "password_hash": HASH}

TABLE = (
    f'name,password,password_hash,full_name,aliases,purge\nalice,"se,cret",,"Alice\nA.",a b,\nbob,,{HASH},Bob,,false\n'
)
LINES = '{"name": "alice",  "password": "secret words"}\n\n{"name": "bob", "aliases": ["b"]}\n'


def table(folder: Path, text: str, name: str = "accounts.csv") -> AccountTable:
    path = folder / name
    path.write_bytes(text.encode())
    return AccountTable.read(path)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_new_row_goes_to_the_end_and_the_others_stay(ending: str, tmp_path: Path) -> None:
    text = TABLE.replace("\n", ending)
    new = table(tmp_path, text).with_account(ERIN)
    assert new == text + f'erin,,{HASH},"Erin, O\'Hara",,{ending}'


def test_a_table_without_a_last_line_end_gets_one(tmp_path: Path) -> None:
    assert table(tmp_path, TABLE.rstrip("\n")).with_account(ERIN).startswith(TABLE)


def test_a_password_changes_its_own_row_alone(tmp_path: Path) -> None:
    new = table(tmp_path, TABLE).with_password_hash("alice", "$6$a$b")
    assert new == TABLE.replace('alice,"se,cret",,', "alice,,$6$a$b,")
    assert table(tmp_path, TABLE).with_password_hash("bob", "$6$a$b") == TABLE.replace(f"bob,,{HASH}", "bob,,$6$a$b")


def test_objects_are_edited_as_rows_are(tmp_path: Path) -> None:
    one = table(tmp_path, LINES, "accounts.jsonl")
    assert one.with_account({"name": "erin"}) == LINES + '{"name": "erin"}\n'
    assert one.with_password_hash("alice", HASH) == LINES.replace(
        '{"name": "alice",  "password": "secret words"}', f'{{"name": "alice", "password_hash": "{HASH}"}}'
    )


def test_a_byte_order_mark_stays(tmp_path: Path) -> None:
    assert table(tmp_path, "\ufeff" + TABLE).with_account(ERIN).startswith("\ufeffname,")


def test_a_column_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no column password_hash"):
        table(tmp_path, "name,full_name,password\nalice,Alice,secret words\n").with_account(ERIN)


def test_what_is_no_table_is_refused_with_its_lines_and_without_a_secret(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        table(tmp_path, "name,password\nalice,hunter22,x\n")
    assert "accounts.csv:2: " in str(caught.value)
    assert "hunter22" not in str(caught.value)


def test_a_table_in_a_vault_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ansible-vault edit"):
        table(tmp_path, "$ANSIBLE_VAULT;1.1;AES256\n6162\n")


def test_a_table_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    one = table(tmp_path, TABLE)
    one.path.chmod(0o600)
    one.write(one.with_account(ERIN))
    assert one.path.stat().st_mode & 0o777 == 0o600
    assert AccountTable.read(one.path).names == ["alice", "bob", "erin"]
