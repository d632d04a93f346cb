"""A controller names itself the same in all its workers, and knows when another one of its own machine is gone."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
from multiprocessing.connection import Connection
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.valija.mailserver.plugins.module_utils import lock
from ansible_collections.valija.mailserver.plugins.plugin_utils import host_call

WORKERS = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def fresh() -> None:
    host_call.lock_owner.cache_clear()


def _tell(pipe: Connection) -> None:
    pipe.send(host_call.lock_owner())


def in_worker() -> dict[str, Any]:
    """The owner as a worker of this process computes it."""
    ours, theirs = WORKERS.Pipe()
    worker = WORKERS.Process(target=_tell, args=(theirs,))
    worker.start()
    owner: dict[str, Any] = ours.recv()
    worker.join()
    ours.close()
    theirs.close()
    return owner


def test_every_worker_of_a_run_is_the_same_owner() -> None:
    first, second = in_worker(), in_worker()
    assert first["id"] == second["id"]
    assert first["pid"] == os.getpid()


def test_an_owner_is_complete() -> None:
    assert lock.owner_of(host_call.lock_owner()).since.endswith("Z")


class Action:
    """Records what a module is called with."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def _execute_module(self, **call: Any) -> dict[str, Any]:
        self.calls.append(call)
        return {}


def test_a_call_names_its_owner_and_whether_it_continues() -> None:
    action = Action()
    host_call.run_module(action, "finish", {"a": 1}, {})
    facts = {"ansible_facts": {"valija": {"run": host_call.lock_owner()["id"]}}}
    host_call.run_module(action, "finish", {}, facts)
    first, second = (call["module_args"] for call in action.calls)
    assert first["a"] == 1 and not first["_lock_owner"]["continues"]
    assert second["_lock_owner"]["continues"]
    assert action.calls[0]["module_name"] == "valija.mailserver.finish"


def test_a_worker_whose_controller_was_killed_makes_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    action = Action()
    monkeypatch.setattr(host_call, "lock_owner", lambda: {"id": "x", "pid": 0})
    with pytest.raises(AnsibleActionFail, match="killed"):
        host_call.run_module(action, "finish", {}, {})
    assert not action.calls


def test_a_process_that_runs_is_not_gone() -> None:
    assert not host_call.is_gone(host_call.lock_owner())


def test_a_process_that_ended_is_gone() -> None:
    process = subprocess.Popen(["true"])
    holder = {"space": host_call.process_space(), "pid": process.pid, "id": "x"}
    process.wait()
    assert host_call.is_gone(holder)


def test_a_number_that_another_process_has_now_is_gone() -> None:
    owner = host_call.lock_owner()
    assert host_call.is_gone({**owner, "id": f"{host_call.process_space()}/{owner['pid']}/1"})


def test_of_another_machine_nothing_is_known() -> None:
    assert not host_call.is_gone({"space": "another", "pid": 1, "id": "x"})
