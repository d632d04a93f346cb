"""Sessions of users end with their processes: Courier serves each login by a process of that user."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# How long the processes of a user may take to end by themselves, in seconds.
_GRACE_SECONDS = 2.0


def end_sessions(uids: set[int]) -> None:
    """End the processes of these users, their IMAP and POP3 sessions and what a proxy keeps open for them.

    Only processes of this host are meant: a container's users have numbers of their own.
    """
    if not uids:
        return
    deadline = time.monotonic() + _GRACE_SECONDS
    number = signal.SIGTERM
    while running := list(_processes(uids)):
        for pid in running:
            _signal(pid, number)
        if number == signal.SIGKILL:
            return
        time.sleep(0.05)
        number = signal.SIGKILL if time.monotonic() > deadline else signal.SIGTERM


def _processes(uids: set[int]) -> Iterator[int]:
    with os.scandir("/proc") as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.name.isdigit() and entry.stat().st_uid in uids and _is_of_this_host(Path(entry.path)):
                    yield int(entry.name)


def _is_of_this_host(process: Path) -> bool:
    """A process of a container has a second number, that of its own space (proc_pid_status(5), NSpid)."""
    status = (process / "status").read_text(errors="replace")
    numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return len(numbers) <= 1 and "State:\tZ" not in status


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
