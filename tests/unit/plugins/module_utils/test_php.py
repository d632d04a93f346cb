"""The grammar of PHP settings and pools: what is rendered is read back equal, and PHP itself agrees."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import php
from hypothesis import given
from hypothesis import strategies as st

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True).filter(lambda name: name != "this")
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
keys = texts.filter(lambda text: text != php.SM_PATH and not text.removeprefix("-").isdecimal())
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), texts)
leaves = st.one_of(scalars, st.builds(lambda rest: {php.SM_PATH: rest}, texts))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, min_size=1, max_size=4)),
    max_leaves=8,
)


@given(st.dictionaries(names, values, max_size=5))
def test_settings_are_read_back_as_they_were_written(settings: dict[str, Any]) -> None:
    assert php.parse_settings("<?php\n" + php.render_settings(settings)) == settings


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("<?php\n/* a\n * comment */\nglobal $version;\n$a = 'b'; // more\n# end\n?>\n", {"a": "b"}),
        ("$a=1;$b = -7 ;", {"a": 1, "b": -7}),
        ("$a = TRUE; $b = False; $c = null;", {"a": True, "b": False, "c": None}),
        ('$a = "it \\"is\\" \\\\ so";', {"a": 'it "is" \\ so'}),
        ("$a = 'don\\'t \\n';", {"a": "don't \\n"}),
        ("$p[] = 'x';\n$p[] = 'y';", {"p": ["x", "y"]}),
        (
            "$theme[0]['PATH'] = SM_PATH . 'themes/a.php';\n$theme[0]['NAME'] = 'A';",
            {"theme": [{"PATH": {"SM_PATH": "themes/a.php"}, "NAME": "A"}]},
        ),
        ("$a = array();\n$b = [];", {"a": [], "b": []}),
        ("$a = 1;\n$a = 2;", {"a": 2}),
    ],
)
def test_what_squirrelmail_configure_writes_is_read(text: str, settings: dict[str, Any]) -> None:
    assert php.parse_settings(text) == settings


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('$a = 1;\n$b = "version $a";', 2),
        ("include 'x.php';", 1),
        ("$a = 1;\n\n$b = 1 + 1;", 3),
        ("$a = 1", 1),
        ("$a = SM_PATH . 7;", 1),
    ],
)
def test_a_program_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(ValueError, match=f"^line {line}: "):
        php.parse_settings(text)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"a-b": 1}, "a-b"),
        ({"this": 1}, "this"),
        ({"a": "nul\0"}, r"\$a"),
        ({"a": {"0": 1}}, r"\$a"),
        ({"a": 1.5}, r"\$a"),
        ({"a": {"b": [2**63]}}, r"\$a\['b'\]\[0\]"),
    ],
)
def test_what_php_settings_cannot_say_is_refused_by_name(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        php.render_settings(settings)


@pytest.mark.skipif(shutil.which("php") is None, reason="php is not installed here")
def test_php_reads_what_was_written(tmp_path: Path) -> None:
    settings = {"a": "x'y\\z\\'\n$no é", "b": [1, True, None], "c": {"k'": {"l": -3}}, "d": {"SM_PATH": "e"}}
    program = tmp_path / "settings.php"
    program.write_text(
        "<?php define('SM_PATH', '../');\n"
        + php.render_settings(settings)
        + "echo json_encode(['a' => $a, 'b' => $b, 'c' => $c, 'd' => $d]);",
        encoding="utf-8",
    )
    ran = subprocess.run(["php", str(program)], capture_output=True, check=True)
    assert json.loads(ran.stdout) == {**settings, "d": "../e"}


directives = st.from_regex(r"[a-z_.]{1,12}(\[[a-z_.]{1,12}\])?", fullmatch=True)
pool_texts = st.from_regex(r"[A-Za-z0-9 ;=#\[\]_./:@$%&é,()!<>|~^-]{0,30}", fullmatch=True)


@given(st.dictionaries(st.from_regex(r"[A-Za-z0-9_.-]{1,10}", fullmatch=True), st.dictionaries(directives, pool_texts)))
def test_pools_are_read_back_as_they_were_written(pools: dict[str, dict[str, str]]) -> None:
    assert php.parse_pool(php.render_pool(pools)) == pools


@pytest.mark.parametrize("value", ['a"b', "a\nb", "a\\b", "${HOME}", True, None])
def test_what_a_pool_cannot_hold_is_refused_by_name(value: object) -> None:
    with pytest.raises(ValueError, match="web: listen"):
        php.render_pool({"web": {"listen": value}})


def test_a_pool_file_with_a_stray_line_is_refused_with_its_line() -> None:
    with pytest.raises(ValueError, match=r"^line 2: "):
        php.parse_pool("[web]\nlisten\n")
