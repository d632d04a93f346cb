"""Signals that end a module become an exception, so that what was begun is put back in order."""

from __future__ import annotations

import signal
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def unwind() -> None:
    """From now on, have them raise KeyboardInterrupt."""
    for number in SIGNALS:
        signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End the transaction, which puts all back; a second signal must not end that."""
    for ignored in SIGNALS:
        signal.signal(ignored, signal.SIG_IGN)
    raise KeyboardInterrupt(f"Interrupted by signal {number}.")
