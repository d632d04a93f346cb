"""The sessions of a user end, and nobody else's."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import sessions
from ansible_collections.valija.mailserver.plugins.module_utils.sessions import end_sessions, login_of

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
        end_sessions({"alice": ALICE})
        assert alices.wait(timeout=5) < 0
    assert bobs.poll() is None


# Greets its only client, and tells whether that one went away.
SMTPD = """
import socket, sys
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    client = listener.accept()[0]
    client.sendall(b"220 ready\\r\\n")
    try:
        print("spoken" if client.recv(100) else "gone", flush=True)
    except ConnectionError:
        print("gone", flush=True)
"""


class Smtpd:
    """A stand-in with the name and the arguments of an smtpd(8) of a service, which has one client."""

    def __init__(self, program: Path, option: str) -> None:
        self.process = subprocess.Popen(
            [program, "-c", SMTPD, "-o", option], stdout=subprocess.PIPE, text=True, cwd="/"
        )
        assert self.process.stdout
        self.output = self.process.stdout
        self.client = socket.create_connection(("127.0.0.1", int(self.output.readline())), timeout=10)
        assert self.client.recv(100) == b"220 ready\r\n"

    def end(self) -> str:
        """What became of the connection: it lives when the client can still speak."""
        with suppress(OSError):
            self.client.sendall(b"QUIT\r\n")
        return self.output.readline().strip()


@pytest.fixture
def smtpd(tmp_path: Path) -> Path:
    """Python by the name of the daemon."""
    program = tmp_path / "smtpd"
    program.symlink_to(Path(sys.executable).resolve())
    return program


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Smtpd]]:
    """A list for stand-ins; the journal has a line of the first of them alone, that bob sends there."""
    running: list[Smtpd] = []

    def said_by(pid: int) -> str:
        bobs = bool(running) and pid == running[0].process.pid
        return "connect from x[192.0.2.1]\nA1: client=x, sasl_method=PLAIN, sasl_username=bob\n" if bobs else ""

    monkeypatch.setattr(sessions, "_said_by", said_by)
    yield running
    for one in running:
        one.client.close()
        with one.process as process:
            process.kill()


def test_a_submission_ends_when_it_is_or_may_be_that_users(stage: list[Smtpd], smtpd: Path) -> None:
    options = ["smtpd_sasl_auth_enable=yes", "smtpd_sasl_auth_enable=yes", "stress="]
    stage += [Smtpd(smtpd, option) for option in options]
    end_sessions({"alice": ALICE})
    bobs, unknown, strangers = stage
    assert (bobs.end(), unknown.end(), strangers.end()) == ("spoken", "gone", "spoken")


def test_a_submission_of_that_user_ends_with_its_connection_alone(stage: list[Smtpd], smtpd: Path) -> None:
    stage.append(Smtpd(smtpd, "smtpd_sasl_auth_enable=yes"))
    end_sessions({"bob": BOB})
    assert stage[0].client.recv(100) == b""
    assert stage[0].end() == "gone"
    assert stage[0].process.wait(timeout=10) == 0


@pytest.mark.parametrize(
    ("said", "login"),
    [
        ("", ""),
        ("connect from a[192.0.2.1]\n", ""),
        ("connect from a[192.0.2.1]\nA1: client=a, sasl_method=PLAIN, sasl_username=alice\n", "alice"),
        ("connect from a[192.0.2.1]\nA1: client=a, sasl_username=Alice@example.test, x=y\n", "alice"),
        (
            "connect from a[192.0.2.1]\nA1: client=a, sasl_username=alice\ndisconnect from a[192.0.2.1]\n"
            "connect from b[192.0.2.2]\n",
            "",
        ),
    ],
)
def test_the_login_is_that_of_the_last_client(said: str, login: str) -> None:
    assert login_of(said) == login
