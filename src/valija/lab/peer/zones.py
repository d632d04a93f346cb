"""The zones that the peer serves: the lab's mail domains, the rest of the Internet, and all their addresses' names."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from valija.lab.addresses import DEAD, DISPUTED, GATEWAY, LISTED, MX1, MX2, PEER, STRANGERS, Slot
from valija.lab.state import Host

REVERSE4 = "100.51.198.in-addr.arpa"
REVERSE6 = "1.5.0.0.8.9.1.0.8.b.d.0.1.0.0.2.ip6.arpa"
NAME_SERVER = "ns.client.test"

# Domains that no sender should have: without mail (RFC 7505), without a server, or with one where none can be; and one
# with more servers than anybody looks up.
ODD = "odd.test"
ODD_RECORDS = (
    (f"nullmx.{ODD}", "MX", "0 ."),
    (f"nomail.{ODD}", "TXT", '"a name without a server"'),
    *((f"{name}.{ODD}", "MX", f"10 mx.{name}.{ODD}.") for name in ("loopback", "multicast", "linklocal", "nowhere")),
    (f"mx.loopback.{ODD}", "A", "127.0.0.1"),
    (f"mx.loopback.{ODD}", "AAAA", "::1"),
    (f"mx.multicast.{ODD}", "A", "224.0.0.1"),
    (f"mx.linklocal.{ODD}", "A", "169.254.1.1"),
    (f"mx.nowhere.{ODD}", "A", "0.0.0.0"),
    (f"alias.{ODD}", "MX", f"10 cname.{ODD}."),
    (f"cname.{ODD}", "CNAME", "mx1.remote.test."),
    *((f"many.{ODD}", "MX", f"{number} mx1.remote.test.") for number in range(100)),
    *((f"many.{ODD}", "MX", f"{number} mx2.remote.test.") for number in range(100)),
)

# A DNS block list (RFC 5782): 127.0.0.2 names who sends spam; 127.255.255.254 is how lists tell that they do not answer
# whoever asks through a public resolver, and names nobody.
BLOCK_LIST = "bl.test"
BLOCK_LIST_ANSWERS = {LISTED: "127.0.0.2", DISPUTED: "127.255.255.254"}


@dataclass(frozen=True)
class Zone:
    """One zone and its records as (owner, type, data), absolute names without the last dot."""

    name: str
    records: tuple[tuple[str, str, str], ...]

    def render(self) -> str:
        """The zone as a master file (RFC 1035, section 5)."""
        lines = [
            "$TTL 60",
            f"{self.name}. SOA {NAME_SERVER}. hostmaster.{NAME_SERVER}. 1 3600 600 86400 30",
            f"{self.name}. NS {NAME_SERVER}.",
            *(f"{owner}. {kind} {data}" for owner, kind, data in self.records),
        ]
        return "\n".join(lines) + "\n"


def zones(slot: Slot, hosts: Sequence[Host]) -> list[Zone]:
    """All the zones of a lab: forward ones, then the two reverse ones, which agree with them."""
    named = {
        "control.client.test": GATEWAY,
        NAME_SERVER: PEER,
        "mx1.remote.test": MX1,
        "mx2.remote.test": MX2,
        "dead.fallback.test": DEAD,
        **{stranger(offset): offset for offset in (*STRANGERS, *BLOCK_LIST_ANSWERS)},
    }
    addresses = [(name, slot.ipv4(offset), slot.ipv6(offset)) for name, offset in named.items()]
    addresses += [(host.hostname, host.ipv4, host.ipv6) for host in hosts]
    records = [record for each in addresses for record in _address_records(*each)]
    records += [(host.domain, "MX", f"10 {host.hostname}.") for host in hosts]
    records += [
        ("remote.test", "MX", "10 mx1.remote.test."),
        ("remote.test", "MX", "20 mx2.remote.test."),
        ("fallback.test", "MX", "10 dead.fallback.test."),
        ("fallback.test", "MX", "20 mx2.remote.test."),
    ]
    names = ["example.test", "remote.test", "fallback.test", "client.test"]
    forward = [Zone(name, tuple(each for each in records if _within(each[0], name))) for name in names]
    pointers = [
        (ipaddress.ip_address(address).reverse_pointer, "PTR", f"{name}.")
        for name, *both in addresses
        for address in both
    ]
    reverse = [Zone(name, tuple(each for each in pointers if _within(each[0], name))) for name in (REVERSE4, REVERSE6)]
    return [*forward, Zone(ODD, ODD_RECORDS), Zone(BLOCK_LIST, tuple(_block_list(slot))), *reverse]


def _block_list(slot: Slot) -> Iterator[tuple[str, str, str]]:
    """The list's lines, and the one by which a list is tried (RFC 5782, section 5)."""
    yield f"2.0.0.127.{BLOCK_LIST}", "A", "127.0.0.2"
    for offset, answer in BLOCK_LIST_ANSWERS.items():
        for address in (slot.ipv4(offset), slot.ipv6(offset)):
            labels = ipaddress.ip_address(address).reverse_pointer.rpartition(".")[0].rpartition(".")[0]
            yield f"{labels}.{BLOCK_LIST}", "A", answer
            yield f"{labels}.{BLOCK_LIST}", "TXT", f'"{address} is in the list of the lab"'


def stranger(offset: int) -> str:
    """The name of one of the peer's many source addresses."""
    return f"s{offset}.client.test"


def _address_records(name: str, ipv4: str, ipv6: str) -> list[tuple[str, str, str]]:
    return [(name, "A", ipv4), (name, "AAAA", ipv6)]


def _within(name: str, zone: str) -> bool:
    return name == zone or name.endswith(f".{zone}")


def knot_configuration(slot: Slot, served: Sequence[Zone]) -> str:
    """knot.conf(5): our zones with authority, everything else asked of the engine's resolver."""
    lines = [
        "server:",
        f"    listen: [{slot.ipv4(PEER)}@53, {slot.ipv6(PEER)}@53]",
        "remote:",
        "  - id: engine",
        "    address: 127.0.0.11",
        "mod-dnsproxy:",
        "  - id: elsewhere",
        "    remote: engine",
        "    fallback: on",
        "template:",
        "  - id: default",
        "    storage: /srv/peer/zones",
        '    file: "%s.zone"',
        "    journal-content: none",
        "    zonefile-sync: -1",
        "    global-module: mod-dnsproxy/elsewhere",
        "zone:",
        *(f"  - domain: {zone.name}" for zone in served),
    ]
    return "\n".join(lines) + "\n"
