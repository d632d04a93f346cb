"""A child process whose output is read while it runs, and which never outlives us: Ctrl-C and SIGTERM are passed on."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Literal

# How long a child gets to end by itself before the next, stronger signal, in seconds.
PATIENCE_SECONDS = 15.0

# How often a silent child is looked at, in seconds.
TICK_SECONDS = 0.2

Stream = Literal["out", "err", "tick"]


class Terminated(KeyboardInterrupt):
    """SIGTERM came: ends like Ctrl-C, so that what runs is cleaned up on one path."""


@contextmanager
def started(
    command: Sequence[str], environment: Mapping[str, str], *, pipes: bool, early: subprocess.Popen[bytes] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a child, with pipes for its output or with our own; reap it whatever happens.

    It gets our input only when that is a terminal, for its questions: Ansible refuses an input that does not block.
    One that is there already (`early`, with pipes) is taken instead of the command.
    """
    pipe = subprocess.PIPE if pipes else None
    silence = None if sys.stdin and sys.stdin.isatty() else subprocess.DEVNULL
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        child = early or subprocess.Popen(command, env=dict(environment), stdin=silence, stdout=pipe, stderr=pipe)
        try:
            yield child
        except KeyboardInterrupt as interruption:
            stop(child, signal.SIGTERM if isinstance(interruption, Terminated) else signal.SIGINT)
            raise
        except BaseException:
            stop(child, signal.SIGTERM)
            raise
        finally:
            for stream in (child.stdout, child.stderr):
                if stream:
                    stream.close()
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminated(number: int, frame: FrameType | None) -> None:
    raise Terminated


def stop(child: subprocess.Popen[bytes], first: signal.Signals) -> None:
    """Have the child end, and reap it. It may already have got the terminal's Ctrl-C, so it is asked after a moment."""
    steps = ((0.5, None), (PATIENCE_SECONDS, first), (PATIENCE_SECONDS, signal.SIGTERM), (None, signal.SIGKILL))
    for patience, number in steps:
        if number is not None:
            child.send_signal(number)
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        except KeyboardInterrupt:  # a second Ctrl-C: the next, stronger signal at once
            continue
        return


def lines(child: subprocess.Popen[bytes]) -> Iterator[tuple[Stream, str]]:
    """The lines that the child writes, as (stream, line without its end); ("tick", "") when it is silent.

    Ends when the child has ended, even if something it left behind (such as an SSH master) keeps the pipes open.
    """
    assert child.stdout and child.stderr
    rest: dict[Stream, bytes] = {"out": b"", "err": b""}
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ, "out")
        selector.register(child.stderr, selectors.EVENT_READ, "err")
        while selector.get_map():
            ended = child.poll() is not None
            ready = selector.select(0 if ended else TICK_SECONDS)
            if ended and not ready:
                break
            for key, _mask in ready:
                name: Stream = key.data
                data = os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fileobj)
                *whole, rest[name] = (rest[name] + data).split(b"\n")
                for line in whole:
                    yield name, line.decode("utf-8", "replace")
            yield "tick", ""
    for name, line in rest.items():
        if line:
            yield name, line.decode("utf-8", "replace")
    child.wait()
