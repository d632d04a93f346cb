"""The grammar of Courier's files, by case file, by property, by the shell itself, and against the shipped files."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.valija.mailserver.plugins.module_utils.courier import parse_rc, render_rc
from hypothesis import given, settings
from hypothesis import strategies as st

DATA = Path(__file__).parent / "data"
CASES: dict[str, list[dict[str, Any]]] = yaml.safe_load((DATA / "courier_cases.yml").read_text())
ROLE = Path(__file__).parents[4] / "roles" / "courier" / "vars" / "main"
SHIPPED = sorted(DATA.glob("courier-*.rc"))

names = st.from_regex(r"[A-Z][A-Z0-9_]*", fullmatch=True)
values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0"))


def cases(part: str) -> list[Any]:
    return [pytest.param(case, id=case["case"]) for case in CASES[part]]


@pytest.mark.parametrize("case", cases("read"))
def test_a_text_is_read_as_the_shell_reads_it(case: dict[str, Any]) -> None:
    assert parse_rc(case["text"]) == case["value"]
    assert parse_rc(render_rc(case["value"])) == case["value"]


@pytest.mark.parametrize("case", cases("refused_text"))
def test_a_text_that_is_more_than_assignments_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_rc(case["text"])


@pytest.mark.parametrize("case", cases("written"))
def test_a_value_is_quoted_where_the_shell_needs_it(case: dict[str, Any]) -> None:
    assert render_rc(case["value"]) == case["text"]


@pytest.mark.parametrize("case", cases("refused_value"))
def test_a_value_that_the_files_cannot_carry_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        render_rc(case["value"])


@given(st.dictionaries(names, values))
def test_a_file_is_read_back_as_it_was_written(wanted: dict[str, str]) -> None:
    assert parse_rc(render_rc(wanted)) == wanted


@settings(max_examples=25, deadline=None)
@given(values.filter(lambda text: text.isprintable()))
def test_the_shell_reads_what_was_written(value: str) -> None:
    script = render_rc({"VALUE": value}) + 'printf %s "$VALUE"\n'
    shell = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    assert shell.stdout == value.encode()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_packages_own_files_are_read_and_written_equal(path: Path) -> None:
    shipped = parse_rc(path.read_text())
    assert parse_rc(render_rc(shipped)) == shipped


@pytest.mark.parametrize("daemon", ["imapd", "pop3d", "authdaemonrc"])
def test_the_role_decides_every_setting_that_the_packages_ship(daemon: str) -> None:
    role = next(
        values[f"__courier_{daemon}"]
        for path in sorted(ROLE.glob("*.yml"))
        if f"__courier_{daemon}" in (values := yaml.safe_load(path.read_text()))
    )
    shipped = {name for path in SHIPPED if path.stem.endswith(daemon) for name in parse_rc(path.read_text())}
    # The names in ORIG, in either case, are notes for the web administration, which we do not have.
    left_out = {name for name in shipped if name.lower().endswith("orig")} | {
        "IMAP_EMPTYTRASH",
        "IMAP_ENHANCEDIDLE",
        "IMAP_SHAREDINDEXFILE",
    }
    assert shipped - left_out == set(role)
