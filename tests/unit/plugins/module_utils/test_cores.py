"""Work that is shared between processes has the results of work that is not."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils.cores import shared


@pytest.fixture(autouse=True)
def three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2})


@pytest.mark.parametrize(("count", "parts"), [(0, 1), (1, 1), (19, 1), (20, 2), (31, 3), (100, 3)])
def test_each_item_is_worked_on_once_and_in_order(count: int, parts: int) -> None:
    found = shared(lambda part: [number * 2 for number in part], range(count), 10)
    assert len(found) == parts
    assert [number for part in found for number in part] == [number * 2 for number in range(count)]


def test_the_parts_are_worked_on_by_processes() -> None:
    assert len(set(shared(lambda part: os.getpid(), range(100), 10))) == 3


def test_what_a_process_could_not_finish_is_done_here() -> None:
    here = os.getpid()

    def fails_elsewhere(part: Sequence[int]) -> int:
        if os.getpid() != here:
            os._exit(3)
        return sum(part)

    assert sum(shared(fails_elsewhere, range(100), 10)) == sum(range(100))


def test_an_error_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        shared(lambda part: 1 // (part[-1] - 99), range(100), 10)
