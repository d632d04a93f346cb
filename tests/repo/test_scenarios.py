"""Scenarios of molecule hold only what differs; what they share stands in .config/molecule."""

from __future__ import annotations

from pathlib import Path

import yaml

from valija.lab.releases import RELEASES


def test_a_scenario_says_only_its_releases(root: Path) -> None:
    scenarios = sorted((root / "molecule").iterdir())
    assert [path.name for path in scenarios] == ["bookworm", "default"]
    for scenario in scenarios:
        assert [path.name for path in scenario.iterdir()] == ["molecule.yml"]
        content = yaml.safe_load((scenario / "molecule.yml").read_text())
        assert set(content["ansible"]["env"]["LAB_RELEASES"].split()) <= RELEASES.keys()
        assert content == {"ansible": {"env": {"LAB_RELEASES": content["ansible"]["env"]["LAB_RELEASES"]}}}
