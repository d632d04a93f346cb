"""A lab takes the first free slot, also when another one takes it in the same moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from valija.lab import network
from valija.lab.engine import EngineError
from valija.lab.state import Place

OVERLAP = "Error response from daemon: Pool overlaps with other one on this address space"


class Engine:
    """The engine at its seam, the Docker client: no network is listed, and the first address pools are refused."""

    def __init__(self, refuse: int, words: str) -> None:
        self.refuse, self.words, self.made = refuse, words, 0

    def __call__(self, *arguments: str) -> str:
        if arguments[:2] == ("network", "create"):
            self.made += 1
            if self.made <= self.refuse:
                raise EngineError(self.words)
        return ""


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(network, "exists", lambda *_: False)
    return Place("moment")


def test_a_slot_that_another_lab_is_taking_is_passed_over(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "docker", Engine(2, OVERLAP))
    assert network.ensure(place).number == 2


def test_another_fault_of_the_engine_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "docker", Engine(1, "permission denied"))
    with pytest.raises(EngineError, match="permission denied"):
        network.ensure(place)
