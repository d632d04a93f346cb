"""The site of a lab: what `valija init` would write, with the lab's addresses and keys in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from valija.lab import peer, ssh
from valija.lab.addresses import GATEWAY, PEER, Slot
from valija.lab.peer.zones import BLOCK_LIST
from valija.lab.state import Host, Place, Record
from valija.skeleton import SiteHost, write_site


def write(place: Place, record: Record, slot: Slot, hosts: Sequence[Host]) -> None:
    """Write the site when it is new or something else is asked for; until then, what a user changed in it stays."""
    several = len(hosts) > 1
    asked: dict[str, Any] = {
        "domain": "" if several else hosts[0].domain,
        "postmaster": next(iter(record.passwords)),
        "profile": record.profile,
        "settings": {**record.settings, "prove_peer_relay_password": record.relay_password},
        "extra_group_vars": {**_bans(slot), **(_peer(slot) if record.peer else {})},
    }
    accounts = [{"name": name, "password": password} for name, password in record.passwords.items()]
    members = {
        host.name: {**({"mail_domain": host.domain} if several else {}), **ssh.connection(place, host)}
        for host in hosts
    }
    digest = hashlib.sha256(json.dumps([asked, accounts, members], sort_keys=True).encode()).hexdigest()[:16]
    if digest == record.site_digest and (place.site / "hosts.yml").exists():
        return
    for left in (*place.site.glob("host_vars/*.yml"), *place.site.glob("group_vars/all/extra.yml")):
        left.unlink()
    write_site(
        place.site,
        hosts=[SiteHost(host.name, host.ipv4, variables=members[host.name]) for host in hosts],
        accounts=accounts,
        overwrite=True,
        **asked,
    )
    record.site_digest = digest
    place.write(record)


def _peer(slot: Slot) -> dict[str, Any]:
    """Where the peer is, and the block list that it serves; `valija lab up --set mail_dnsbl_sites=[]` does without."""
    return {"prove_peer": peer.described(slot), "mail_dnsbl_sites": [BLOCK_LIST]}


def _bans(slot: Slot) -> dict[str, Any]:
    """Nobody shuts the control node and the peer out of a lab; its strangers, all in one /64, are banned one by one."""
    known = [family(offset) for offset in (GATEWAY, PEER) for family in (slot.ipv4, slot.ipv6)]
    return {"fail2ban_ignore": known, "fail2ban_ipv6_prefix": 128}
