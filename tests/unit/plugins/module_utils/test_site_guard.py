"""The rules about the firewall's and the bans' values."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils.site_guard import check_guard

GOOD: dict[str, Any] = {
    "firewall_tcp_ports_extra": [8443, "60000-61000"],
    "firewall_udp_ports_extra": [],
    "firewall_ssh_ports": ["2222"],
    "firewall_return_seconds": 60,
    "fail2ban_failures": 10,
    "fail2ban_window_minutes": "10",
    "fail2ban_ban_minutes": 60,
    "fail2ban_longest_ban_hours": 1,
    "fail2ban_ipv6_prefix": 64,
    "fail2ban_ignore": ["192.0.2.7", "192.0.2.0/24", "2001:db8::7", "2001:db8::1/48"],
}


def test_good_values_have_no_findings() -> None:
    assert check_guard(GOOD) == []
    assert check_guard({}) == []


@pytest.mark.parametrize(
    ("name", "value", "path"),
    [
        ("firewall_tcp_ports_extra", [8443, "http"], "firewall_tcp_ports_extra[1]"),
        ("firewall_udp_ports_extra", [70000], "firewall_udp_ports_extra[0]"),
        ("firewall_udp_ports_extra", [True], "firewall_udp_ports_extra[0]"),
        ("firewall_ssh_ports", ["22-21"], "firewall_ssh_ports[0]"),
        ("firewall_return_seconds", 0, "firewall_return_seconds"),
        ("fail2ban_failures", 0, "fail2ban_failures"),
        ("fail2ban_window_minutes", -5, "fail2ban_window_minutes"),
        ("fail2ban_ban_minutes", 0, "fail2ban_ban_minutes"),
        ("fail2ban_ban_minutes", 61, "fail2ban_longest_ban_hours"),
        ("fail2ban_longest_ban_hours", 9000, "fail2ban_longest_ban_hours"),
        ("fail2ban_ipv6_prefix", 32, "fail2ban_ipv6_prefix"),
        ("fail2ban_ipv6_prefix", 129, "fail2ban_ipv6_prefix"),
        ("fail2ban_ignore", ["office.example.org"], "fail2ban_ignore[0]"),
        ("fail2ban_ignore", ["192.0.2.7", 5], "fail2ban_ignore[1]"),
        ("fail2ban_ignore", ["192.0.2.0/33"], "fail2ban_ignore[0]"),
    ],
)
def test_each_fault_is_told_with_its_place(name: str, value: object, path: str) -> None:
    assert [finding.name for finding in check_guard({**GOOD, name: value})] == [path]


@pytest.mark.parametrize("value", ["8443", None, {"a": 1}])
def test_a_value_of_another_type_is_the_specifications_affair(value: object) -> None:
    assert check_guard({**GOOD, "firewall_tcp_ports_extra": value, "fail2ban_ignore": value}) == []
