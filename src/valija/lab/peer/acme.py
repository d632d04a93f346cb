"""The peer's ACME server: pebble, a CA for tests (RFC 8555), which makes a new root each time that it starts.

It looks at port 80 of the names, or at their TXT records in the peer's DNS, as a public CA does.
"""

from __future__ import annotations

import json
from importlib import resources

from valija.lab.addresses import PEER, Slot
from valija.lab.hosts import File
from valija.lab.peer.zones import NAME_SERVER

PACKAGE = "pebble"
UNIT = "valija-acme"
PORT = 14000
# Where pebble gives out what a real CA publishes, its root: /roots/0.
MANAGEMENT_PORT = 15000
DIRECTORY = f"https://{NAME_SERVER}:{PORT}/dir"


def root_address(slot: Slot) -> str:
    """Where the root of the certificates can be fetched that this pebble signs."""
    return f"https://{slot.ipv4(PEER)}:{MANAGEMENT_PORT}/roots/0"


def files(slot: Slot) -> dict[str, File]:
    """What pebble runs with; its own certificate is the peer's."""
    unit = (resources.files("valija.lab.peer") / f"{UNIT}.service").read_text()
    return {
        "/srv/peer/acme.json": File(json.dumps(configuration(slot), indent=2).encode()),
        f"/etc/systemd/system/{UNIT}.service": File(unit.replace("@DNS@", f"{slot.ipv4(PEER)}:53").encode()),
    }


def configuration(slot: Slot) -> dict[str, object]:
    """pebble's configuration file."""
    return {
        "pebble": {
            "listenAddress": f"{slot.ipv4(PEER)}:{PORT}",
            "managementListenAddress": f"{slot.ipv4(PEER)}:{MANAGEMENT_PORT}",
            "certificate": "/srv/peer/peer.pem",
            "privateKey": "/srv/peer/peer.key",
            "httpPort": 80,
            "tlsPort": 443,
        }
    }
