"""The lab's addresses: four labs side by side in the documentation ranges, each with a slot of its own.

Slot n is 198.51.100.{64n}/26 (RFC 5737) and 2001:db8:198:51:n::/80 (RFC 3849). Within a slot an address is an offset;
in IPv6 the offset's decimal digits are written as they are, so that .10 and ::10 are the same host.
"""

from __future__ import annotations

from dataclasses import dataclass

SLOTS = range(4)

GATEWAY, PEER, MX1, MX2, DEAD = 1, 2, 3, 4, 5
HOSTS = range(10, 20)
STRANGERS = range(20, 60)
# Strangers too, and no ordinary ones: one that the lab's block list names, and one for which that list has an error.
LISTED, DISPUTED = 60, 61


@dataclass(frozen=True)
class Slot:
    """One lab's share of the documentation ranges."""

    number: int

    @property
    def subnet4(self) -> str:
        return f"198.51.100.{64 * self.number}/26"

    @property
    def subnet6(self) -> str:
        return f"{self._prefix6}::/80"

    @property
    def _prefix6(self) -> str:
        # The fourth hextet of the /64 is zero in all slots; the fifth is the slot.
        return "2001:db8:198:51" + (f":{self.number}" if self.number else "")

    def ipv4(self, offset: int) -> str:
        return f"198.51.100.{64 * self.number + offset}"

    def ipv6(self, offset: int) -> str:
        return f"{self._prefix6}::{offset}"
