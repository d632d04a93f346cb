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
    space = Path("/proc/self/ns/pid").stat()
    for entry in os.scandir("/proc"):
        try:
            if entry.name.isdigit() and entry.stat().st_uid in uids:
                other = Path(entry.path, "ns/pid").stat()
                if other.st_ino == space.st_ino and other.st_dev == space.st_dev:
                    yield int(entry.name)
        except OSError:
            continue


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
