"""A run that is killed after any of its remote calls, and repeated, ends like one that was not interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from .conftest import BIN, LabSite, up, valija

NAME = "test-interrupted"


def count_calls(path: Path) -> int:
    return len(path.read_bytes().splitlines()) if path.exists() else 0


def kill_after(site: LabSite, calls: int, ledger: Path) -> bool:
    """Start an apply and kill it, controller and all, when this many remote calls began. False if it ended first."""
    ledger.unlink(missing_ok=True)
    process = subprocess.Popen(
        [BIN / "valija", "apply", "-i", site.path],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "VALIJA_REMOTE_CALLS": str(ledger)},
    )
    while process.poll() is None:
        if count_calls(ledger) >= calls:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
        try:
            process.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            continue
    return False


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int]:
    """The state after an uninterrupted run from the same start, and the number of its remote calls."""
    site = up(NAME, ["debian-13"], "packages")
    ledger = tmp_path_factory.mktemp("whole") / "calls"
    try:
        run = site.valija("apply", environment={"VALIJA_REMOTE_CALLS": str(ledger)})
        assert run.code == 0, run.output
        return site.host.managed_state(), count_calls(ledger)
    finally:
        valija("lab", "down", NAME)


# A first converge makes this many calls at the most (tests/lab/test_first_converge.py keeps the budget).
@pytest.mark.slow
@pytest.mark.parametrize("calls", range(1, 15))
def test_a_run_killed_after_a_call_is_completed_by_the_next(calls: int, whole: tuple[str, int], tmp_path: Path) -> None:
    state, total = whole
    site = up(NAME, ["debian-13"], "packages")
    try:
        interrupted = kill_after(site, calls, tmp_path / "calls")
        assert interrupted or calls > total, f"the run ended after fewer than {calls} calls, of {total}"
        run = site.valija("apply")
        assert run.code == 0, run.output
        assert site.host.managed_state() == state
        assert site.host.sh("postconf -h home_mailbox") == "Maildir/"
        assert site.valija("prove", "--only", "A-20,D-01,E-01").code == 0
    finally:
        valija("lab", "down", NAME)
