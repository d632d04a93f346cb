"""The firewall's rules as text: what is let in, and what is not. Nothing here touches the host.

All of them stand in one table of ours, which is replaced as a whole. Another table's `accept` does not lift our
refusal: every input chain of every table must let a packet through (nft(8), "VERDICT STATEMENT").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.valija.mailserver.plugins.module_utils.header import header

FAMILY, TABLE = "inet", "valija"

REMOVE = f"table {FAMILY} {TABLE}\ndelete table {FAMILY} {TABLE}\n"

# ICMP that a host needs: errors that paths report, of which "packet too big" is one, and the echo (RFC 4890, section
# 4.4). Neighbour discovery comes from the link alone, which its hop limit proves (RFC 4861, section 6.1), and so does
# the listener discovery of multicast (RFC 2710). DHCP answers may belong to no connection that the kernel knows.
_HEAD = f"""\
table {FAMILY} {TABLE} {{
	chain input {{
		type filter hook input priority filter; policy drop;
		iifname "lo" accept
		icmpv6 type {{ nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }} ip6 hoplimit 255 accept
		icmpv6 type {{ mld-listener-query, mld-listener-report, mld-listener-done }} ip6 saddr fe80::/10 accept
		icmpv6 type mld2-listener-report ip6 saddr fe80::/10 accept
		ct state established,related accept
		ct state invalid drop
		icmpv6 type {{ destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-request }} accept
		icmp type {{ destination-unreachable, time-exceeded, parameter-problem, echo-request }} accept
		udp sport 67 udp dport 68 accept comment "DHCP"
		ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept comment "DHCPv6"
"""

# A refusal, not silence: who asks for a closed port (the ident look-up of another mail server, a client with an old
# setting) is told at once instead of waiting, and hears what a host without a service there says.
_FOOT = """\
		meta pkttype { broadcast, multicast } drop
		meta l4proto tcp reject with tcp reset
		reject with icmpx port-unreachable
	}
}
"""

_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


@dataclass(frozen=True)
class Opening:
    """Ports that are let in: one, or a range, of ``tcp`` or ``udp``, and the name of what answers there."""

    protocol: str
    first: int
    last: int
    name: str

    @property
    def rule(self) -> str:
        ports = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f'\t\t{self.protocol} dport {ports} accept comment "{self.name}"\n'

    def lets_in(self, protocol: str, port: int) -> bool:
        return protocol == self.protocol and self.first <= port <= self.last


def parse_ports(text: str) -> tuple[int, int]:
    """The first and the last port of `8443` or `60000-61000`. ValueError for anything else."""
    match = _PORTS.fullmatch(str(text).strip())
    first = int(match[1]) if match else 0
    last = int(match[2] or first) if match else 0
    if not 0 < first <= last < 65536:
        raise ValueError(f"{text} is neither a port nor a range of ports")
    return first, last


def openings(
    listens: Iterable[Mapping[str, object]], ssh: Iterable[int], tcp: Iterable[str], udp: Iterable[str]
) -> tuple[Opening, ...]:
    """What is let in, by port: SSH, the declared ports that answer to `any`, and the site's own. ValueError."""
    found = [Opening("tcp", port, port, "ssh") for port in ssh]
    for entry in listens:
        if entry.get("address", "any") == "any":
            port = int(str(entry["port"]))
            found.append(Opening(str(entry.get("protocol") or "tcp"), port, port, _word(entry.get("service"))))
    for protocol, extra in (("tcp", tcp), ("udp", udp)):
        found += [Opening(protocol, *parse_ports(text), "of the site") for text in extra]
    unique = {(opening.protocol, opening.first, opening.last): opening for opening in reversed(found)}
    return tuple(unique[key] for key in sorted(unique))


def _word(name: object) -> str:
    """A name as a comment of nft takes it."""
    return re.sub(r"[^\w ().-]", "", str(name or "service"))[:60]


def render(opened: Sequence[Opening]) -> str:
    """The whole file: it replaces our table at once, in one transaction of nft, and names no other."""
    return f"{header('firewall')}\n{REMOVE}{_HEAD}{''.join(opening.rule for opening in opened)}{_FOOT}"


def restoring(listing: str) -> str:
    """What brings back the table that `nft list table` has printed; its removal when there was none."""
    return REMOVE + listing
