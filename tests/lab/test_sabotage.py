"""Every sabotage turns the check red that is named beside it, and the mended host is green again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .conftest import LabSite

ROOT = Path(__file__).parents[2]
SABOTAGES = yaml.safe_load((ROOT / "scripts" / "sabotages.yml").read_text())


@pytest.mark.parametrize("name", SABOTAGES)
def test_a_sabotage_is_caught(converged: LabSite, name: str) -> None:
    run = subprocess.run(
        [sys.executable, ROOT / "scripts" / "sabotage", "prove", name, "-i", converged.path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "went red" in run.stdout
    assert "remedy: " in run.stdout and not run.stdout.rstrip().endswith("remedy:")
