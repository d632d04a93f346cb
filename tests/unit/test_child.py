"""A child process is read while it runs, and reaped whatever happens; real processes, real signals."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from valija import child


def python(code: str) -> list[str]:
    return [sys.executable, "-u", "-c", code]


def test_lines_come_from_both_streams_and_the_last_needs_no_end() -> None:
    with child.started(python("import sys; print('a'); print('b', file=sys.stderr); print('c', end='')"), os.environ,
                       pipes=True) as process:  # fmt: skip
        said = [(stream, line) for stream, line in child.lines(process) if stream != "tick"]
    assert sorted(said) == [("err", "b"), ("out", "a"), ("out", "c")]
    assert process.returncode == 0


def test_reading_ends_with_the_child_though_a_grandchild_holds_the_pipe() -> None:
    code = "import subprocess; print('x'); subprocess.Popen(['sleep', '20'])"
    begun = time.monotonic()
    with child.started(python(code), os.environ, pipes=True) as process:
        said = [line for stream, line in child.lines(process) if stream == "out"]
    assert said == ["x"]
    assert time.monotonic() - begun < 10


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT means what it means to a person: whoever started the tests in the background had it ignored."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_and_the_child_is_reaped(number: signal.Signals) -> None:
    code = (
        "import signal, sys, time\n"
        "def end(number, frame): print('got', number); sys.exit(3)\n"
        "signal.signal(signal.SIGINT, end); signal.signal(signal.SIGTERM, end)\n"
        "print('ready'); time.sleep(30)"
    )
    with pytest.raises(KeyboardInterrupt), child.started(python(code), os.environ, pipes=True) as process:
        for stream, line in child.lines(process):
            if (stream, line) == ("out", "ready"):
                threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
    assert process.returncode == 3


def test_a_child_is_not_left_behind_by_an_error_of_ours() -> None:
    with pytest.raises(ZeroDivisionError), child.started(python("import time; time.sleep(30)"), os.environ,
                                                         pipes=True) as process:  # fmt: skip
        _ = 1 / 0
    assert process.returncode == -signal.SIGTERM
