"""scripts/bench: its usage, its arithmetic, and the page it writes between marks."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]

Load = Callable[[str], ModuleType]


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Import a module of the tool by its name, and forget it afterwards."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts" / "bench.d"))

    def load(name: str) -> ModuleType:
        module = importlib.import_module(name)
        monkeypatch.delitem(sys.modules, name)
        return module

    return load


def test_its_usage_names_every_part_and_how_long_it_takes() -> None:
    run = subprocess.run([ROOT / "scripts" / "bench", "--help"], capture_output=True, text=True, check=True)
    for part in ("B1", "B2", "B3", "B4", "B5", "B8"):
        assert f"\n  {part}  " in run.stdout
    assert run.stdout.count("minutes") == 6


def test_a_part_that_does_not_exist_is_refused() -> None:
    run = subprocess.run([ROOT / "scripts" / "bench", "B9"], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "no part B9" in run.stderr


def test_growth_is_told_as_an_exponent_and_continued_along_it(tool: Load) -> None:
    measure = tool("measure")
    assert measure.exponent({10: 0.2, 100: 2.0, 1000: 20.0}) == pytest.approx(1)
    assert measure.exponent({10: 1.0, 100: 100.0}) == pytest.approx(2)
    assert measure.fitted({10: 1.0, 100: 10.0, 300: 30.0}, 10_000) == pytest.approx(1000)


CASE = {"median": 0.5, "least": 0.4, "most": 0.6, "rounds": [0.4, 0.5, 0.6], "beside": "1"}
FIGURES: dict[str, Any] = {
    "B4": {
        "title": "one <more>",
        "cases": {"ours": CASE, "theirs & others": {**CASE, "median": 1.5, "most": 2.0, "beside": "3.00 x"}},
        "lines": [
            {"line": "ours beside theirs ≤ 1.5 x", "figure": "1.60 x", "held": False},
            {"line": "ours ≤ 6 s", "figure": "0.50 s", "held": True},
        ],
        "notes": ["How it was done."],
        "calls": {"the accounts alone": {"internet": 1, "tutorial": 1}},
        "growth": {"ours": {"10": 0.01, "1000": 1.5}, "theirs": {"10": 0.2, "100": 900.0}},
        "machine": {"command": "scripts/bench B4", "taken": "today", "load before": "0.1"},
        "seconds": 9,
    }
}


def test_the_page_keeps_what_people_write_around_the_figures(tool: Load, tmp_path: Path) -> None:
    page = tool("page")
    path = tmp_path / "benchmarks.md"
    page.write(path, FIGURES, tmp_path / "images")
    path.write_text(path.read_text() + "\nMore by hand.\n")
    page.write(path, FIGURES, tmp_path / "images")
    text = path.read_text()
    assert text.count("| ours | 0.50 s | 0.40 s to 0.60 s | 3 | 1 |") == 1
    assert text.endswith("\nMore by hand.\n")
    assert "`scripts/bench B4`, today; load before 0.1; 9 s." in text
    assert "![one <more>](images/bench-b4.svg)" in text


def test_the_page_has_the_counted_calls_and_what_fell_short_with_its_reason(
    tool: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tool("page")
    reasons = tmp_path / "reasons.yml"
    reasons.write_text("'B4: ours beside theirs': |\n  Ansible's start.\n  More was tried.\n")
    monkeypatch.setattr(page, "REASONS", reasons)
    path = tmp_path / "benchmarks.md"
    page.write(path, FIGURES, tmp_path)
    text = path.read_text()
    assert "| the accounts alone | 1 | 1 |" in text
    assert "- **B4: ours beside theirs ≤ 1.5 x**: 1.60 x. Ansible's start. More was tried.\n" in text
    assert "ours ≤ 6 s**" not in text


@pytest.mark.parametrize("growth", [FIGURES["B4"]["growth"], {}])
def test_a_picture_is_well_formed_and_names_its_cases(growth: dict[str, Any], tool: Load) -> None:
    drawn = tool("pictures").picture({**FIGURES["B4"], "growth": growth})
    words = "".join(ElementTree.fromstring(drawn).itertext())
    assert "one <more>" in words
    assert ("theirs" if growth else "theirs & others") in words
    assert "prefers-color-scheme:dark" in drawn


def test_every_line_that_the_page_says_was_not_held_has_a_reason(tool: Load) -> None:
    text = (
        (ROOT / "docs/reference/benchmarks.md").read_text() if (ROOT / "docs/reference/benchmarks.md").exists() else ""
    )
    assert tool("page").UNEXPLAINED not in text
