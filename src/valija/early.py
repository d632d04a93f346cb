"""Ansible, begun early: its code is loaded while the command line still reads and writes; it runs when it is told.

Loading takes as long as all that `valija accounts add` does before it; side by side on two cores, one of them is free.
Run as a program it is the child: it loads, waits at a pipe, and becomes ansible-playbook, or ends when nobody asks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

EVENTS = "VALIJA_EVENTS"


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


def main() -> None:
    """The child."""
    import ansible.cli.playbook

    with open(int(sys.argv[1]), encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor
        told = stream.read()
    if told:
        message = json.loads(told)
        os.environ.update(message["environment"])
        sys.argv = message["arguments"]
        ansible.cli.playbook.main(sys.argv)


if __name__ == "__main__":
    main()
