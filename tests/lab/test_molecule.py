"""Each scenario of molecule passes: made by the lab, converged, unchanged the second time, proved, destroyed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@pytest.mark.parametrize("scenario", ["default", pytest.param("bookworm", marks=pytest.mark.slow)])
def test_scenario(scenario: str) -> None:
    done = subprocess.run(
        [BIN / "molecule", "test", "-s", scenario],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "NO_COLOR": "1"},
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
