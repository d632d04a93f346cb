"""Reads, on the host and in one go, all that prepare decides upon. It changes nothing and decides nothing.

Everything comes from /proc, /etc and dpkg's status file, so that a bare host needs no tool for it.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils import packages
from ansible_collections.valija.mailserver.plugins.module_utils.command import run
from ansible_collections.valija.mailserver.plugins.module_utils.host import (
    Listener,
    parse_os_release,
    parse_sockets,
    release_of,
)

_PROC = Path("/proc")
# What the roles remember of the files that they own (owned.py); there is none on a host that they never wrote to.
_OWNED = Path("/var/lib/valija/owned")


def local_addresses(fib_trie: str, if_inet6: str) -> list[str]:
    """The host's addresses, without loopback and link-local, IPv4 first, from /proc/net/fib_trie and if_inet6."""
    found: set[ipaddress.IPv4Address | ipaddress.IPv6Address] = set()
    last = ""
    for line in fib_trie.splitlines():
        if leaf := re.search(r"\|-- ([0-9.]+)$", line):
            last = leaf[1]
        elif line.strip() == "/32 host LOCAL" and last:
            found.add(ipaddress.ip_address(last))
    for line in if_inet6.splitlines():
        found.add(ipaddress.ip_address(bytes.fromhex(line.split()[0])))
    usable = [address for address in found if not (address.is_loopback or address.is_link_local)]
    return [str(address) for address in sorted(usable, key=lambda address: (address.version, int(address)))]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def memory_mib(meminfo: str) -> int:
    """The host's memory in whole MiB, from /proc/meminfo (proc_meminfo(5), MemTotal); 0 when it is not told."""
    total = re.search(r"^MemTotal:\s+(\d+) kB$", meminfo, re.MULTILINE)
    return int(total[1]) // 1024 if total else 0


def _holders() -> tuple[dict[str, int], list[str]]:
    """Socket inode to the lowest number of the processes that hold it (the parent of a forking server).

    And the names of the programs whose descriptors are hidden from us.
    """
    holders: dict[str, int] = {}
    hidden: set[str] = set()
    for pid in sorted(int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()):
        try:
            for descriptor in (_PROC / str(pid) / "fd").iterdir():
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    holders.setdefault(target[8:-1], pid)
        except PermissionError:
            hidden.add(_text(_PROC / str(pid) / "comm").strip())
        except OSError:
            continue  # ended meanwhile
    return holders, sorted(hidden)


def listeners(protocol: str = "tcp") -> tuple[list[Listener], list[str]]:
    """Every listening socket of `tcp` or `udp` with its program, and the programs that may not be looked at."""
    state = {"tcp": "0A", "udp": "07"}[protocol]
    sockets = parse_sockets(_text(_PROC / "net" / protocol), socket.AF_INET, state)
    sockets += parse_sockets(_text(_PROC / "net" / f"{protocol}6"), socket.AF_INET6, state)
    holders, hidden = _holders()
    found = []
    for address, port, inode in sockets:
        pid = holders.get(inode, 0)
        program = _text(_PROC / str(pid) / "comm").strip() if pid else ""
        found.append(Listener(port=port, address=address, program=program, pid=pid))
    return sorted(found, key=lambda held: (held.port, held.address)), hidden


def survey() -> dict[str, Any]:
    """The host as prepare sees it: release, packages, listening sockets, name and addresses; plain values for JSON."""
    os_release = parse_os_release(_text(Path("/etc/os-release")))
    installed = packages.read_installed()
    hostname = socket.gethostname()
    held, hidden = listeners()
    return {
        "os_release": {name: os_release.get(name, "") for name in ("ID", "VERSION_ID", "PRETTY_NAME")},
        "release": release_of(os_release),
        "packages": installed.versions,
        "unfinished": list(installed.unfinished),
        "listeners": [asdict(listener) for listener in held],
        "hidden": hidden,
        "hostname": hostname,
        "hostname_resolves": run(["getent", "hosts", hostname], timeout_seconds=30).ok,
        "owners": sorted(file.stem for file in _OWNED.glob("*.json")),
        "memory_mib": memory_mib(_text(_PROC / "meminfo")),
        "addresses": local_addresses(_text(_PROC / "net/fib_trie"), _text(_PROC / "net/if_inet6")),
    }
