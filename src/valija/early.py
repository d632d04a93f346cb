"""ansible-playbook as a child of ours, which may begin early: while the command line still reads and writes.

Loading takes as long as all that `valija accounts add` does before it; side by side on two cores, one of them is free.
Run as a program it is the child: it loads, and becomes ansible-playbook with the words that it was given, or that come
by a pipe; it ends when nobody asks there.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

EVENTS = "VALIJA_EVENTS"

# Every worker that Ansible forks goes through all of its parent's objects when its garbage is collected, and copies the
# pages by that. What is loaded is set aside, and few collections are made: a sixth of the time of a short run.
COLLECT_AFTER = 200_000


@dataclass
class Early:
    """A child that has Ansible loaded, or is about to; `environment` is what it was started with."""

    child: subprocess.Popen[bytes]
    environment: dict[str, str]
    pipe: int

    def told(self, arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
        """Have it run ansible-playbook with these words; False when it is gone, or its environment is another one.

        Only where the events go may differ (the callback's variable): that is read when the run begins.
        """
        differs = dict(environment.items() ^ self.environment.items()).keys() - {EVENTS}
        if differs or self.child.poll() is not None:
            return False
        message = json.dumps({"arguments": list(arguments), "environment": {EVENTS: environment.get(EVENTS, "")}})
        try:
            with os.fdopen(self.pipe, "w") as stream:
                self.pipe = -1
                stream.write(message)
        except OSError:
            return False
        return True


@contextmanager
def begun(environment: Mapping[str, str]) -> Iterator[Early]:
    """Start the child; one that was never told to run ends without a word."""
    out, into = os.pipe()
    stdin = None if sys.stdin and sys.stdin.isatty() else subprocess.DEVNULL
    command = [sys.executable, "-m", "valija.early", str(out)]
    pipe = subprocess.PIPE
    child = subprocess.Popen(command, env=dict(environment), stdin=stdin, stdout=pipe, stderr=pipe, pass_fds=[out])
    os.close(out)
    early = Early(child, dict(environment), into)
    try:
        yield early
    finally:
        if early.pipe >= 0:
            os.close(early.pipe)
            child.kill()
            child.communicate()


def command(arguments: Sequence[str]) -> list[str]:
    """The command line of a child that begins at once with these words."""
    return [sys.executable, "-m", "valija.early", *arguments]


def main() -> None:
    """The child."""
    gc.disable()
    import ansible.cli.playbook

    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    gc.enable()
    words = sys.argv[1:]
    if len(words) == 1 and words[0].isdecimal():
        words = _told(int(words[0]))
    if words:
        sys.argv = words
        ansible.cli.playbook.main(sys.argv)


def _told(pipe: int) -> list[str]:
    """The words that come by the pipe; none when nobody asks."""
    with open(pipe, encoding="utf-8") as stream:
        told = stream.read()
    if not told:
        return []
    message = json.loads(told)
    os.environ.update(message["environment"])
    return list(message["arguments"])


if __name__ == "__main__":
    main()
