"""A run that is killed in any of its remote calls, and repeated, ends like one that was not interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from .conftest import BIN, LabSite, up, valija

NAME = "test-interrupted"

# More than a first run on a host with the packages in makes: `whole` sees to that.
CALLS = 14


def started_calls(events: Path) -> int:
    """How many remote calls a run has begun so far."""
    lines = events.read_text().splitlines() if events.exists() else []
    return sum(1 for line in lines if json.loads(line)["event"] == "call")


def start(site: LabSite, events: Path) -> subprocess.Popen[bytes]:
    """Start the playbook as a person would, with the callback that writes a line for every remote call."""
    environment = {
        "ANSIBLE_CONFIG": str(site.path / "ansible.cfg"),
        "ANSIBLE_CALLBACKS_ENABLED": "valija.mailserver.events",
        "VALIJA_EVENTS": str(events),
    }
    return subprocess.Popen(
        [BIN / "ansible-playbook", "-i", site.path, "valija.mailserver.site"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, **environment},
    )


def kill_in(site: LabSite, call: int, seconds: float, events: Path) -> None:
    """Start a run and kill it, with all its children, this long after its given remote call began."""
    process = start(site, events)
    while process.poll() is None and started_calls(events) < call:
        time.sleep(0.01)
    time.sleep(seconds)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The state after a run that nobody interrupted, from the same start."""
    site = up(NAME, ["debian-13"], "packages")
    events = tmp_path_factory.mktemp("whole") / "events"
    try:
        assert start(site, events).wait() == 0
        assert 0 < started_calls(events) <= CALLS
        return site.host.managed_state()
    finally:
        valija("lab", "down", NAME)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.05, 0.6])
@pytest.mark.parametrize("call", range(1, CALLS + 1))
def test_a_run_killed_in_a_call_is_completed_by_the_next(call: int, seconds: float, whole: str, tmp_path: Path) -> None:
    site = up(NAME, ["debian-13"], "packages")
    try:
        kill_in(site, call, seconds, tmp_path / "events")
        run = site.valija("apply")
        assert run.code == 0, run.output
        assert site.host.managed_state() == whole
        proof = site.valija("prove", "--only", "A-20,D-01,E-01")
        assert proof.code == 0, proof.output
    finally:
        valija("lab", "down", NAME)
