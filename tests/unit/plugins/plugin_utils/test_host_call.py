"""A controller names itself the same in all its workers, and knows when another one of its own machine is gone."""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import lock
from ansible_collections.valija.mailserver.plugins.plugin_utils import host_call


@pytest.fixture(autouse=True)
def fresh() -> None:
    host_call.lock_owner.cache_clear()


def in_worker() -> str:
    """The owner's id as a forked worker computes it."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, host_call.lock_owner()["id"].encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as pipe:
        return pipe.read()


def test_every_worker_of_a_run_is_the_same_owner() -> None:
    assert in_worker() == in_worker()
    assert in_worker() != host_call.lock_owner()["id"], "the parent is another process"


def test_an_owner_is_complete() -> None:
    owner = lock.owner_of(host_call.lock_owner())
    assert owner.pid == os.getppid()
    assert owner.since.endswith("Z")


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
