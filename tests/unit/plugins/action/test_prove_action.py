"""The control node's part of prove: what the end of the suite means."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.valija.mailserver.plugins.action.prove import ActionModule


@pytest.mark.parametrize(
    ("code", "only", "refused", "words"),
    [
        pytest.param(4, "Z-99", "inventory", "--only Z-99", id="an id that no check has"),
        pytest.param(5, "nonsense", "inventory", "--only nonsense", id="an expression that selects nothing"),
        pytest.param(4, "", None, "ended with code 4", id="a suite that cannot begin"),
        pytest.param(3, "A-20", None, "ended with code 3", id="a suite that breaks down"),
        pytest.param(1, "A-20", None, "check failed", id="a check that fails"),
    ],
)
def test_a_selection_of_nothing_is_wrong_input(
    code: int, only: str, refused: str | None, words: str, tmp_path: Path
) -> None:
    action = ActionModule.__new__(ActionModule)
    action._task = SimpleNamespace(args={"only": only})
    answer = action._verdict(code, 1.0, tmp_path)
    assert answer["failed"]
    assert answer.get("valija_refused") == refused
    assert words in answer["msg"]
