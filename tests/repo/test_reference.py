"""The pages of docs/reference/ say what the code says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

PAGES = ["checks.md", "commands.md", "plugins.md", "roles.md"]
# Written by scripts/bench and scripts/security, which need hosts to look at.
MEASURED = ["benchmarks.md", "security.md"]


@pytest.fixture(scope="module")
def fresh(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages as `scripts/docs` would write them now."""
    folder = tmp_path_factory.mktemp("reference")
    subprocess.run([root / "scripts" / "docs", folder], check=True)
    return folder


def test_every_page_is_generated(root: Path, fresh: Path) -> None:
    assert sorted(path.name for path in fresh.iterdir()) == PAGES
    assert sorted(path.name for path in (root / "docs" / "reference").iterdir()) == sorted([*PAGES, *MEASURED])


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_fresh(page: str, root: Path, fresh: Path) -> None:
    kept = (root / "docs" / "reference" / page).read_text().splitlines()
    assert kept == (fresh / page).read_text().splitlines(), "run scripts/docs"
