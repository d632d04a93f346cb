"""At which ports SSH comes in on this host: asked of the host itself, so that no firewall of ours shuts it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from ansible_collections.valija.mailserver.plugins.module_utils.command import run
from ansible_collections.valija.mailserver.plugins.module_utils.host import Listener

_PROC = Path("/proc")


def from_sshd(text: str) -> set[int]:
    """The ports in what `sshd -T` prints: `port 22`, and `listenaddress [::]:22`."""
    return {int(port) for port in re.findall(r"^(?:port |listenaddress .*:)(\d+)$", text, re.MULTILINE)}


def from_socket_unit(text: str) -> set[int]:
    """The ports of a socket unit, `Listen=[::]:22 (Stream)`; vsock and Unix sockets have none."""
    return {int(port) for port in re.findall(r"^Listen=(?:[\d.]+|\[[0-9a-fA-F:.%\w]*\]):(\d+) ", text, re.MULTILINE)}


def session(pid: int | None = None) -> str:
    """SSH_CONNECTION of the connection by which this process came: client address and port, ours and port.

    sudo takes the variable out of the environment, so the parents are asked too. Empty when there is none.
    """
    own = os.environ.get("SSH_CONNECTION", "")
    number = os.getppid() if pid is None else pid
    while not own and number > 1:
        try:
            environment = (_PROC / str(number) / "environ").read_bytes()
        except OSError:
            break
        match = re.search(rb"(?:^|\0)SSH_CONNECTION=([^\0]*)", environment)
        own = match[1].decode("ascii", "replace") if match else ""
        number = _parent(number)
    return own if len(own.split()) == 4 else ""


def _parent(pid: int) -> int:
    """The number of a process's parent (proc_pid_stat(5)); 0 when it has ended."""
    try:
        return int((_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def ports(listeners: Iterable[Listener]) -> set[int]:
    """All ports of SSH that can be found: listened on by sshd, configured, waited on by systemd, and come in by.

    A port that somebody forwards is held by the process of his session, and not by the daemon, which systemd started.
    """
    found = {held.port for held in listeners if held.program == "sshd" and not held.loopback and _parent(held.pid) == 1}
    found |= from_sshd(run(["sshd", "-T"], timeout_seconds=20).out)
    unit = run(["systemctl", "show", "--property=ActiveState,Listen", "ssh.socket"], timeout_seconds=20).out
    if "ActiveState=active" in unit:
        found |= from_socket_unit(unit)
    came_by = session().split()
    return found | ({int(came_by[3])} if came_by else set())
