"""A lab's network: the first slot of the documentation ranges that nothing else uses."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from valija.errors import ValijaError
from valija.lab.addresses import GATEWAY, SLOTS, Slot
from valija.lab.engine import LAB_LABEL, EngineError, docker, exists, inspect, label_options
from valija.lab.state import Place
from valija.messages import _


def ensure(place: Place) -> Slot:
    """The lab's slot; makes the network when there is none yet."""
    name = place.object_name("net")
    if exists("network", name):
        return slot_of(subnets(name))
    for number in free_slots(used_subnets()):
        slot = Slot(number)
        try:
            docker(
                *("network", "create", "--ipv6"),
                *("--subnet", slot.subnet4, "--gateway", slot.ipv4(GATEWAY)),
                *("--subnet", slot.subnet6, "--gateway", slot.ipv6(GATEWAY)),
                *label_options(place.labels),
                name,
            )
        except EngineError as error:
            # Another lab took the slot in the same moment; its network may not be listed yet.
            if "overlaps" not in str(error) and number in free_slots(used_subnets()):
                raise
            continue
        return slot
    labs = docker(
        "network", "ls", "--filter", f"label={LAB_LABEL}", "--format", f'{{{{.Label "{LAB_LABEL}"}}}}'
    ).split()
    raise ValijaError(
        _("All {count} networks of the lab are in use, by {names}. Take one down: valija lab down NAME.").format(
            count=len(SLOTS), names=", ".join(sorted(labs)) or _("others")
        )
    )


def subnets(network: str) -> list[str]:
    """The subnets of one network of the engine."""
    return inspect("network", network, "{{range .IPAM.Config}}{{.Subnet}} {{end}}").split()


def used_subnets() -> list[str]:
    """The subnets of all networks of the engine, ours and others'."""
    names = docker("network", "ls", "--quiet").split()
    # A network that went away since then is no trouble, so ask for each by itself.
    return [subnet for name in names for subnet in subnets(name)]


def free_slots(used: Iterable[str]) -> list[int]:
    """The slots whose ranges overlap none of these subnets."""
    taken = [ipaddress.ip_network(subnet, strict=False) for subnet in used]

    def free(slot: Slot) -> bool:
        wanted = [ipaddress.ip_network(slot.subnet4), ipaddress.ip_network(slot.subnet6)]
        return not any(mine.version == theirs.version and mine.overlaps(theirs) for mine in wanted for theirs in taken)

    return [number for number in SLOTS if free(Slot(number))]


def slot_of(networks: Iterable[str]) -> Slot:
    """The slot whose IPv4 subnet is among these."""
    networks = list(networks)
    for number in SLOTS:
        if Slot(number).subnet4 in networks:
            return Slot(number)
    raise ValijaError(_("A network of the lab has the addresses {found}.").format(found=", ".join(networks)))
