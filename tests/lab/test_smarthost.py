"""Mail to elsewhere goes through a smarthost: by name, over verified TLS, with a password, and not otherwise."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

import pytest

from valija.lab import Lab
from valija.lab.addresses import PEER
from valija.lab.peer import API_PORT, RELAY_PORT, RELAY_USER

from .conftest import LabSite

SETTINGS = {
    "mail_relayhost": f"[mx1.remote.test]:{RELAY_PORT}",
    "mail_relayhost_username": RELAY_USER,
    "mail_relayhost_password": "{{ prove_peer_relay_password }}",
}


def arrived(lab: LabSite, recipient: str, seconds: float) -> list[dict[str, Any]]:
    """What the peer took for this recipient, waited for until it is there."""
    api = f"http://{Lab.load(lab.name).slot.ipv4(PEER)}:{API_PORT}/messages"
    deadline = time.monotonic() + seconds
    while True:
        with urllib.request.urlopen(api, timeout=10) as answer:
            found = [each for each in json.load(answer) if recipient in each["rcpt_to"]]
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


@pytest.fixture(scope="module")
def relayed(lab: LabSite) -> LabSite:
    Lab.load(lab.name).up(settings=SETTINGS)
    run = lab.valija("apply")
    assert run.code == 0, run.output
    return lab


def test_mail_goes_through_the_smarthost_with_tls_and_a_login(relayed: LabSite) -> None:
    relayed.host.sh("echo hello | mail -s subject someone@fallback.test")
    (message,) = arrived(relayed, "someone@fallback.test", 30)
    assert (message["port"], message["login"]) == (RELAY_PORT, RELAY_USER)
    assert message["tls"].startswith("TLSv1.")


def test_a_smarthost_that_cannot_be_verified_gets_neither_mail_nor_password(relayed: LabSite) -> None:
    # By its address it is the same server, but not the name in the certificate.
    address = relayed.host.sh("getent ahostsv4 mx1.remote.test | head -n1").split()[0]
    relayed.host.sh(f"echo {address} mx9.remote.test >>/etc/hosts")
    Lab.load(relayed.name).up(settings={**SETTINGS, "mail_relayhost": f"[mx9.remote.test]:{RELAY_PORT}"})
    run = relayed.valija("apply")
    assert run.code == 0, run.output
    relayed.host.sh("echo hello | mail -s subject nobody@fallback.test")
    assert arrived(relayed, "nobody@fallback.test", 5) == []
    assert "nobody@fallback.test" in relayed.host.sh("mailq")
