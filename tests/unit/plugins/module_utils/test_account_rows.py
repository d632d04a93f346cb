"""Accounts as a table: what is read, what is refused, and on which line."""

from __future__ import annotations

import time

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils.account_rows import AccountRows, parse_rows

HASH = "$y$j8T$abcdefghijklmnopqrstu.$abcdefghijklmnopqrstuvwxyzabcdefghijklmnop"


def csv(text: str) -> AccountRows:
    return parse_rows(text.encode(), "accounts.csv")


def lines(text: str) -> AccountRows:
    return parse_rows(text.encode(), "accounts.jsonl")


def told(read: AccountRows) -> list[str]:
    return [f"{finding.path[1:]} {finding.text}" for finding in read.findings]


def test_a_table_says_what_the_list_says() -> None:
    header = "name,password_hash,full_name,state,purge,aliases,shell"
    text = f"{header}\nalice,{HASH},Alice A.,,,a.a al,\nbob,,,absent,true,,\n"
    assert csv(text).accounts == [
        {"name": "alice", "password_hash": HASH, "full_name": "Alice A.", "aliases": ["a.a", "al"]},
        {"name": "bob", "state": "absent", "purge": True},
    ]


def test_an_object_a_line_says_what_the_list_says() -> None:
    text = (
        '{"name": "alice", "password": "x y", "aliases": ["al"]}\n\n{"name": "bob", "state": "absent", "purge": true}\n'
    )
    read = lines(text)
    assert read.accounts[0] == {"name": "alice", "password": "x y", "aliases": ["al"]}
    assert [row.line for row in read.rows] == [1, 3]


@pytest.mark.parametrize(
    "value", ["{{ lookup('pipe', 'id') }}", " spaces ", 'a "quoted" word', "a,b", "äöü", "!vault x"]
)
def test_values_are_literal(value: str) -> None:
    cell = value.replace('"', '""')
    assert csv(f'name,password\nalice,"{cell}"\n').accounts == [{"name": "alice", "password": value}]


def test_a_byte_order_mark_and_windows_line_ends_are_read() -> None:
    read = parse_rows(b"\xef\xbb\xbfname,password\r\nalice,secret words\r\n", "Accounts.CSV")
    assert read.accounts == [{"name": "alice", "password": "secret words"}]


def test_a_row_that_goes_over_several_lines_is_named_by_its_first() -> None:
    read = csv('name,full_name\nalice,"A\nB"\nbob,"C"\n')
    assert [row.line for row in read.rows] == [2, 4]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("alice,hunter22\n", 1, "is no header with a column name"),
        ("name,quota\n", 1, "is no column of an account: 'quota'"),
        ("name,name\n", 1, "is there twice: 'name'"),
        ("name,password\nalice,hunter22,x\n", 2, "has 3 cells, the header has 2"),
        ('name,password\n\nalice,"hunter22" x\n', 3, "is not CSV"),
        ("name,password\n,hunter22\n", 2, "is not set"),
        ("name,purge\nalice,maybe\n", 2, "is not a boolean"),
        ("name,state\nalice,gone\n", 2, "is not one of present, disabled, absent: 'gone'"),
    ],
)
def test_a_wrong_table_is_told_by_line_and_without_a_secret(text: str, line: int, words: str) -> None:
    (one,) = csv(text).findings
    assert one.path[1] == line
    assert words in one.text
    assert "hunter22" not in one.text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"name": "alice", "password": "hunter22"', "is not JSON"),
        ('["alice", "hunter22"]', "is no object"),
        ('{"name": "alice", "quota": "hunter22"}', "is not known"),
        ('{"name": "alice", "password": 22}', "is not text"),
        ('{"name": "alice", "aliases": "al"}', "is not a list of names"),
    ],
)
def test_a_wrong_object_is_told_without_a_secret(text: str, words: str) -> None:
    (one,) = lines(text).findings
    assert one.path[1] == 1
    assert words in one.text
    assert "hunter22" not in one.text


def test_a_file_of_another_kind_is_refused() -> None:
    assert "kind that is not known" in told(parse_rows(b"", "accounts.xls"))[0]


def test_bytes_that_are_no_text_are_told_by_line() -> None:
    (one,) = parse_rows(b"name\nalice\n\xff\n", "a.csv").findings
    assert one.path[1] == 3


def test_ten_thousand_rows_are_read_in_no_time() -> None:
    text = "name,password_hash,full_name\n" + "".join(
        f"user{number},{HASH},User {number}\n" for number in range(10_000)
    )
    begun = time.process_time()
    assert len(csv(text).rows) == 10_000
    assert time.process_time() - begun < 1
