"""Four labs fit side by side in the documentation ranges."""

from __future__ import annotations

import ipaddress
from itertools import combinations

import pytest

from valija.errors import ValijaError
from valija.lab.addresses import DEAD, DISPUTED, GATEWAY, HOSTS, LISTED, MX1, MX2, PEER, SLOTS, STRANGERS, Slot
from valija.lab.network import free_slots, slot_of


@pytest.mark.parametrize("number", SLOTS)
def test_every_address_of_a_slot_is_in_its_networks_and_in_the_documentation_ranges(number: int) -> None:
    slot = Slot(number)
    network4, network6 = ipaddress.IPv4Network(slot.subnet4), ipaddress.IPv6Network(slot.subnet6)
    assert network4.subnet_of(ipaddress.IPv4Network("198.51.100.0/24"))
    assert network6.subnet_of(ipaddress.IPv6Network("2001:db8:198:51::/64"))
    for offset in (GATEWAY, PEER, MX1, MX2, DEAD, *HOSTS, *STRANGERS, LISTED, DISPUTED):
        assert ipaddress.ip_address(slot.ipv4(offset)) in set(network4.hosts())
        assert ipaddress.ip_address(slot.ipv6(offset)) in network6


def test_slots_do_not_overlap() -> None:
    for one, other in combinations(SLOTS, 2):
        assert not ipaddress.IPv4Network(Slot(one).subnet4).overlaps(ipaddress.IPv4Network(Slot(other).subnet4))
        assert not ipaddress.IPv6Network(Slot(one).subnet6).overlaps(ipaddress.IPv6Network(Slot(other).subnet6))


def test_an_address_reads_the_same_in_both_families() -> None:
    assert (Slot(0).ipv4(10), Slot(0).ipv6(10)) == ("198.51.100.10", "2001:db8:198:51::10")
    assert (Slot(2).ipv4(10), Slot(2).ipv6(10)) == ("198.51.100.138", "2001:db8:198:51:2::10")


@pytest.mark.parametrize(
    ("used", "free"),
    [
        ([], [0, 1, 2, 3]),
        (["172.17.0.0/16", "fd00::/64"], [0, 1, 2, 3]),
        (["198.51.100.0/26"], [1, 2, 3]),
        (["2001:db8:198:51:1::/80"], [0, 2, 3]),
        (["198.51.100.0/25", "2001:db8:198:51:3::/80"], [2]),
        (["198.51.100.0/24"], []),
    ],
)
def test_a_lab_takes_no_range_that_another_network_has(used: list[str], free: list[int]) -> None:
    assert free_slots(used) == free


def test_a_network_tells_its_slot() -> None:
    assert slot_of([Slot(2).subnet6, Slot(2).subnet4]) == Slot(2)
    with pytest.raises(ValijaError, match=r"10\.0\.0\.0/8"):
        slot_of(["10.0.0.0/8"])
