"""The zones of the peer, read back by dnspython."""

from __future__ import annotations

import dns.reversename
import dns.zone
import pytest

from valija.lab.addresses import DISPUTED, LISTED, SLOTS, STRANGERS, Slot
from valija.lab.peer.zones import BLOCK_LIST, ODD, Zone, knot_configuration, stranger, zones
from valija.lab.state import Place, Record, hosts_of


def served(number: int = 0, releases: tuple[str, ...] = ("debian-13",)) -> list[Zone]:
    hosts = hosts_of(Place("unit"), Record(slot=number, releases=list(releases)))
    return zones(Slot(number), hosts)


def read(zone: Zone) -> dns.zone.Zone:
    return dns.zone.from_text(zone.render(), origin=f"{zone.name}.", relativize=False)


def lookup(found: list[Zone], name: str, kind: str) -> list[str]:
    for zone in found:
        if name == zone.name or name.endswith(f".{zone.name}"):
            answer = read(zone).get_rdataset(f"{name}.", kind)
            return sorted(str(each) for each in answer or [])
    return []


@pytest.mark.parametrize("number", SLOTS)
def test_every_zone_is_a_master_file_with_its_start_of_authority(number: int) -> None:
    for zone in served(number):
        read(zone).check_origin()


@pytest.mark.parametrize("number", SLOTS)
def test_every_address_has_a_name_that_leads_back_to_it(number: int) -> None:
    found = served(number)
    for zone in found:
        if zone.name.endswith(".test") and zone.name not in (ODD, BLOCK_LIST):
            for owner, kind, address in zone.records:
                if kind in ("A", "AAAA"):
                    pointer = str(dns.reversename.from_address(address)).rstrip(".")
                    assert lookup(found, pointer, "PTR") == [f"{owner}."]


def test_mail_finds_its_way() -> None:
    found = served()
    assert lookup(found, "example.test", "MX") == ["10 mail.example.test."]
    assert lookup(found, "mail.example.test", "A") == ["198.51.100.10"]
    assert lookup(found, "remote.test", "MX") == ["10 mx1.remote.test.", "20 mx2.remote.test."]
    assert lookup(found, "fallback.test", "MX") == ["10 dead.fallback.test.", "20 mx2.remote.test."]
    assert lookup(found, stranger(STRANGERS[0]), "AAAA") == ["2001:db8:198:51::20"]


def test_there_are_domains_that_no_sender_should_have() -> None:
    found = served()
    assert lookup(found, f"nullmx.{ODD}", "MX") == ["0 ."]
    assert lookup(found, f"mx.loopback.{ODD}", "A") == ["127.0.0.1"]
    assert len(lookup(found, f"many.{ODD}", "MX")) == 200
    assert lookup(found, f"missing.{ODD}", "MX") == []


def test_several_hosts_have_a_domain_each() -> None:
    found = served(1, ("debian-13", "debian-12"))
    assert lookup(found, "trixie.example.test", "MX") == ["10 mail.trixie.example.test."]
    assert lookup(found, "mail.bookworm.example.test", "A") == ["198.51.100.75"]


def test_the_server_answers_for_each_zone_and_asks_the_engine_for_the_rest() -> None:
    text = knot_configuration(Slot(0), served())
    assert all(f"domain: {zone.name}\n" in text for zone in served())
    assert "global-module: mod-dnsproxy/elsewhere" in text


@pytest.mark.parametrize("number", SLOTS)
def test_the_block_list_names_one_stranger_and_has_an_error_for_another(number: int) -> None:
    found, slot = served(number), Slot(number)
    for offset, answer in ((LISTED, "127.0.0.2"), (DISPUTED, "127.255.255.254")):
        for address in (slot.ipv4(offset), slot.ipv6(offset)):
            pointer = str(dns.reversename.from_address(address))
            labels = pointer.replace(".in-addr.arpa.", "").replace(".ip6.arpa.", "")
            assert lookup(found, f"{labels}.{BLOCK_LIST}", "A") == [answer]
    assert lookup(found, f"2.0.0.127.{BLOCK_LIST}", "A") == ["127.0.0.2"]
    assert lookup(found, f"1.0.0.127.{BLOCK_LIST}", "A") == []
