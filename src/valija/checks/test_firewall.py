"""The firewall: what listens on the host without being declared is not reached from elsewhere."""

from __future__ import annotations

import socket as sockets
from typing import Any

import pytest

from valija.checks.marks import check
from valija.checks.site import Site
from valija.messages import N_, _
from valija.probes import wait

# A program that listens for everybody at a port that the kernel chooses, and prints the port.
LISTENER = (
    "import socket, time; s = socket.create_server(('::', 0), family=socket.AF_INET6, dualstack_ipv6=True); "
    "print(s.getsockname()[1], flush=True); time.sleep(120)"
)
UNIT = "valija-probe-listener"


@check(
    "F-67",
    N_("A program that listens for everybody, and that no role declares, is not reached from outside"),
    clauses=("RFC 4890 section 4.4",),
    mutates=True,
    setting="mail_firewall, firewall_tcp_ports_extra",
    remedy=N_("The firewall lets it in: look at `nft list table inet valija` on the host, and run `valija apply`."),
)
def test_an_undeclared_listener_is_not_reached(host: Any, site: Site) -> None:
    if not site.mail.get("mail_firewall"):
        pytest.skip(_("no firewall: mail_firewall is false"))
    output = f"/run/{UNIT}"
    start = "systemd-run --quiet --collect --unit=%s --property=StandardOutput=file:%s python3 -c %s"
    started = host.run(start, UNIT, output, LISTENER)
    try:
        assert started.rc == 0, started.stderr
        port = int(wait.until(lambda: host.run("cat %s", output).stdout.strip(), within=10, what=_("the listener")))
        alive = host.run("python3 -c %s", f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)")
        assert alive.rc == 0, alive.stderr  # silence means something only where somebody listens
        reached = [address for family in site.families if _answers(address := site.addresses[family], port)]
        assert not reached, _("Port {port} answers at {addresses}.").format(port=port, addresses=", ".join(reached))
    finally:
        host.run("systemctl stop %s; rm -f %s", UNIT, output)


def _answers(address: str, port: int) -> bool:
    try:
        with sockets.create_connection((address, port), timeout=3):
            return True
    except OSError:
        return False
