"""The file of aliases: what aliases(5) says is read as Postfix reads it, all else is told by its line."""

from __future__ import annotations

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils.alias_rows import parse_alias_rows


@pytest.mark.parametrize(
    ("text", "aliases"),
    [
        pytest.param("info: alice\n", {"info": ["alice"]}, id="one"),
        pytest.param("info:alice , bob@example.net", {"info": ["alice", "bob@example.net"]}, id="several, no line end"),
        pytest.param(
            "# x\n\ninfo: alice,\n\t# y\n\n  bob\nx: y\n", {"info": ["alice", "bob"], "x": ["y"]}, id="folded"
        ),
        pytest.param('"info": "alice"\n', {"info": ["alice"]}, id="quotes"),
        pytest.param('"a b": alice\n', {"a b": ["alice"]}, id="a quoted name is taken as it stands, and judged later"),
        pytest.param("MAILER-DAEMON: root\n", {"mailer-daemon": ["root"]}, id="names have no case"),
        pytest.param("info@b.example: alice\r\n", {"info@b.example": ["alice"]}, id="a domain; CRLF"),
        pytest.param("\ufeffinfo: alice\n", {"info": ["alice"]}, id="byte order mark"),
        pytest.param("", {}, id="empty"),
        pytest.param("{{ x }}: '{{ y }}'".replace("'{{ y }}'", "alice"), {"{{ x }}": ["alice"]}, id="no templates"),
    ],
)
def test_a_good_file_is_read(text: str, aliases: dict[str, list[str]]) -> None:
    read = parse_alias_rows(text.encode())
    assert read.findings == ()
    assert read.aliases == aliases


def test_a_row_knows_the_line_that_it_begins_on() -> None:
    rows = parse_alias_rows(b"# one\na: b,\n c\n\nd: e\n").rows
    assert [(row.line, row.name) for row in rows] == [(2, "a"), (5, "d")]


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("a: b\nsales alice\n", 2, "is no alias"),
        (": alice\n", 1, "is no alias"),
        ('"info alice\n', 1, "is no alias"),
        ("info:\n", 1, "leads nowhere"),
        ("info: ,\n", 1, "leads nowhere"),
        ("log: |/usr/bin/x y\n", 1, "leads to a program, a file or an include: '|/usr/bin/x y'"),
        ('log: "|cat"\n', 1, "leads to a program"),
        ("log: /var/mail/x\n", 1, "leads to a program"),
        ("log: :include:/etc/x\n", 1, "leads to a program"),
        ("info: alice bob\n", 1, "has a target with a space: 'alice bob'"),
        ("info: alice\n\xff: b", 2, "is not UTF-8"),
    ],
)
def test_what_is_wrong_is_told_by_its_line(text: str, line: int, told: str) -> None:
    (finding,) = parse_alias_rows(text.encode("latin-1")).findings
    assert finding.path[:2] == ("mail_aliases_file", line)
    assert told in finding.text
    assert finding.remedy
