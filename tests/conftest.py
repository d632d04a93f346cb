"""The slow tier: left out, whole, or a share of it that moves on with every commit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SHARES = 7

# The tests read what is said in the source language, whatever the language of the person who runs them.
os.environ["LANGUAGE"] = "C"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--slow",
        choices=["none", "share", "all"],
        default="none",
        help=f"tests marked slow: none, all, or the seventh (1 of {SHARES}) whose turn it is at this commit",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the slow tests that are not asked for; what is left out is counted as deselected, never as passed."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    wanted = {"none": [], "all": slow, "share": slow[turn() :: SHARES] if slow else []}[config.getoption("--slow")]
    left_out = [item for item in slow if item not in wanted]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def turn() -> int:
    """Which share is due: the number of commits so far, so that every share is run within a few changes."""
    count = subprocess.run(
        ["git", "rev-list", "--count", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return int(count) % SHARES
