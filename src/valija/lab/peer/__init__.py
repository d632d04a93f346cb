"""The peer: the rest of the Internet as the lab's hosts see it.

A container with the lab's DNS (knot), a sink for all mail to elsewhere, an ACME CA (pebble), and many source addresses
to play strangers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

from valija.lab import hosts
from valija.lab.addresses import DISPUTED, LISTED, MX1, MX2, PEER, STRANGERS, Slot
from valija.lab.hosts import File, Wanted
from valija.lab.peer import acme, authority
from valija.lab.peer.zones import BLOCK_LIST, NAME_SERVER, ODD, knot_configuration, zones
from valija.lab.state import Host, Place

API_PORT = 8025
RELAY_PORT = 587
# A zone that did not load answers nothing, while knot itself runs well.
ZONES_ARE_LOADED = """
for try in $(seq 50); do
  state=$(knotc zone-status 2>&1) && [ -n "$state" ] && ! echo "$state" | grep -q 'serial: -' && exit 0
  sleep 0.1
done
echo "$state" >&2
exit 1
"""
RELAY_USER = "relay"
RELEASE = "debian-13"
SINKS = (("mx1.remote.test", MX1), ("mx2.remote.test", MX2))


def container(place: Place) -> str:
    """The name of the peer's container."""
    return place.object_name("peer")


def make_certificates(place: Place, slot: Slot) -> None:
    """Have the lab's own CA, and the peer's certificate."""
    authority.ensure(
        place.directory / "peer",
        [*(name for name, _ in SINKS), NAME_SERVER],
        [family(offset) for _, offset in SINKS for family in (slot.ipv4, slot.ipv6)],
    )


def ca_certificate(place: Place) -> bytes:
    """The certificate of the lab's CA, PEM."""
    return (place.directory / "peer" / "ca.pem").read_bytes()


def start(place: Place, slot: Slot, mail_hosts: Sequence[Host], password: str, image: str) -> None:
    """Have the peer running with the zones of these hosts; it is made anew only when it is not there."""
    content = files(place, slot, mail_hosts, password)
    hosts.ensure(
        place,
        Wanted(
            container=container(place),
            hostname=NAME_SERVER,
            image=image,
            release=RELEASE,
            ipv4=slot.ipv4(PEER),
            ipv6=slot.ipv6(PEER),
            files=content,
        ),
    )
    hosts.run(
        container(place),
        "chown -R knot:knot /srv/peer/zones; systemctl daemon-reload; systemctl enable -q valija-sink valija-acme; "
        # knot looks at its zones again; the sink keeps what it took, so it is left alone while it runs.
        "systemctl restart knot; systemctl start valija-sink valija-acme",
    )
    hosts.run(container(place), ZONES_ARE_LOADED)
    hosts.wait_for_greeting(slot.ipv4(PEER), API_PORT, b"")
    hosts.wait_for_greeting(slot.ipv4(MX1), 25, b"220 ")


def files(place: Place, slot: Slot, mail_hosts: Sequence[Host], password: str) -> dict[str, File]:
    """All that makes a bare host the peer."""
    served = zones(slot, mail_hosts)
    ours = resources.files("valija.lab.peer")
    secrets = place.directory / "peer"
    return {
        "/etc/knot/knot.conf": File(knot_configuration(slot, served).encode()),
        **{f"/srv/peer/zones/{zone.name}.zone": File(zone.render().encode()) for zone in served},
        "/srv/peer/addresses": File(address_commands(slot).encode()),
        "/srv/peer/sink.py": File((ours / "sink.py").read_bytes()),
        "/srv/peer/sink.json": File(json.dumps(sink_configuration(slot, password), indent=2).encode(), 0o600),
        "/srv/peer/peer.pem": File((secrets / "peer.pem").read_bytes()),
        "/srv/peer/peer.key": File((secrets / "peer.key").read_bytes(), 0o600),
        **acme.files(slot),
        "/etc/systemd/system/valija-sink.service": File((ours / "valija-sink.service").read_bytes()),
    }


def address_commands(slot: Slot) -> str:
    """Commands for `ip -batch`: the sink's addresses and the strangers'.

    The IPv6 ones are deprecated from the start, so that none is chosen as a source unless it is asked for.
    """
    offsets = [offset for _, offset in SINKS] + [*STRANGERS, LISTED, DISPUTED]
    return "".join(
        f"address replace {slot.ipv4(offset)}/26 dev eth0\n"
        f"address replace {slot.ipv6(offset)}/80 dev eth0 nodad preferred_lft 0\n"
        for offset in offsets
    )


def sink_configuration(slot: Slot, password: str) -> dict[str, Any]:
    """What sink.py reads."""
    listen = [
        {"address": family(offset), "name": name, "port": port, "auth": port == RELAY_PORT}
        for name, offset in SINKS
        for port in ((25, RELAY_PORT) if offset == MX1 else (25,))
        for family in (slot.ipv4, slot.ipv6)
    ]
    return {
        "listen": listen,
        "api": {"address": slot.ipv4(PEER), "port": API_PORT},
        "sources": [family(offset) for offset in (*STRANGERS, LISTED, DISPUTED) for family in (slot.ipv4, slot.ipv6)],
        "targets": [slot.subnet4, slot.subnet6],
        "login": {RELAY_USER: password},
        "certificate": "/srv/peer/peer.pem",
        "key": "/srv/peer/peer.key",
    }


def strangers(slot: Slot) -> dict[str, list[str]]:
    """The source addresses that play strangers."""
    return {
        "ipv4": [slot.ipv4(offset) for offset in STRANGERS],
        "ipv6": [slot.ipv6(offset) for offset in STRANGERS],
    }


def described(slot: Slot) -> dict[str, Any]:
    """The inventory variable `prove_peer`: where the checks find the peer."""
    return {
        "ipv4": slot.ipv4(PEER),
        "ipv6": slot.ipv6(PEER),
        "api": f"http://{slot.ipv4(PEER)}:{API_PORT}",
        "domains": {"remote": "remote.test", "fallback": "fallback.test", "odd": ODD},
        "strangers": strangers(slot),
        "block_list": {
            "zone": BLOCK_LIST,
            "listed": {"ipv4": slot.ipv4(LISTED), "ipv6": slot.ipv6(LISTED)},
            "disputed": {"ipv4": slot.ipv4(DISPUTED), "ipv6": slot.ipv6(DISPUTED)},
        },
    }
