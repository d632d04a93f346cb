"""Python's memory, where much is made in the middle of Ansible's own objects: ten thousand rows, or a module."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Work without the garbage collector, which would go through all of Ansible for each few thousand new objects.

    What is done with is freed all the same; only cycles wait.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
