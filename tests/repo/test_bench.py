"""scripts/bench: its usage, its arithmetic, and the page it writes between marks."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> object:
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


def test_growth_is_told_as_an_exponent_and_continued_along_it(tool: object) -> None:
    measure = tool("measure")  # type: ignore[operator]
    assert measure.exponent({10: 0.2, 100: 2.0, 1000: 20.0}) == pytest.approx(1)
    assert measure.exponent({10: 1.0, 100: 100.0}) == pytest.approx(2)
    assert measure.fitted({10: 1.0, 100: 10.0, 300: 30.0}, 10_000) == pytest.approx(1000)


def test_the_page_keeps_what_people_write_around_the_figures(tool: object, tmp_path: Path) -> None:
    page = tool("page")  # type: ignore[operator]
    machine = {"command": "scripts/bench B4", "taken": "today", "load": "0.1"}
    case = {"median": 0.5, "least": 0.4, "most": 0.6, "rounds": [0.4, 0.5, 0.6], "beside": "1"}
    figures = {
        "B4": {"title": "one", "cases": {"ours": case}, "lines": [], "notes": [], "machine": machine, "seconds": 9}
    }
    path = tmp_path / "benchmarks.md"
    page.write(path, figures)
    path.write_text(path.read_text() + "\nWhat fell short, and why.\n")
    page.write(path, figures)
    text = path.read_text()
    assert text.count("| ours | 0.50 s | 0.40 s to 0.60 s | 3 | 1 |") == 1
    assert text.endswith("\nWhat fell short, and why.\n")
    assert "`scripts/bench B4`, today" in text
