"""Scenarios of molecule hold only what differs; what they share stands in .config/molecule."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from valija.lab.releases import RELEASES

SCENARIOS = Path(__file__).parents[2] / "molecule"
# The lab's own scenarios, and those that make their hosts in another way.
LAB = ["bookworm", "default"]
OTHERS = ["vagrant"]


def settings(scenario: str) -> dict[str, dict[str, dict[str, str]]]:
    content: dict[str, dict[str, dict[str, str]]] = yaml.safe_load((SCENARIOS / scenario / "molecule.yml").read_text())
    return content


def test_every_scenario_is_known_here() -> None:
    assert sorted(path.name for path in SCENARIOS.iterdir()) == sorted(LAB + OTHERS)


@pytest.mark.parametrize("scenario", LAB)
def test_a_scenario_of_the_lab_says_only_its_releases(scenario: str) -> None:
    assert [path.name for path in (SCENARIOS / scenario).iterdir()] == ["molecule.yml"]
    assert settings(scenario) == {
        "ansible": {"env": {"LAB_RELEASES": settings(scenario)["ansible"]["env"]["LAB_RELEASES"]}}
    }


@pytest.mark.parametrize("scenario", OTHERS)
def test_another_scenario_says_only_its_releases_and_how_its_hosts_come_and_go(scenario: str) -> None:
    content = settings(scenario)["ansible"]
    assert content == {
        "env": {"LAB_RELEASES": content["env"]["LAB_RELEASES"]},
        "playbooks": {"create": "create.yml", "destroy": "destroy.yml"},
    }


@pytest.mark.parametrize("scenario", LAB + OTHERS)
def test_its_releases_are_the_labs(scenario: str) -> None:
    assert set(settings(scenario)["ansible"]["env"]["LAB_RELEASES"].split()) <= RELEASES.keys()
