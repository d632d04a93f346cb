"""Work on many items, shared between the cores of a host by processes: threads of Python take turns."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def shared(work: Callable[[Sequence[T]], R], items: Sequence[T], least: int) -> list[R]:
    """The results of the work on each part of the items, in their order: a part a core, of `least` items or more.

    Results are what JSON can carry. The work changes nothing: what a process could not finish is done again here.
    """
    parts = _parts(items, min(len(os.sched_getaffinity(0)), len(items) // least))
    others = [(part, *_begun(work, part)) for part in parts[1:]]
    return [work(parts[0]), *(_result(work, *other) for other in others)]


def _parts(items: Sequence[T], count: int) -> list[Sequence[T]]:
    size = -(-len(items) // max(count, 1)) or 1
    return [items[start : start + size] for start in range(0, len(items), size)] or [items]


def _begun(work: Callable[[Sequence[T]], R], part: Sequence[T]) -> tuple[int, int]:
    """Start a process for a part: its number, and where its result comes out."""
    out, into = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        os.close(into)
        return pid, out
    try:
        with os.fdopen(into, "w") as stream:
            json.dump(work(part), stream)
        os._exit(0)
    finally:
        os._exit(1)


def _result(work: Callable[[Sequence[T]], R], part: Sequence[T], pid: int, out: int) -> R:
    with os.fdopen(out, encoding="utf-8") as stream:
        text = stream.read()
    _pid, status = os.waitpid(pid, 0)
    if status:
        return work(part)
    result: R = json.loads(text)
    return result
