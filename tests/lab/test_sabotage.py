"""Every sabotage turns the check red that is named beside it, and the mended host is green again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import LabSite

ROOT = Path(__file__).parents[2]
SABOTAGES = yaml.safe_load((ROOT / "scripts" / "sabotages.yml").read_text())

# These are done in every run; the others, some twelve seconds each, are in the slow tier.
ALWAYS = ("open-relay", "smuggling", "tls-1.0-mail", "imap-in-clear-text", "firewall-open")


def chosen(request: pytest.FixtureRequest) -> list[str]:
    """The sabotages that this run is about: all in one lab, one after the other."""
    items: list[Any] = request.session.items
    here = (item for item in items if item.path == request.path and hasattr(item, "callspec"))
    return [item.callspec.params["name"] for item in here]


@pytest.fixture(scope="module")
def proof(request: pytest.FixtureRequest, converged: LabSite) -> subprocess.CompletedProcess[str]:
    """What `scripts/sabotage prove` said: each in turn, and one more proof at the end."""
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "sabotage", "prove", *chosen(request), "-i", converged.path],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in ALWAYS else [pytest.mark.slow]) for name in SABOTAGES]
)
def test_a_sabotage_is_caught(proof: subprocess.CompletedProcess[str], name: str) -> None:
    caught = [line for line in proof.stdout.splitlines() if line.startswith(f"{name}: ") and " went red: " in line]
    assert caught, proof.stdout + proof.stderr
    assert all("remedy: " in line and not line.rstrip().endswith("remedy:") for line in caught)


def test_the_mended_host_is_green(proof: subprocess.CompletedProcess[str]) -> None:
    assert proof.returncode == 0, proof.stdout + proof.stderr
