"""Waiting with a deadline: the only place that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from valija.messages import _

T = TypeVar("T")


class TooLateError(AssertionError):
    """What was waited for did not come within its deadline."""


def until(condition: Callable[[], T], within: float, what: str = "", every: float = 0.1) -> T:
    """Call `condition` until it is true and return its value; raise TooLateError after `within` seconds.

    The pause between two calls grows from `every` seconds to one second, so that a long wait is a gentle one.
    """
    deadline = time.monotonic() + within
    pause = every
    while True:
        value = condition()
        if value:
            return value
        left = deadline - time.monotonic()
        if left <= 0:
            raise TooLateError(
                _("Waited {seconds:g} s in vain for {what}.").format(seconds=within, what=what or condition.__name__)
            )
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, 1.0)
