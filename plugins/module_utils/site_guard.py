"""Rules about the values of the firewall and of the bans that no specification can say."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils.finding import Finding, Steps, not_text
from ansible_collections.valija.mailserver.plugins.module_utils.firewall import parse_ports

_PORTS = ("firewall_tcp_ports_extra", "firewall_udp_ports_extra", "firewall_ssh_ports")

# Name, least and largest value, and what to write.
_BOUNDS = (
    ("firewall_return_seconds", 10, 3600, "Write 10 to 3600 seconds: a new SSH connection needs some of them."),
    ("fail2ban_failures", 1, 1000, "Write how many failed logins ban an address, 1 to 1000."),
    ("fail2ban_window_minutes", 1, 1440, "Write 1 to 1440 minutes."),
    ("fail2ban_ban_minutes", 1, 525600, "Write 1 to 525600 minutes."),
    ("fail2ban_longest_ban_hours", 1, 8760, "Write 1 to 8760 hours."),
    ("fail2ban_ipv6_prefix", 48, 128, "Write 48 to 128: 64 is one customer's network, 128 one address."),
)


def check_guard(values: dict[str, Any]) -> list[Finding]:
    """What is wrong with the resolved `firewall_*` and `fail2ban_*` values; one of the wrong type is passed over."""
    findings: list[Finding] = []
    for name in _PORTS:
        findings += [found for path, port in _items(name, values) if (found := _port_problem(path, port))]
    for name, least, largest, remedy in _BOUNDS:
        number = _number(values.get(name))
        if number is not None and not least <= number <= largest:
            findings.append(Finding((name,), number, "is out of bounds", remedy))
    for path, address in _items("fail2ban_ignore", values):
        wrong = not_text(path, address) or _address_problem(path, address)
        findings += [wrong] if wrong else []
    first, longest = _number(values.get("fail2ban_ban_minutes")), _number(values.get("fail2ban_longest_ban_hours"))
    if first is not None and longest is not None and 1 <= longest * 60 < first:
        remedy = "Write as many hours as fail2ban_ban_minutes makes, or more."
        findings.append(Finding(("fail2ban_longest_ban_hours",), longest, "is shorter than the first ban", remedy))
    return findings


def _items(name: str, values: dict[str, Any]) -> list[tuple[Steps, Any]]:
    value = values.get(name)
    return [((name, position), item) for position, item in enumerate(value if isinstance(value, list) else [])]


def _number(value: object) -> int | None:
    return int(str(value)) if not isinstance(value, bool) and re.fullmatch(r"\s*-?\d+\s*", str(value)) else None


def _port_problem(path: Steps, port: object) -> Finding | None:
    try:
        parse_ports("" if isinstance(port, bool) else str(port))
    except ValueError:
        return Finding(path, port, "is no port", 'Write 8443, or a range in quotes: "60000-61000".')
    return None


def _address_problem(path: Steps, address: str) -> Finding | None:
    try:
        ipaddress.ip_network(address, strict=False)
    except ValueError:
        remedy = "Write an address (192.0.2.7, 2001:db8::7) or a network (192.0.2.0/24)."
        return Finding(path, address, "is no address and no network", remedy)
    return None
