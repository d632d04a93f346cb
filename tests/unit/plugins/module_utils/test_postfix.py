"""The grammar of Postfix's files, by case files, by property, and against the files that the packages ship."""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.valija.mailserver.plugins.module_utils import aliases, postfix
from hypothesis import given
from hypothesis import strategies as st

DATA = Path(__file__).parent / "data"
CASES: dict[str, dict[str, list[dict[str, Any]]]] = yaml.safe_load((DATA / "postfix_cases.yml").read_text())
GRAMMARS: dict[str, tuple[Callable[[str], Any], Callable[[Any], str]]] = {
    "main_cf": (postfix.parse_main_cf, postfix.render_main_cf),
    "master_cf": (postfix.parse_master_cf, postfix.render_master_cf),
    "table": (postfix.parse_table, postfix.render_table),
    "aliases": (aliases.parse_aliases, aliases.render_aliases),
}

names = st.text(string.ascii_letters + string.digits + "_.-", min_size=1)
# One line of any text, without the white space around it that no grammar keeps.
lines = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])).map(str.strip)
local_parts = st.text(string.ascii_lowercase + string.digits + "._+-", min_size=1)
arguments = st.text(string.ascii_letters + string.digits + "=/${}-", min_size=1).filter(
    lambda text: text != "-o" and text[0] not in "{}"
)
flags = st.sampled_from(["y", "n", "-"])
options = st.dictionaries(names, lines.filter(lambda text: text.count("{") == text.count("}") == 0))
services = st.fixed_dictionaries(
    {
        "private": flags,
        "unpriv": flags,
        "chroot": flags,
        "wakeup": st.sampled_from(["-", "0", "60", "1000?"]),
        "maxproc": st.sampled_from(["-", "0", "1"]),
        "command": names,
        "options": options,
        "arguments": st.lists(arguments),
    }
)
keys = st.builds("{}/{}".format, names, st.sampled_from(["inet", "unix", "unix-dgram"]))


def cases(part: str) -> list[Any]:
    """The cases of one part of every grammar, named by their sentence."""
    return [
        pytest.param(grammar, case, id=f"{grammar}: {case['case']}")
        for grammar, parts in CASES.items()
        for case in parts[part]
    ]


@pytest.mark.parametrize(("grammar", "case"), cases("read"))
def test_a_text_is_read_as_postfix_reads_it(grammar: str, case: dict[str, Any]) -> None:
    parse, render = GRAMMARS[grammar]
    assert parse(case["text"]) == case["value"]
    assert parse(render(case["value"])) == case["value"]


@pytest.mark.parametrize(("grammar", "case"), cases("refused_text"))
def test_a_text_that_postfix_would_not_take_is_refused(grammar: str, case: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        GRAMMARS[grammar][0](case["text"])


@pytest.mark.parametrize(("grammar", "case"), cases("written"))
def test_a_value_is_written_as_a_reader_of_the_manual_expects(grammar: str, case: dict[str, Any]) -> None:
    assert GRAMMARS[grammar][1](case["value"]) == case["text"]


@pytest.mark.parametrize(("grammar", "case"), cases("refused_value"))
def test_a_value_that_the_grammar_cannot_carry_is_refused(grammar: str, case: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        GRAMMARS[grammar][1](case["value"])


@given(st.dictionaries(names, lines))
def test_main_cf_is_read_back_as_it_was_written(settings: dict[str, str]) -> None:
    assert postfix.parse_main_cf(postfix.render_main_cf(settings)) == settings


@given(st.dictionaries(keys, services))
def test_master_cf_is_read_back_as_it_was_written(wanted: dict[str, dict[str, Any]]) -> None:
    assert postfix.parse_master_cf(postfix.render_master_cf(wanted)) == wanted


@given(st.dictionaries(local_parts, lines.filter(bool)))
def test_a_lookup_table_is_read_back_as_it_was_written(table: dict[str, str]) -> None:
    assert postfix.parse_table(postfix.render_table(table)) == table


@given(st.dictionaries(local_parts, st.lists(local_parts, min_size=1)))
def test_aliases_are_read_back_as_they_were_written(table: dict[str, list[str]]) -> None:
    assert aliases.parse_aliases(aliases.render_aliases(table)) == table


@given(st.dictionaries(names, st.text()))
def test_no_value_writes_a_second_setting(settings: dict[str, str]) -> None:
    try:
        text = postfix.render_main_cf(settings)
    except ValueError:
        return
    assert list(postfix.parse_main_cf(text)) == list(settings)


@pytest.mark.parametrize("release", ["debian-12", "debian-13"])
def test_the_packages_own_master_cf_is_read_and_written_equal(release: str) -> None:
    services = postfix.parse_master_cf((DATA / f"postfix-{release}-master.cf").read_text())
    assert services["smtp/inet"]["command"] == "smtpd"
    assert services["tlsmgr/unix"]["wakeup"] == "1000?"
    assert postfix.parse_master_cf(postfix.render_master_cf(services)) == services
