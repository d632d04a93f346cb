"""One controller at a time: the lock is tried with real processes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import lock

FIRST = lock.Owner("boot/7/1", "control-1", "boot", "ana", 7, "2026-01-01T00:00:00Z")
SECOND = dataclasses.replace(FIRST, id="boot/8/2", node="control-2", pid=8)
PROCESSES = multiprocessing.get_context("fork")


def call(
    owner: lock.Owner, folder: Path, *, wait: float = 0, gone: str = ""
) -> contextlib.AbstractContextManager[None]:
    return lock.hold(dataclasses.asdict(owner), wait_seconds=wait, gone=gone, folder=folder)


def _long_call(folder: Path, entered: Event, leave: Event) -> None:
    with call(FIRST, folder):
        entered.set()
        leave.wait(20)


@contextlib.contextmanager
def running_call(folder: Path) -> Iterator[Event]:
    """A call of the first owner in a process of its own; the event ends it."""
    entered, leave = PROCESSES.Event(), PROCESSES.Event()
    process = PROCESSES.Process(target=_long_call, args=(folder, entered, leave))
    process.start()
    assert entered.wait(20)
    try:
        yield leave
    finally:
        leave.set()
        process.join(20)
        assert process.exitcode == 0


def age(folder: Path, seconds: float) -> None:
    data = json.loads((folder / "lock").read_text())
    data["renewed"] -= seconds
    (folder / "lock").write_text(json.dumps(data))


def test_an_owner_holds_on_between_its_calls(tmp_path: Path) -> None:
    for _ in range(2):
        with call(FIRST, tmp_path):
            pass
    with (
        pytest.raises(lock.Held, match=r"held by ana on control-1 \(process 7\) since 2026") as held,
        call(SECOND, tmp_path),
    ):
        pass
    assert held.value.lease and held.value.lease.owner == FIRST


def test_a_call_that_runs_keeps_others_out_whatever_they_know(tmp_path: Path) -> None:
    with running_call(tmp_path):
        with pytest.raises(lock.Held), call(SECOND, tmp_path, gone=FIRST.id):
            pass
        age(tmp_path, 2 * lock.LEASE_SECONDS)
        with pytest.raises(lock.Held), call(SECOND, tmp_path):
            pass


def test_the_second_waits_until_the_first_has_given_the_lock_back(tmp_path: Path) -> None:
    with running_call(tmp_path) as leave:
        leave.set()
        began = time.monotonic()
        with pytest.raises(lock.Held), call(SECOND, tmp_path, wait=1):
            pass
        assert time.monotonic() - began >= 1
    with call(FIRST, tmp_path):
        assert lock.release(dataclasses.asdict(FIRST), folder=tmp_path)
    with call(SECOND, tmp_path):
        assert not lock.release(dataclasses.asdict(FIRST), folder=tmp_path)


def test_a_lock_that_was_given_back_stays_so(tmp_path: Path) -> None:
    with call(FIRST, tmp_path):
        lock.release(dataclasses.asdict(FIRST), folder=tmp_path)
    assert not (tmp_path / "lock").exists()


def test_a_forgotten_lease_is_free(tmp_path: Path) -> None:
    with call(FIRST, tmp_path):
        pass
    age(tmp_path, lock.LEASE_SECONDS + 1)
    with call(SECOND, tmp_path):
        pass


def test_a_holder_known_to_be_gone_is_no_holder(tmp_path: Path) -> None:
    with call(FIRST, tmp_path):
        pass
    with call(SECOND, tmp_path, gone=FIRST.id):
        pass
    with pytest.raises(lock.Held), call(FIRST, tmp_path):
        pass


def test_a_broken_lock_file_locks_nobody_out(tmp_path: Path) -> None:
    for text in ("", "{", '{"owner": 1}', '{"owner": {"id": "x"}, "renewed": 1}', "[]"):
        (tmp_path / "lock").write_text(text)
        with call(FIRST, tmp_path):
            pass


def test_a_call_without_an_owner_is_guarded_and_leaves_no_lease(tmp_path: Path) -> None:
    with lock.hold(None, folder=tmp_path):
        pass
    assert not (tmp_path / "lock").exists()


def test_an_owner_that_continues_may_not_go_on_once_another_had_the_host(tmp_path: Path) -> None:
    continuing = {**dataclasses.asdict(FIRST), "continues": True}
    with call(FIRST, tmp_path):
        pass
    with lock.hold(continuing, folder=tmp_path):
        pass
    with call(SECOND, tmp_path, gone=FIRST.id):
        pass
    began = time.monotonic()
    with pytest.raises(lock.Lost), lock.hold(continuing, folder=tmp_path):
        pass
    with call(SECOND, tmp_path):
        lock.release(dataclasses.asdict(SECOND), folder=tmp_path)
    with pytest.raises(lock.Lost, match="Another run"), lock.hold(continuing, folder=tmp_path):
        pass
    assert time.monotonic() - began < 5, "it does not wait"


def test_after_a_reboot_an_owner_goes_on(tmp_path: Path) -> None:
    with lock.hold({**dataclasses.asdict(FIRST), "continues": True}, folder=tmp_path):
        pass
    assert (tmp_path / "lock").exists()
