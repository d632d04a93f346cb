"""What the checks are told about a host: the values of the inventory, resolved, and the way to reach it."""

from __future__ import annotations

import ipaddress
import re
import secrets
import shlex
import socket
from collections.abc import Iterable, Mapping
from typing import Any

ROLES = ("mail", "accounts", "tls", "postfix", "courier", "apache", "squirrelmail", "roundcube", "fail2ban", "firewall")

# Of these, the one that mail_webmail names.
WEBMAILS = ("squirrelmail", "roundcube")

# The probe accounts of one run share a mark, so that two runs at once do not touch each other's. The first three talk
# in most checks; the others have the passwords that clients and servers have got wrong before (RFC 8265 section 4).
PROBES = ("valija-probe-{}", "valija-probe-{}-2", "valija-probe-{}-3")
SPECIAL_PROBES = {
    "valija-probe-{}-4": """ !"#$%&'()*+,-./:;<=>?@[\\]^_`{{|}}~ {} """,
    "valija-probe-{}-5": "contraseña de la señora Núñez: 5 €, {}",
    "valija-probe-{}-6": "{:x>255}",
}

# Probe accounts of a run that was killed are taken away by the next one that begins so long afterwards.
OLD_SECONDS = 6 * 3600

_PROBE = re.compile(r"valija-probe(-[0-9a-f]{6})?(-[2-6])?")

# Printed by one shell command on the host, see `read_survey`.
SURVEY_COMMAND = (
    ". /etc/os-release; echo \"release $ID-$VERSION_ID\"; ip -o addr show scope global | sed 's/^/address /'; "
    "getent passwd | while IFS=: read -r name _ _ _ _ home _; do case $name in valija-probe*) "
    'echo "probe $name $(($(date +%s) - $(stat -c %Y "$home" 2>/dev/null || echo 0)))";; esac; done'
)


def read_survey(output: str) -> tuple[str, list[str]]:
    """The release (`debian-13`) and the host's global addresses, from what SURVEY_COMMAND printed (ip-address(8))."""
    release, addresses = "", []
    for line in output.splitlines():
        kind, _space, rest = line.strip().partition(" ")
        words = rest.split()
        if kind == "release":
            release = rest
        elif kind == "address" and "inet" in " ".join(words[1:3]) and "temporary" not in words:
            addresses.append(next(word for word in words if "/" in word).partition("/")[0])
    return release, addresses


def old_probes(output: str) -> list[str]:
    """The probe accounts that a killed run has left on the host, from what SURVEY_COMMAND printed."""
    words = [line.split() for line in output.splitlines() if line.startswith("probe ")]
    return [name for _kind, name, age in words if _PROBE.fullmatch(name) and int(age) > OLD_SECONDS]


def probe_accounts(domain: str) -> list[dict[str, str]]:
    """The accounts of the checks, each with a fresh password: three common ones, then the special."""
    mark = secrets.token_hex(3)
    passwords = {**dict.fromkeys(PROBES, "{}"), **SPECIAL_PROBES}
    return [
        {
            "name": name.format(mark),
            "password": password.format(secrets.token_urlsafe(18)),
            "address": f"{name.format(mark)}@{domain}",
        }
        for name, password in passwords.items()
    ]


def account_names(*lists: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names of the accounts that are to be there and to work, in the order given."""
    return [str(one["name"]) for accounts in lists for one in accounts if one.get("state") in (None, "", "present")]


def reached_at(named: str | None, own: Iterable[str], told: Mapping[str, str] | None = None) -> dict[str, str]:
    """The addresses by which the checks reach the host, `ipv4` and `ipv6` as far as there are any.

    What the inventory says (`told`) holds. Else the addresses of the host's name in the inventory; and when one of them
    is the host's own, so that no translation stands between, the host's own of the other protocol too. No name stands
    for the machine itself: its own addresses, and loopback where it has none.
    """
    if told:
        return {family: str(address) for family, address in told.items() if address}
    own = list(own)
    found: dict[str, str] = {}
    for address in _resolve(named) if named else own or ["127.0.0.1", "::1"]:
        found.setdefault(_family(address), address)
    if any(address in own for address in found.values()):
        for address in own:
            found.setdefault(_family(address), address)
    return {family: found[family] for family in ("ipv4", "ipv6") if family in found}


def _family(address: str) -> str:
    return f"ipv{ipaddress.ip_address(address).version}"


def _resolve(name: str) -> list[str]:
    try:
        return [str(entry[4][0]) for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]
    except OSError:
        return []


def without_secrets(mail: Mapping[str, Any]) -> dict[str, Any]:
    """The mail_* values that a check may see: no passwords, no keys, no hashes."""
    shown = {name: value for name, value in mail.items() if not name.endswith(("_password", "_key"))}
    accounts = shown.get("mail_accounts") or []
    hidden = ("password", "password_hash")
    shown["mail_accounts"] = [
        {key: value for key, value in account.items() if key not in hidden} for account in accounts
    ]
    return shown


def tls_block(mail: Mapping[str, Any], root: str) -> dict[str, Any] | None:
    """What the checks trust: the site's own root (PEM), or the system's store where it is empty; None without TLS."""
    source = mail.get("mail_tls_source")
    if source in (None, "none"):
        return None
    names = [mail["mail_hostname"], *(mail.get("mail_tls_names") or [])]
    return {"source": source, "ca_pem": root, "names": list(dict.fromkeys(names))}


def peer_block(peer: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the checks are told of the peer; None when there is no peer."""
    known = ("ipv4", "ipv6", "api", "domains", "strangers", "block_list")
    return {name: peer[name] for name in known if name in peer} or None


def listeners(declared: Mapping[str, Iterable[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """What every role declares to listen, in the form of the site file."""
    return [
        {
            "port": int(entry["port"]),
            "address": entry.get("address", "any"),
            "service": entry.get("service", ""),
            "protocol": entry.get("protocol", "tcp"),
            "programs": list(entry.get("programs", [])),
            "role": role,
        }
        for role, entries in declared.items()
        for entry in entries
    ]


def ssh_block(connection: Any, become: bool) -> dict[str, Any]:
    """How the checks reach the host: by the ssh options that Ansible itself uses, or on this machine.

    ValueError for a connection that is neither `ssh` nor `local`.
    """
    kind = str(connection.transport).rpartition(".")[2]
    if kind == "local":
        return {"local": True, "sudo": become}
    if kind != "ssh":
        raise ValueError(f"the checks reach a host by ssh; this one is reached by {kind!r}")
    options: list[str] = []
    for name in ("ssh_common_args", "ssh_extra_args"):
        options += shlex.split(connection.get_option(name) or "")
    if connection.get_option("host_key_checking") is False:
        options += ["-o", "StrictHostKeyChecking=no"]
    user = connection.get_option("remote_user")
    return {
        "host": connection.get_option("host"),
        "port": int(connection.get_option("port") or 22),
        "user": user,
        "key": connection.get_option("private_key_file") or None,
        "options": options,
        "sudo": become and user != "root",
    }
