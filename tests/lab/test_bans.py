"""Bans: who guesses passwords is shut out of every port, and nobody else is, whatever a stranger writes."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from valija.lab import Lab
from valija.lab.addresses import GATEWAY, PEER, STRANGERS
from valija.lab.peer import API_PORT
from valija.probes import imap, pop3, smtp, tls, wait
from valija.probes.routes import Route, Tunnel

from .conftest import LabHost, LabSite, summary_of
from .test_firewall import DOCUMENTED, alone, firewall

RELEASES = ["debian-13", "debian-12"]

# fail2ban_failures, and the promise of the catalogue: from the last guess to the ban.
FAILURES = 10
BAN_SECONDS = 10

# The login's own duration: PAM and Courier hold a client up after a wrong password.
LOGIN_SECONDS = 30.0

RECORDED = Path(__file__).parents[1] / "data" / "fail2ban"


class World:
    """One host of the lab, and the strangers around it; each number is another stranger."""

    def __init__(self, lab: LabSite, host: LabHost) -> None:
        self.lab, self.host = lab, host
        running = Lab.load(lab.name)
        self.slot, self.password = running.slot, running.passwords["alice"]
        self.machine = next(one for one in running.hosts if one.name == host.name)
        self.context = tls.verifying((lab.path / "certificates" / f"{host.name}.pem").read_text())

    def address(self, family: str) -> str:
        return self.machine.ipv4 if family == "ipv4" else self.machine.ipv6

    def stranger(self, family: str, number: int) -> str:
        return getattr(self.slot, family)(STRANGERS[number])

    def route(self, source: str) -> Tunnel:
        return Tunnel(self.slot.ipv4(PEER), API_PORT, source)

    def login(self, service: str, family: str, password: str, route: Route | None = None, name: str = "alice") -> str:
        """Try to log in; what the server said, cut short to its verdict."""
        given = {"route": route, "timeout": LOGIN_SECONDS, "server_name": self.machine.hostname}
        where = self.address(family)
        if service == "submission":
            with smtp.Session(where, 587, **given) as talk:
                talk.say_ehlo()
                talk.starttls(self.context)
                talk.say_ehlo()
                return str(talk.log_in(name, password).code)
        if service == "imaps":
            with imap.Session(where, 993, tls=self.context, **given) as box:
                return box.ask(f'LOGIN {name} "{password}"')[0]
        with pop3.Session(where, 995, tls=self.context, **given) as drop:
            drop.ask(f"USER {name}")
            return drop.ask(f"PASS {password}")[0].split()[0]

    def guess(self, service: str, family: str, route: Route | None, times: int = FAILURES) -> list[str]:
        """So many wrong passwords, side by side; the server's verdicts. One that was cut off half way says `cut`."""

        def once(_number: int) -> str:
            try:
                return self.login(service, family, "wrong", route)
            except (OSError, EOFError, imap.Session.abort):
                return "cut"

        with ThreadPoolExecutor(times) as pool:
            return list(pool.map(once, range(times)))

    def reaches(self, family: str, route: Route, ports: set[int]) -> set[int]:
        """Which of these ports take a connection."""
        found = set()
        for port in sorted(ports):
            with contextlib.suppress(OSError):
                route.connect(self.address(family), port, 5).close()
                found.add(port)
        return found

    def banned(self) -> set[str]:
        jails = json.loads(self.host.sh("fail2ban-client banned").replace("'", '"'))
        return {address for jail in jails for addresses in jail.values() for address in addresses}

    def unban(self, *addresses: str) -> None:
        self.host.sh(f"fail2ban-client unban {' '.join(addresses) or '--all'}")


GOOD = {"submission": "235", "imaps": "OK", "pop3s": "+OK"}
BAD = {"submission": "535", "imaps": "NO", "pop3s": "-ERR"}


# The second release is in the slow tier.
@pytest.fixture(params=[RELEASES[0], *(pytest.param(one, marks=pytest.mark.slow) for one in RELEASES[1:])])
def world(request: pytest.FixtureRequest, converged: LabSite) -> Iterator[World]:
    host = next(one for one in converged.hosts if one.name == request.param)
    world = World(converged, host)
    world.unban()
    yield world
    world.unban()


def case(service: str, family: str, *, slow: bool = True) -> object:
    return pytest.param(service, family, marks=[pytest.mark.slow] if slow else [], id=f"{service}-{family}")


@pytest.mark.parametrize(
    ("service", "family"),
    [
        case("submission", "ipv4", slow=False),
        *(case(service, family) for service in ("imaps", "pop3s") for family in ("ipv4", "ipv6")),
        case("submission", "ipv6"),
    ],
)
def test_who_guesses_is_shut_out_of_every_port_and_let_in_again(world: World, service: str, family: str) -> None:
    guesser, other = (world.stranger(family, number) for number in (0, 1))
    route = world.route(guesser)
    assert world.reaches(family, route, DOCUMENTED) == DOCUMENTED
    assert world.guess(service, family, route, FAILURES - 1) == [BAD[service]] * (FAILURES - 1)
    assert world.login(service, family, world.password, route) == GOOD[service], "nine failures do not ban"
    assert set(world.guess(service, family, route, 1)) <= {BAD[service], "cut"}
    wait.until(lambda: not world.reaches(family, route, {587}), within=BAN_SECONDS, what="the ban")
    assert world.reaches(family, route, DOCUMENTED) == set()
    assert world.banned() == {guesser}
    assert world.login(service, family, world.password, world.route(other)) == GOOD[service]
    assert world.login(service, family, world.password) == GOOD[service]
    world.unban(guesser)
    wait.until(lambda: world.reaches(family, route, DOCUMENTED) == DOCUMENTED, within=10, what="the way back in")
    assert world.login(service, family, world.password, route) == GOOD[service]


@pytest.mark.slow
def test_a_ban_by_ipv6_takes_in_the_prefix_and_spares_who_is_never_banned(world: World) -> None:
    site = alone(world.lab, world.host)
    run = site.valija("apply", "--tags", "fail2ban", "-e", '{"fail2ban_ipv6_prefix": 64}')
    assert run.code == 0, run.output
    try:
        guesser, neighbour = (world.stranger("ipv6", number) for number in (2, 3))
        world.guess("submission", "ipv6", world.route(guesser))
        wait.until(lambda: world.banned() == {guesser}, within=BAN_SECONDS, what="the ban")
        wait.until(
            lambda: not world.reaches("ipv6", world.route(neighbour), {993}), within=BAN_SECONDS, what="its prefix"
        )
        # The control node stands in the same /64, and in fail2ban_ignore.
        with socket.create_connection((world.address("ipv6"), 993), timeout=5):
            pass
        # What the host says to itself goes by its own address in that /64.
        world.host.sh(f"python3 -c 'import socket; socket.create_connection((\"{world.address('ipv6')}\", 993))'")
        assert world.reaches("ipv4", world.route(world.stranger("ipv4", 2)), {993}) == {993}
        world.unban(guesser)
        wait.until(lambda: world.reaches("ipv6", world.route(neighbour), {993}), within=10, what="the way back in")
    finally:
        assert site.valija("apply", "--tags", "fail2ban").code == 0


@pytest.mark.slow
def test_the_control_node_is_not_banned(world: World) -> None:
    assert world.guess("submission", "ipv4", None, FAILURES + 2) == ["535"] * (FAILURES + 2)
    assert world.login("submission", "ipv4", world.password) == "235"
    assert world.banned() == set()
    ignored = world.host.sh("fail2ban-client get valija-smtp ignoreip").split()
    assert {world.slot.ipv4(GATEWAY), world.slot.ipv6(GATEWAY)} <= set(ignored)


@pytest.mark.slow
def test_the_host_itself_is_not_banned(world: World) -> None:
    """A webmail's failures come from loopback: a ban would shut out everybody."""
    script = """
import imaplib, sys, threading
def guess(address):
    try:
        imaplib.IMAP4(address, 143).login("alice", "wrong")
    except Exception as error:
        print(error)
threads = [threading.Thread(target=guess, args=(a,)) for a in ("127.0.0.1", "::1") for n in range(12)]
[one.start() for one in threads]; [one.join() for one in threads]
"""
    said = world.host.sh("python3 -", stdin=script.encode())
    assert said.count("Login failed") == 24, said
    assert world.banned() == set()


@pytest.mark.slow
def test_a_backend_that_is_down_bans_nobody(world: World) -> None:
    route = world.route(world.stranger("ipv4", 4))
    # Only the daemon that judges goes, and does not come back by itself: those that ask it go on.
    world.host.sh(
        "systemctl mask --runtime -q courier-authdaemon; systemctl kill -s KILL courier-authdaemon; sleep 1; "
        "! pgrep -x authdaemond"
    )
    try:
        assert set(world.guess("submission", "ipv4", route, FAILURES + 2)) == {"454"}
        for service in ("imaps", "pop3s"):
            assert BAD[service] not in set(world.guess(service, "ipv4", route, FAILURES + 2)) - {"-ERR"}
    finally:
        world.host.sh(
            "systemctl unmask --runtime -q courier-authdaemon; "
            "systemctl restart courier-authdaemon; "
            "systemctl start courier-imap courier-pop courier-imap-ssl courier-pop-ssl"
        )
    assert world.banned() == set()
    for jail in ("smtp", "imap", "pop3"):
        assert "Currently failed:\t0" in world.host.sh(f"fail2ban-client status valija-{jail}")
    for service in GOOD:
        wait.until(
            lambda service=service: world.login(service, "ipv4", world.password, route) == GOOD[service],
            within=20,
            what=f"a login by {service}",
        )


# what a stranger writes


def literal_login(world: World, route: Route, name: bytes) -> None:
    """LOGIN with the name as a literal (RFC 3501 section 4.3), which may hold any octets and be long."""
    sock = world.context.wrap_socket(
        route.connect(world.address("ipv4"), 993, LOGIN_SECONDS), server_hostname=world.machine.hostname
    )
    with contextlib.suppress(OSError), sock:
        sock.recv(4096)
        for part in (b"a LOGIN {%d}\r\n" % len(name), name + b" {5}\r\n", b"wrong\r\n"):
            sock.sendall(part)
            sock.recv(4096)


def long_name(victim: str) -> bytes:
    """A name of which courierlogger makes a line of its own, after 511 octets of `INFO: LOGIN FAILED, user=...`."""
    head, tail = b"LOGIN FAILED, user=", f", ip=[::ffff:{victim}], port=[40123]".encode()
    return b"u" * 486 + head + b"a" * (511 - len(head) - len(tail)) + tail + b"v" * 300


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        lambda victim: f"x, ip=[::ffff:{victim}], port=[40123]".encode(),
        lambda victim: f"x\r\nLOGIN FAILED, user=x, ip=[{victim}], port=[40123]".encode(),
        long_name,
    ],
    ids=["in the name", "on a line of its own", "in a long name"],
)
def test_a_name_bans_nobody_but_its_writer(world: World, name: Callable[[str], bytes]) -> None:
    writer, victim = (world.stranger("ipv4", number) for number in (5, 6))
    with ThreadPoolExecutor(FAILURES + 4) as pool:
        list(pool.map(lambda _: literal_login(world, world.route(writer), name(victim)), range(FAILURES + 4)))
    written = world.host.sh(f"journalctl -q -o cat -t imapd-ssl --since -60s | grep -cF '{victim}]'")
    assert int(written) > 0, "the name did not reach the log"
    world.guess("imaps", "ipv4", world.route(writer))
    wait.until(lambda: writer in world.banned(), within=BAN_SECONDS, what="the writer's own ban")
    assert world.banned() == {writer}
    assert victim not in world.host.sh("cat /var/log/fail2ban.log")


def test_fail2ban_reads_recorded_lines_as_they_are_meant(world: World) -> None:
    lines = [line for line in (RECORDED / f"{world.host.name}.txt").read_text().splitlines() if line[0] != "#"]
    world.host.sh("cat > /tmp/lines", stdin="".join(line.partition(" | ")[2] + "\n" for line in lines).encode())
    for name, program in (
        ("valija-smtp", "postfix/"),
        ("valija-courier[daemon=imapd]", "imapd"),
        ("valija-courier[daemon=pop3d]", "pop3d"),
    ):
        meant = [line.partition(" | ")[0] for line in lines if line[0] != "-" and f"| mail {program}" in line]
        read = world.host.sh(f"fail2ban-regex -o ip /tmp/lines '{name}' 2>/dev/null").split()
        assert meant and read == meant, name


# the ways of an administrator


@pytest.mark.slow
def test_bans_outlive_a_reload_a_restart_and_a_run(world: World) -> None:
    address = world.stranger("ipv4", 7)
    world.guess("submission", "ipv4", world.route(address))
    wait.until(lambda: world.banned() == {address}, within=BAN_SECONDS, what="the ban")
    for act in ("systemctl reload fail2ban", "systemctl restart fail2ban"):
        world.host.sh(act)
        wait.until(lambda: world.banned() == {address}, within=20, what=f"the ban after {act}")
        wait.until(
            lambda: not world.reaches("ipv4", world.route(address), {587}), within=20, what=f"silence after {act}"
        )
        run = world.lab.valija("apply", "--tags", "fail2ban,firewall", "--limit", world.host.name, "--json")
        assert summary_of(run)["changed"] == 0, run.output
        assert not world.reaches("ipv4", world.route(address), {587})


@pytest.mark.slow
def test_debians_jail_for_ssh_reads_the_journal(world: World) -> None:
    stranger = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    subprocess.run([*stranger, f"nobody-here@{world.address('ipv4')}", "true"], capture_output=True, check=False)
    match = "_SYSTEMD_UNIT=ssh.service + _COMM=sshd + _COMM=sshd-session"
    read = world.host.sh(f"fail2ban-regex -o ip -m '{match}' systemd-journal sshd 2>/dev/null")
    assert world.slot.ipv4(GATEWAY) in read.split()
    assert world.host.sh("fail2ban-client get sshd journalmatch").splitlines()[-1].strip("`|- ") == match


@pytest.mark.slow
def test_without_bans_our_files_go_and_fail2ban_stays(world: World) -> None:
    site = alone(world.lab, world.host)
    run = site.valija("apply", "--tags", "fail2ban", "-e", '{"mail_bans": false}')
    assert run.code == 0, run.output
    try:
        assert world.host.sh("find /etc/fail2ban -name '*valija*'") == ""
        # Debian 12's own jail for SSH wants a log file, and nothing is left that says otherwise.
        goes_on = world.host.sh("systemctl is-active fail2ban", check=False)
        assert goes_on == {"debian-12": "inactive", "debian-13": "active"}[world.host.name]
        assert "valija" not in world.host.sh("fail2ban-client status", check=False)
        assert "@addr" not in world.host.sh("nft list ruleset")
        again = site.valija("apply", "--tags", "fail2ban", "-e", '{"mail_bans": false}', "--json")
        assert summary_of(again)["changed"] == 0
    finally:
        assert site.valija("apply", "--tags", "fail2ban").code == 0
    assert "valija-imap, valija-pop3, valija-smtp" in world.host.sh("fail2ban-client status")
    assert firewall(site).code == 0
