"""Sessions of users: Courier serves each login by a process of that user, Postfix by one of its own.

Those of Courier end with their processes. A process of Postfix that is killed with its first client makes master(8) put
the service off for a minute, so that only the connection is closed: smtpd(8) says "lost connection" and goes on.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from ansible_collections.valija.mailserver.plugins.module_utils.command import run

# How long the processes of a user may take to end by themselves, in seconds.
_GRACE_SECONDS = 2.0

# pidfd_getfd(2), the same number on every architecture of Linux, since 5.6; Python has no name for it.
_PIDFD_GETFD = 438

# An smtpd(8) of master.cf that lets people log in has it among its arguments.
_TAKES_LOGINS = "smtpd_sasl_auth_enable=yes"

_CONNECTED = re.compile(r"connect from ")
_LOGIN = re.compile(r"\bsasl_username=([^\s,]+)")
_ESTABLISHED = "01"  # the kernel's number, in /proc/net/tcp (proc_net(5))


def end_sessions(users: Mapping[str, int]) -> None:
    """End the sessions of these users, by name and uid: IMAP, POP3, what a proxy keeps open for them, and submission.

    Only processes of this host are meant: a container's users have numbers of their own.
    """
    if users:
        _end_processes(set(users.values()))
        _end_submissions(set(users))


def _end_processes(uids: set[int]) -> None:
    deadline = time.monotonic() + _GRACE_SECONDS
    number = signal.SIGTERM
    while running := list(_processes(uids)):
        for pid in running:
            _signal(pid, number)
        if number == signal.SIGKILL:
            return
        time.sleep(0.05)
        number = signal.SIGKILL if time.monotonic() > deadline else signal.SIGTERM


def _processes(uids: set[int]) -> Iterator[int]:
    with os.scandir("/proc") as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.name.isdigit() and entry.stat().st_uid in uids and _is_of_this_host(Path(entry.path)):
                    yield int(entry.name)


def _is_of_this_host(process: Path) -> bool:
    """A process of a container has a second number, that of its own space (proc_pid_status(5), NSpid)."""
    status = (process / "status").read_text(errors="replace")
    numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return len(numbers) <= 1 and "State:\tZ" not in status


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _end_submissions(names: set[str]) -> None:
    """Close the connections of those who logged in by SMTP as one of these names.

    Postfix tells the name with the first recipient of a message, before any of its text. A connection without one may
    be anybody's; nothing was sent in it, so that nothing is lost or sent twice when its client has to begin again.
    """
    for process in Path("/proc").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            if process.name.isdigit() and _takes_logins(process) and _is_of_this_host(process):
                _end_submission(process, names)


def _end_submission(process: Path, names: set[str]) -> None:
    pid = int(process.name)
    try:
        if (connections := _connections(process)) and login_of(_said_by(pid)) in {"", *names}:
            _shut(pid, connections)
    except PermissionError:
        # A container whose root may not look into processes (CAP_SYS_PTRACE): a minute without the service is better
        # than somebody who goes on with a password that is no longer good.
        if login_of(_said_by(pid)) in names:
            _signal(pid, signal.SIGTERM)


def _takes_logins(process: Path) -> bool:
    program, *arguments = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    return Path(program).name == "smtpd" and _TAKES_LOGINS in arguments


def _connections(process: Path) -> list[int]:
    """The descriptors of a process that are open TCP connections."""
    established = set()
    for table in (process / "net").glob("tcp*"):  # no tcp6 where the kernel has no IPv6
        for line in table.read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == _ESTABLISHED:
                established.add(f"socket:[{words[9]}]")
    found = []
    for descriptor in (process / "fd").iterdir():
        with suppress(FileNotFoundError):
            if str(descriptor.readlink()) in established:
                found.append(int(descriptor.name))
    return found


def _said_by(pid: int) -> str:
    """What a process wrote into the journal; empty where there is none."""
    said = run(["journalctl", "--no-pager", "--quiet", "--boot", "--output=cat", f"_PID={pid}"], timeout_seconds=20)
    return said.out if said.ok else ""


def login_of(said: str) -> str:
    """The login name of the last client in what an smtpd(8) said, in lower case; empty when it has told none."""
    client = _CONNECTED.split(said)[-1]
    logins = _LOGIN.findall(client)
    return str(logins[-1]).partition("@")[0].lower() if logins else ""


def _shut(pid: int, descriptors: list[int]) -> None:
    """Close the connections behind another process's descriptors: shutdown(2) works on the connection itself."""
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    try:
        for descriptor in descriptors:
            copy = libc.syscall(_PIDFD_GETFD, process, descriptor, 0)
            if copy < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            with socket.socket(fileno=copy) as connection, suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
    finally:
        os.close(process)
