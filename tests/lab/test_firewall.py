"""The firewall: exactly the documented ports answer, an operator's own rules stay, and SSH is never locked out."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from valija.lab import Lab
from valija.probes import wait

from .conftest import BIN, LabHost, LabSite, Run, find_host, load_yaml, summary_of

RELEASES = ["debian-13", "debian-12"]

# What a site of the profile internet shows to the world (docs/guide/firewall.md), and SSH.
DOCUMENTED = {22, 25, 80, 443, 465, 587, 993, 995}

# Well-known ports, and those of daemons that mail and web hosts have behind their loopback.
SOME_PORTS = (
    *range(1, 1025),
    *(1080, 1433, 1883, 2000, 2049, 2222, 2525, 3000, 3128, 3306, 3389, 4190, 4949, 5000, 5432, 5672, 5900, 6379, 8000),
    *(8008, 8080, 8081, 8443, 8888, 8891, 9000, 9090, 9100, 9993, 10000, 10024, 10025, 10026, 10587, 11211, 11332),
    *(12340, 20000, 27017, 49152, 60000, 65535),
)

RETURN_SECONDS = 20
# A listener of somebody, for everybody, on both protocols.
SOMEBODY = "systemd-run --quiet --unit=somebody --collect python3 -m http.server 2525 --bind ::"
OPERATORS_TABLE = "table inet operator { chain input { type filter hook input priority 10; tcp dport 9 drop; }; }"


def open_ports(address: str, ports: Sequence[int]) -> set[int]:
    """Which of these ports take a connection. A refused one answers at once, a dropped one costs a second."""

    def answers(port: int) -> bool:
        try:
            with socket.create_connection((address, port), timeout=1):
                return True
        except OSError:
            return False

    with ThreadPoolExecutor(64) as pool:
        return {port for port, taken in zip(ports, pool.map(answers, ports), strict=True) if taken}


def addresses(host: LabHost) -> list[str]:
    """Both addresses of a lab host; one that has no IPv6 is not a lab's, and fails."""
    mine = find_host(load_yaml(host.site / "hosts.yml"), host.name)["ansible_host"]
    other = host.sh("ip -6 -o addr show scope global | awk '{print $4; exit}' | cut -d/ -f1")
    return [str(mine), other]


def firewall(lab: LabSite, *options: str, **extra: object) -> Run:
    """Apply the firewall's role alone, with these settings."""
    variables = ("-e", json.dumps(extra)) if extra else ()
    return lab.valija("apply", "--tags", "firewall", *variables, *options)


def listing(host: LabHost) -> str:
    return host.sh("nft -s list table inet valija 2>/dev/null", check=False)


# The second release is in the slow tier.
@pytest.fixture(params=[RELEASES[0], *(pytest.param(one, marks=pytest.mark.slow) for one in RELEASES[1:])])
def host(request: pytest.FixtureRequest, converged: LabSite) -> LabHost:
    """Each of the lab's hosts."""
    return next(one for one in converged.hosts if one.name == request.param)


def alone(lab: LabSite, host: LabHost) -> LabSite:
    """The site with one of its hosts."""

    class OneHost(LabSite):
        def valija(self, verb: str, *arguments: str, environment: dict[str, str] | None = None) -> Run:
            return super().valija(verb, *arguments, "--limit", host.name, environment=environment)

    return OneHost(lab.name, lab.path, (host,))


@pytest.fixture
def somebody(host: LabHost) -> Iterator[None]:
    """A program that listens for everybody at a port that no role declares."""
    host.sh(SOMEBODY)
    wait.until(lambda: host.sh("ss -Hltn sport = :2525", check=False), within=10, what="the listener")
    yield
    host.sh("systemctl stop somebody", check=False)


@pytest.mark.usefixtures("somebody")
def test_exactly_the_documented_ports_answer(host: LabHost) -> None:
    host.sh("python3 -c 'import socket; socket.create_connection((\"::1\", 2525))'")
    for address in addresses(host):
        assert open_ports(address, SOME_PORTS) == DOCUMENTED & set(SOME_PORTS), address


@pytest.mark.slow
@pytest.mark.usefixtures("somebody")
def test_of_all_ports_exactly_the_documented_answer(host: LabHost) -> None:
    for address in addresses(host):
        assert open_ports(address, range(1, 65536)) == DOCUMENTED, address


def test_a_refused_connection_is_told_at_once(host: LabHost) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((addresses(host)[0], 113), timeout=5)


def test_a_second_run_makes_one_call_and_changes_nothing(converged: LabSite, host: LabHost) -> None:
    before = host.sh("systemctl show -p ActiveEnterTimestampMonotonic --value valija-firewall")
    summary = summary_of(firewall(alone(converged, host), "--json"))
    assert summary["changed"] == 0, summary
    # prepare, firewall, finish
    assert summary["remote_calls"][host.name] == 3, summary
    assert host.sh("systemctl show -p ActiveEnterTimestampMonotonic --value valija-firewall") == before


@pytest.mark.usefixtures("somebody")
def test_the_plan_shows_the_rules_and_who_would_be_shut_out(converged: LabSite, host: LabHost) -> None:
    before = listing(host)
    site = alone(converged, host)
    plan = site.valija("plan", "--tags", "firewall", "-e", '{"firewall_tcp_ports_extra": ["8443"]}')
    assert plan.code == 0, plan.output
    assert re.search(r'^ *\+\s+tcp dport 8443 accept comment "of the site"$', plan.output, re.MULTILINE), plan.output
    assert "2525/tcp (python3" in plan.output
    assert listing(host) == before


@pytest.mark.slow
def test_ports_of_the_site_are_opened_and_shut_again(converged: LabSite, host: LabHost) -> None:
    site = alone(converged, host)
    run = firewall(site, firewall_tcp_ports_extra=["2525", "60000-60010"], firewall_udp_ports_extra=[53])
    assert run.code == 0, run.output
    assert "tcp dport 2525 accept" in listing(host) and "udp dport 53 accept" in listing(host)
    host.sh(SOMEBODY)
    try:
        for address in addresses(host):
            wait.until(lambda address=address: open_ports(address, [2525]), within=10, what="the listener")
        run = firewall(site)
        assert run.code == 0 and "2525/tcp (python3" in run.output, run.output
        for address in addresses(host):
            assert not open_ports(address, [2525])
    finally:
        host.sh("systemctl stop somebody", check=False)


STATE = "systemctl is-active valija-firewall; systemctl is-enabled valija-firewall"
DRIFT = {
    "a rule deleted": "nft delete rule inet valija input handle "
    "$(nft -a list table inet valija | sed -n 's/.*dport 993 .*handle //p')",
    "a rule added": "nft insert rule inet valija input tcp dport 2525 accept",
    "the chain flushed": "nft flush chain inet valija input; nft chain inet valija input '{ policy accept; }'",
    "the table deleted": "nft delete table inet valija",
    "the unit disabled": "systemctl disable -q valija-firewall",
    "the unit stopped": "systemctl stop valija-firewall",
    "the file edited": "echo '# mine' >> /etc/valija/firewall.nft",
    "the file deleted": "rm /etc/valija/firewall.nft",
    "the unit's file deleted": "rm /etc/systemd/system/valija-firewall.service; systemctl daemon-reload",
}


def test_drift_of_every_kind_is_mended_by_one_run(converged: LabSite, host: LabHost) -> None:
    before, file = listing(host), host.sh("cat /etc/valija/firewall.nft")
    for line in DRIFT.values():
        host.sh(line, check=False)
    assert firewall(alone(converged, host)).code == 0
    assert (listing(host), host.sh("cat /etc/valija/firewall.nft")) == (before, file)
    assert host.sh(STATE).split() == ["active", "enabled"]


@pytest.mark.slow
@pytest.mark.parametrize("drift", DRIFT)
def test_drift_alone_is_mended(converged: LabSite, host: LabHost, drift: str) -> None:
    before, file = listing(host), host.sh("cat /etc/valija/firewall.nft")
    host.sh(DRIFT[drift])
    summary = summary_of(firewall(alone(converged, host), "--json"))
    assert summary["changed"] == 1, summary
    assert (listing(host), host.sh("cat /etc/valija/firewall.nft")) == (before, file)
    assert host.sh(STATE).split() == ["active", "enabled"]
    assert summary_of(firewall(alone(converged, host), "--json"))["changed"] == 0


def test_an_operators_own_rules_stay_and_keep_working(converged: LabSite, host: LabHost) -> None:
    host.sh(f"nft '{OPERATORS_TABLE}'")
    own = "nft list table inet operator; cat /etc/nftables.conf"
    before = host.sh(own)
    try:
        for extra in (["2525"], []):
            run = firewall(alone(converged, host), firewall_tcp_ports_extra=extra)
            assert run.code == 0, run.output
            assert host.sh(own) == before
    finally:
        host.sh("nft delete table inet operator")


@pytest.mark.slow
def test_debians_own_unit_may_be_loaded_again(converged: LabSite, host: LabHost) -> None:
    """Its file begins with `flush ruleset`; ours comes back whenever that one is loaded again."""
    before = listing(host)
    host.sh(f"cp -p /etc/nftables.conf /tmp/own.nft; echo '{OPERATORS_TABLE}' >> /etc/nftables.conf")
    try:
        assert "flush ruleset" in host.sh("cat /etc/nftables.conf")
        host.sh("systemctl start nftables")
        assert firewall(alone(converged, host)).code == 0
        for verb in ("reload", "restart"):
            host.sh(f"systemctl {verb} nftables")
            wait.until(lambda: listing(host) == before, within=10, what=f"our table after {verb}")
            assert "dport 9 drop" in host.sh("nft list table inet operator")
        assert summary_of(firewall(alone(converged, host), "--json"))["changed"] == 0
    finally:
        host.sh("cp -p /tmp/own.nft /etc/nftables.conf; systemctl stop nftables; systemctl start valija-firewall")


# SSH

# As soon as new rules with this port are there, somebody makes them cut SSH off: what a mistake of ours would do.
CUT = """
for try in $(seq 400); do
  if nft list table inet valija | grep -q 'dport 4444 '; then
    nft insert rule inet valija input tcp dport 22 ct state new drop
    exit
  fi
  sleep 0.05
done
"""


def test_rules_that_cut_ssh_off_return_by_themselves(converged: LabSite, host: LabHost) -> None:
    before, file = listing(host), host.sh("cat /etc/valija/firewall.nft")
    host.sh("cat > /run/cut", stdin=CUT.encode())
    host.sh("systemd-run --quiet --collect --unit=cut bash /run/cut")
    run = firewall(alone(converged, host), firewall_tcp_ports_extra=["4444"], firewall_return_seconds=RETURN_SECONDS)
    assert run.code == 1, run.output
    assert "the former ones came back by themselves" in run.output
    assert (listing(host), host.sh("cat /etc/valija/firewall.nft")) == (before, file)
    assert host.sh("ls /run/valija/lock 2>/dev/null | wc -l") == "0"
    again = firewall(alone(converged, host), "--json")
    assert summary_of(again)["changed"] == 0, again.output


def kill_before_the_confirmation(site: LabSite, host: LabHost, **extra: object) -> None:
    """Start a run that loads new rules, and kill it, with its children, as soon as they are loaded."""
    process = subprocess.Popen(
        [
            *(BIN / "ansible-playbook", "-i", site.path, "--limit", host.name, "--tags", "firewall"),
            *("-e", json.dumps(extra), "valija.mailserver.site"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "ANSIBLE_CONFIG": str(site.path / "ansible.cfg")},
    )
    try:
        host.sh("for i in $(seq 600); do nft list table inet valija | grep -q 'dport 4444 ' && break; sleep 0.05; done")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_run_killed_before_the_confirmation_leaves_the_former_rules(converged: LabSite, host: LabHost) -> None:
    before, file = listing(host), host.sh("cat /etc/valija/firewall.nft")
    kill_before_the_confirmation(
        converged, host, firewall_tcp_ports_extra=["4444"], firewall_return_seconds=RETURN_SECONDS
    )
    assert "dport 4444 " in listing(host), "killed too late or too early"
    assert host.sh("cat /etc/valija/firewall.nft") == file
    wait.until(lambda: listing(host) == before, within=RETURN_SECONDS + 15, what="the return")
    run = firewall(alone(converged, host))
    assert run.code == 0 and "never confirmed" in run.output, run.output


@pytest.mark.slow
def test_a_run_after_a_killed_one_confirms_its_own_rules(converged: LabSite, host: LabHost) -> None:
    before = listing(host)
    kill_before_the_confirmation(converged, host, firewall_tcp_ports_extra=["4444"], firewall_return_seconds=120)
    run = firewall(alone(converged, host))
    assert run.code == 0, run.output
    assert listing(host) == before
    assert host.sh("systemctl list-units --all --plain --no-legend 'valija-firewall-return*'") == ""


@pytest.mark.slow
def test_ssh_at_another_port_is_found_and_let_in(converged: LabSite, host: LabHost) -> None:
    host.sh("printf 'Port 22\\nPort 2222\\n' > /etc/ssh/sshd_config.d/ports.conf; systemctl restart ssh")
    try:
        run = firewall(alone(converged, host))
        assert run.code == 0, run.output
        assert 'tcp dport 2222 accept comment "ssh"' in listing(host)
        for address in addresses(host):
            assert open_ports(address, [22, 2222]) == {22, 2222}
    finally:
        host.sh("rm /etc/ssh/sshd_config.d/ports.conf; systemctl restart ssh")
        assert firewall(alone(converged, host)).code == 0
    assert "dport 2222" not in listing(host)


@pytest.mark.slow
def test_without_a_firewall_nothing_of_it_is_left(converged: LabSite, host: LabHost) -> None:
    plan = alone(converged, host).valija("plan", "--tags", "firewall", "-e", '{"mail_firewall": false}')
    assert re.search(r"^ *-table inet valija \{$", plan.output, re.MULTILINE), plan.output
    assert "stop valija-firewall.service" in plan.output
    run = firewall(alone(converged, host), mail_firewall=False)
    assert run.code == 0, run.output
    try:
        assert listing(host) == ""
        assert (
            host.sh("ls /etc/valija/firewall.nft /etc/systemd/system/valija-firewall.service 2>&1 | grep -c cannot")
            == "2"
        )
        again = summary_of(firewall(alone(converged, host), "--json", mail_firewall=False))
        assert again["changed"] == 0
    finally:
        assert firewall(alone(converged, host)).code == 0
    assert "dport 25 accept" in listing(host)


def test_the_rules_are_there_after_a_boot(converged: LabSite, host: LabHost) -> None:
    before = listing(host)
    container = next(one.container for one in Lab.load(converged.name).hosts if one.name == host.name)
    subprocess.run(["docker", "restart", container], check=True, capture_output=True)
    address = addresses_of(converged.path, host.name)
    wait.until(lambda: open_ports(address, [22]), within=60, what="SSH after the boot")
    wait.until(lambda: listing(host) == before, within=30, what="the rules after the boot")
    order = host.sh("systemctl show -p Before --value valija-firewall")
    assert "network-pre.target" in order


def addresses_of(site: Path, name: str) -> str:
    """The IPv4 address of a host, from the site alone: the host may not answer."""
    return str(find_host(load_yaml(site / "hosts.yml"), name)["ansible_host"])
