"""The processes of a user end, and nobody else's."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils.sessions import end_sessions

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has processes of other users")

# Numbers that no user of a machine has.
ALICE, BOB = 3_141_592, 3_141_593

Child = subprocess.Popen[bytes]


def child_of(user: int, program: str) -> Child:
    """A process of this user, once it runs."""
    command = ["/bin/sh", "-c", f"{program} echo up; exec sleep 60"]
    child = subprocess.Popen(command, user=user, stdout=subprocess.PIPE, cwd="/")
    assert child.stdout and child.stdout.readline() == b"up\n"
    return child


@pytest.fixture
def bobs() -> Iterator[Child]:
    with child_of(BOB, "") as child:
        yield child
        child.kill()


@pytest.mark.parametrize("program", ["", "trap '' TERM;"], ids=["willing", "stubborn"])
def test_all_processes_of_a_user_end(program: str, bobs: Child) -> None:
    with child_of(ALICE, program) as alices:
        end_sessions({ALICE})
        assert alices.wait(timeout=5) < 0
    assert bobs.poll() is None
