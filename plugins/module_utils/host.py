"""A host before the first change: what it is, what stands in the way, and whether we may go on.

`survey` reads the host and decides nothing; `refusals` decides, on the control node, and touches nothing.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

# /etc/os-release ID and VERSION_ID of what is supported, and the key of its data in the roles.
SUPPORTED = {
    ("debian", "12"): "debian-12",
    ("debian", "13"): "debian-13",
    ("ubuntu", "22.04"): "ubuntu-22.04",
    ("ubuntu", "26.04"): "ubuntu-26.04",
}
SUPPORTED_NAMES = "Debian 12, Debian 13, Ubuntu 22.04, Ubuntu 26.04"
# Releases that look near enough to be tried, and why they can't be.
UNSUITABLE = {("ubuntu", "24.04"): "Ubuntu 24.04 ships no courier-imap and no courier-pop"}

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


@dataclass(frozen=True)
class Listener:
    """A listening TCP socket: its address (``0.0.0.0`` and ``::`` are every address) and the process that holds it."""

    port: int
    address: str
    program: str
    pid: int

    @property
    def everywhere(self) -> bool:
        return self.address in ("0.0.0.0", "::")

    @property
    def loopback(self) -> bool:
        return self.address.startswith("127.") or self.address == "::1"


def parse_os_release(text: str) -> dict[str, str]:
    """The assignments of os-release(5), quotes removed."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs}


def release_of(os_release: Mapping[str, str]) -> str | None:
    """The key of a supported release, ``debian-13``; None for every other."""
    return SUPPORTED.get((os_release.get("ID", ""), os_release.get("VERSION_ID", "")))


def parse_sockets(text: str, family: int, state: str = "0A") -> list[tuple[str, int, str]]:
    """The listening sockets in /proc/net/tcp or tcp6 (proc_pid_net(5)): address, port, inode.

    Those of UDP have the state 07: bound, and connected to nobody.
    """
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or fields[3] != state:
            continue
        address, port = fields[1].split(":")
        words = [bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8)]
        found.append((socket.inet_ntop(family, b"".join(words)), int(port, 16), fields[9]))
    return found


def release_refusal(os_release: Mapping[str, str]) -> str | None:
    """Why this release can't become a mail server of ours; None for a supported one."""
    if release_of(os_release):
        return None
    name = os_release.get("PRETTY_NAME") or f"{os_release.get('ID', '?')} {os_release.get('VERSION_ID', '?')}"
    reason = UNSUITABLE.get((os_release.get("ID", ""), os_release.get("VERSION_ID", "")))
    if reason:
        return f"{reason}: {name}. Use one of: {SUPPORTED_NAMES}."
    return f"This release is not supported: {name}. Use one of: {SUPPORTED_NAMES}."


def name_refusals(hostname: str, resolves: bool, mail_hostname: str | None) -> list[str]:
    """Why the host's own name, or the mail name, would make the mail server fail."""
    found = []
    if not resolves:
        found.append(
            f"The host's own name does not resolve: {hostname}. "
            f"Add it to /etc/hosts (127.0.1.1 {hostname}) or set another with hostnamectl."
        )
    if mail_hostname is not None:
        name = str(mail_hostname)
        labels = name.split(".")
        if (
            len(name) > 255
            or len(labels) < 2
            or not all(_LABEL.fullmatch(label) for label in labels)
            or labels[-1].isdigit()
        ):
            found.append(
                f"mail_hostname is no full host name, and Postfix would not start: {name}. "
                "Set it to a name such as mail.example.org."
            )
    return found


def profile_refusals(profile: str | None, addresses: Iterable[str]) -> list[str]:
    """Why the class room's server may not stand here: it speaks plain text, which nobody may do on the Internet.

    An address is public when it is globally reachable (RFC 6890); documentation ranges (RFC 5737, RFC 3849) are not.
    """
    public = [address for address in addresses if ipaddress.ip_address(address).is_global]
    if profile != "tutorial" or not public:
        return []
    return [
        f"mail_profile is tutorial, and this host has a public address: {', '.join(public)}. That profile speaks plain "
        "text and belongs into a class room. Set mail_profile: internet, or use a host with private addresses alone."
    ]


def conflict_refusals(conflicts: Iterable[Mapping[str, Any]], installed: Mapping[str, str]) -> list[str]:
    """What is installed and would be taken over; ``packages`` may hold patterns (``dovecot-*``)."""
    found = []
    for conflict in conflicts:
        in_the_way = sorted(
            name for name in installed if any(fnmatchcase(name, pattern) for pattern in conflict["packages"])
        )
        if in_the_way:
            what = ", ".join(f"{name} {installed[name]}" for name in in_the_way)
            found.append(f"{conflict['reason']}: {what}. {conflict.get('remedy', '')}".strip())
    return found


def port_refusals(
    listens: Iterable[Mapping[str, Any]], listeners: Sequence[Listener], hidden: Iterable[str] = ()
) -> list[str]:
    """The ports of ours that another program holds; a declared program (``programs``) may hold its port.

    ``hidden`` names the programs whose sockets we may not look at, as root in a container may not look at a daemon that
    changed its user: one of them that is declared is taken for the holder of a socket without a visible one.
    """
    unseen = set(hidden)
    found: dict[tuple[int, int], str] = {}
    for wanted in listens:
        for held in listeners:
            if held.port == int(wanted["port"]) and _in_the_way(wanted, held, unseen):
                perhaps = f" (perhaps one of: {', '.join(sorted(unseen))})" if unseen else ""
                hidden_one = f"a program that cannot be seen{perhaps}"
                holder = f"{held.program} (process {held.pid})" if held.pid else hidden_one
                found.setdefault(
                    (held.port, held.pid),
                    f"Port {held.port}, needed for {wanted.get('service', 'a service')}, is held by another program: "
                    f"{holder} on {held.address}. Stop it, or move it to another port.",
                )
    return [found[key] for key in sorted(found)]


def _in_the_way(wanted: Mapping[str, Any], held: Listener, unseen: set[str]) -> bool:
    """Whether a socket on a wanted port is not our own, and where ours would be."""
    ours = set(wanted.get("programs", ()))
    if held.program in ours or (not held.pid and unseen & ours):
        return False
    return wanted.get("address") != "loopback" or held.everywhere or held.loopback


def refusals(
    survey: Mapping[str, Any],
    roles: Iterable[Mapping[str, Any]],
    mail_hostname: str | None = None,
    profile: str | None = None,
) -> list[str]:
    """All that stands in the way on a surveyed host, one line each.

    ``roles`` holds each role's ``conflicts`` and ``listens`` lists; the release's refusal is `release_refusal`.
    """
    found = name_refusals(survey["hostname"], survey["hostname_resolves"], mail_hostname)
    found += profile_refusals(profile, survey["addresses"])
    listeners = [Listener(**entry) for entry in survey["listeners"]]
    wanted: list[Mapping[str, Any]] = []
    for role in roles:
        found += conflict_refusals(role.get("conflicts", ()), survey["packages"])
        wanted += role.get("listens", ())
    return found + port_refusals(wanted, listeners, survey["hidden"])


def take_over(listens: Iterable[Mapping[str, Any]], missing: Sequence[str]) -> list[str]:
    """What becomes of the machine that one sits at, a line each: for a person who has not confirmed it yet.

    ``missing`` are the packages to be installed. The files and daemons only check mode can tell.
    """
    by_port = sorted(
        (int(entry["port"]), str(entry.get("service", "")), entry.get("address") == "loopback") for entry in listens
    )
    ports = [f"{port} ({service}{', loopback alone' if loopback else ''})" for port, service, loopback in by_port]
    lines = [
        "Valija would take over the machine that it runs on, and nobody has confirmed that. See what would change with "
        "`valija plan` (--check --diff); confirm it with `valija apply --yes` (mail_take_over_confirmed: true)."
    ]
    lines += [f"Packages to be installed: {', '.join(missing)}."] if missing else []
    lines += [f"Ports that it would listen on: {', '.join(ports)}."] if ports else []
    return lines
