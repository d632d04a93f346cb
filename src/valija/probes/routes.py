"""Ways to reach a port: straight, as a stranger through the peer, or from the host's own loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from valija.messages import _

TIMEOUT_SECONDS = 30.0


class Route(Protocol):
    """Opens a stream to a host's port."""

    @property
    def vantage(self) -> str: ...

    def connect(self, host: str, port: int, timeout: float = TIMEOUT_SECONDS) -> socket.socket:
        """A connected socket; raises OSError when nobody answers."""


@dataclass(frozen=True)
class Direct:
    """Straight from this machine, outside the host's mynetworks."""

    vantage: str = "outside"

    def connect(self, host: str, port: int, timeout: float = TIMEOUT_SECONDS) -> socket.socket:
        return socket.create_connection((host, port), timeout=timeout)


@dataclass(frozen=True)
class Tunnel:
    """Through the peer's HTTP CONNECT, from one of the peer's many addresses."""

    peer_host: str
    peer_port: int
    source: str
    vantage: str = "stranger"

    def connect(self, host: str, port: int, timeout: float = TIMEOUT_SECONDS) -> socket.socket:
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        sock = socket.create_connection((self.peer_host, self.peer_port), timeout=timeout)
        sock.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nX-Source: {self.source}\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            octet = sock.recv(1)  # one at a time: what follows the head belongs to the tunnel
            if not octet:
                break
            head += octet
        status = head.split(b"\r\n", 1)[0].decode("ascii", "replace")
        if " 200" not in status:
            sock.close()
            raise ConnectionRefusedError(
                _("The peer did not open a tunnel from {source} to {target}: {status}").format(
                    source=self.source, target=target, status=status or _("no answer")
                )
            )
        return sock


@dataclass(frozen=True)
class Loopback:
    """From the host itself, through `ssh -W`; with no ssh command the host is this machine."""

    ssh: Sequence[str] = field(default=())
    vantage: str = "loopback"

    def connect(self, host: str, port: int, timeout: float = TIMEOUT_SECONDS) -> socket.socket:
        if not self.ssh:
            return socket.create_connection((host, port), timeout=timeout)
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        ours, theirs = socket.socketpair()
        options = [*self.ssh[1:-1], "-W", target, self.ssh[-1]]
        with theirs:
            process = subprocess.Popen(  # ends by itself when our end of the pair is closed
                [self.ssh[0], *options],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        threading.Thread(target=process.wait, daemon=True).start()
        ours.settimeout(timeout)
        return ours


def endpoint(sock: socket.socket, *, peer: bool) -> str:
    """`address:port` of one end; an empty text for a socket pair."""
    try:
        name = sock.getpeername() if peer else sock.getsockname()
    except OSError:
        return ""
    return join(name[0], name[1]) if isinstance(name, tuple) else ""


def join(host: str, port: int) -> str:
    """`198.51.100.10:25`, `[2001:db8::1]:25`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def ssh_command(ssh: dict[str, object]) -> list[str]:
    """The ssh command line of a site's `ssh` block, the host last; empty when the host is this machine."""
    if ssh.get("local"):
        return []
    command = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-p", str(ssh.get("port") or 22)]
    if ssh.get("key"):
        command += ["-i", str(ssh["key"])]
    options = ssh.get("options") or []
    assert isinstance(options, list)
    command += [os.fspath(option) for option in options]
    host, user = str(ssh["host"]), ssh.get("user")
    return [*command, f"{user}@{host}" if user else host]
