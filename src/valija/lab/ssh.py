"""SSH keys of a lab, and how Ansible reaches its hosts with them; host key checking stays on."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from valija.errors import ValijaError
from valija.lab.hosts import File
from valija.lab.state import Host, Place, write_private
from valija.messages import _


def make_keys(place: Place, hosts: Sequence[Host]) -> None:
    """Make the lab's key and its hosts' keys once, and the file of known hosts from them.

    The hosts' keys are the lab's: a host that is made anew is still the host that is known.
    """
    place.key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in (place.key, *(_host_key(place, host) for host in hosts)):
        if path.with_suffix(".pub").exists():
            continue
        path.unlink(missing_ok=True)
        tool = shutil.which("ssh-keygen")
        if tool is None:
            raise ValijaError(_("There is no ssh-keygen. Install it: apt-get install openssh-client"))
        subprocess.run(
            [tool, "-q", "-t", "ed25519", "-N", "", "-C", f"valija lab {place.name}", "-f", str(path)], check=True
        )
    write_private(place.known_hosts, "".join(_known_host(place, host) for host in hosts))


def _host_key(place: Place, host: Host) -> Path:
    return place.key.with_name(f"host_{host.name.replace('.', '_')}")


def _known_host(place: Place, host: Host) -> str:
    kind, key = _host_key(place, host).with_suffix(".pub").read_text().split()[:2]
    return f"{host.ipv4},{host.ipv6} {kind} {key}\n"


def files(place: Place, host: Host) -> dict[str, File]:
    """What lets the lab's key in, and proves the host to be itself."""
    key = _host_key(place, host)
    return {
        "/root/.ssh/authorized_keys": File(place.key.with_suffix(".pub").read_bytes(), 0o600),
        "/etc/ssh/ssh_host_ed25519_key": File(key.read_bytes(), 0o600),
        "/etc/ssh/ssh_host_ed25519_key.pub": File(key.with_suffix(".pub").read_bytes()),
    }


def connection(place: Place, host: Host) -> dict[str, Any]:
    """How Ansible reaches a host of the lab."""
    values: dict[str, Any] = {
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_private_key_file": str(place.key),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={place.known_hosts} -o IdentitiesOnly=yes",
    }
    # A Unix socket's path has 107 bytes at most; the socket's own name and ssh's suffix take up to 30.
    if len(os.fsencode(_control(place))) < 75:
        values["ansible_control_path_dir"] = str(_control(place))
    return values


def _control(place: Place) -> Path:
    return place.directory / "cp"


def close_connections(place: Place) -> None:
    """End the kept connections to the hosts: a host that is made anew would not know them."""
    client = shutil.which("ssh")
    if client is None or not _control(place).is_dir():
        return
    for path in _control(place).iterdir():
        if path.is_socket():
            subprocess.run(
                [client, "-O", "exit", "-o", f"ControlPath={path}", "lab"], capture_output=True, check=False, timeout=10
            )
