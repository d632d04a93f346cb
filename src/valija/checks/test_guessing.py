"""Who guesses passwords: shut out of every port within seconds, told nothing about names, and nobody else is hurt."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from valija.checks.marks import check, rfc
from valija.checks.site import Account, Site
from valija.checks.ways import GUESSER
from valija.messages import N_, _
from valija.probes import imap as imap_probe
from valija.probes import wait
from valija.probes.routes import Route
from valija.probes.webmail import visible_text

# From the last guess to the ban (B-58).
BAN_SECONDS = 10.0
PORT_SECONDS = 5.0
# A refusal of IMAP or POP3 takes six; a session that is banned meanwhile hears nothing any more.
LOGIN_SECONDS = 15.0

# Samples of each kind; those of IMAP and POP3 take six seconds each.
SAMPLES = {"submission": 40, "imaps": 20, "pop3s": 20}
# Half a dozen at once: few enough for the host's processors to be idle while they wait.
AT_ONCE = 6

JAILS = {"submission": "valija-smtp", "submissions": "valija-smtp", "imaps": "valija-imap", "pop3s": "valija-pop3"}
BANS = N_("Run `valija apply --tags fail2ban`, then `fail2ban-client status valija-smtp` on the host.")

# (service, name, password, protocol, route) -> what the server says to the login, and how many seconds that took.
Login = Callable[..., tuple[str, float]]


@pytest.fixture
def log_in(
    submission: Callable[..., Any], imap: Callable[..., Any], pop3: Callable[..., Any], main_family: str
) -> Login:
    """Try to log in at a service; the verdict without the session's own tag, and the seconds until it came."""

    def attempt(
        service: str, name: str, password: str, family: str = "", route: Route | None = None
    ) -> tuple[str, float]:
        family = family or main_family
        if service.startswith("submission"):
            port = 465 if service == "submissions" else 587
            with submission(None, family, port=port, login=False, route=route) as talk:
                begun = time.monotonic()
                return str(talk.log_in(name, password)), time.monotonic() - begun
        kind = imap if service == "imaps" else pop3
        with kind(family=family, login=False, route=route) as box:
            box.sock.settimeout(LOGIN_SECONDS)
            begun = time.monotonic()
            if service == "imaps":
                _verdict, lines = box.ask(f'LOGIN {name} "{password}"')
                said = lines[-1].decode().strip().partition(" ")[2]
            else:
                box.ask(f"USER {name}")
                said = str(box.ask(f"PASS {password}")[0])
            return said, time.monotonic() - begun

    return attempt


def good(verdict: str) -> bool:
    return verdict.startswith(("235", "OK", "+OK"))


def open_ports(site: Site, family: str, route: Route) -> set[int]:
    """Which of the declared ports take a connection from there."""

    def reached(port: int) -> bool:
        with contextlib.suppress(OSError):
            route.connect(site.addresses[family], port, PORT_SECONDS).close()
            return True
        return False

    ports = [one.port for one in site.listens if one.address == "any" and one.protocol == "tcp"]
    with ThreadPoolExecutor(len(ports)) as pool:
        return {port for port, fine in zip(ports, pool.map(reached, ports), strict=True) if fine}


@check(
    "B-58",
    N_("Who guesses passwords is shut out of every port within ten seconds; others are not; an unban lets back in"),
    tier="slow",
    vantage="stranger",
    needs=["peer", "tls"],
    mutates=True,
    clauses=[rfc(4954, "9"), "CWE-307"],
    setting="mail_bans, fail2ban_failures",
    remedy=BANS,
)
@pytest.mark.parametrize("service", list(JAILS))
def test_guessing_ends_in_a_ban(
    log_in: Login, site: Site, host: Any, stranger: Callable[..., Any], alice: Account, service: str, family: str
) -> None:
    if not site.mail.get("mail_bans"):
        pytest.skip(_("no bans: mail_bans is false"))
    guesser, other = stranger(family, GUESSER), stranger(family)
    host.run("fail2ban-client unban %s", guesser.source)
    limit = int(host.run("fail2ban-client get %s maxretry", JAILS[service]).stdout.strip())
    assert 1 < limit <= 20, _("The ban comes after {count} guesses.").format(count=limit)
    every = open_ports(site, family, other)
    assert every and open_ports(site, family, guesser) == every

    def guess(_number: int) -> str:
        try:
            return log_in(service, alice.name, "wrong-password", family, guesser)[0]
        except (OSError, AssertionError, EOFError, imap_probe.Session.abort):
            return "cut"  # the ban came while the daemon let it wait

    try:
        with ThreadPoolExecutor(limit) as pool:
            verdicts = list(pool.map(guess, range(limit)))
        assert not any(map(good, verdicts)), verdicts
        wait.until(lambda: not open_ports(site, family, guesser), BAN_SECONDS, _("the ban at every port"))
        assert open_ports(site, family, other) == every, _("Somebody else is shut out too.")
        assert good(log_in(service, alice.name, alice.password, family, other)[0])
        assert host.run("fail2ban-client reload").rc == 0
        assert not open_ports(site, family, guesser), _("The ban is gone after a reload.")
    finally:
        host.run("fail2ban-client unban %s", guesser.source)
    wait.until(lambda: open_ports(site, family, guesser) == every, BAN_SECONDS, _("the ports after the unban"))
    assert good(log_in(service, alice.name, alice.password, family, guesser)[0])


@check(
    "B-60",
    N_("A refused login tells not whether the name exists: neither by its words nor by the time that it takes"),
    tier="slow",
    needs=["peer", "tls"],
    clauses=["OWASP ASVS 2.2", rfc(4954, "9")],
    remedy=N_("Look at /etc/courier/authdaemonrc on the host: a refusal must cost the same for every name."),
)
@pytest.mark.parametrize("service", list(SAMPLES))
def test_a_refusal_tells_no_names(log_in: Login, alice: Account, service: str) -> None:
    names = [alice.name, "nobody-x"] * SAMPLES[service]
    with ThreadPoolExecutor(AT_ONCE) as pool:  # from the control node, whom a lab does not ban
        answers = list(pool.map(lambda name: log_in(service, name, "wrong-password"), names))
    assert not any(good(said) for said, _seconds in answers), answers[:2]
    known, unknown = answers[::2], answers[1::2]
    assert {said for said, _seconds in known} == {said for said, _seconds in unknown}, (known[0], unknown[0])
    one, other = (statistics.median(seconds for _said, seconds in some) for some in (known, unknown))
    assert abs(one - other) < 0.2 * max(one, other), _(
        "{known:.2f} s for a name that exists, {unknown:.2f} s else."
    ).format(known=one, unknown=other)


@check(
    "B-60",
    N_("The webmail answers a wrong password and an unknown name with the same words"),
    vantage="client",
    needs=["webmail"],
    clauses=["OWASP ASVS 2.2"],
)
def test_the_webmail_tells_no_names(webmail: Callable[..., Any], alice: Account) -> None:
    def words(name: str) -> str:
        return visible_text(webmail(login=False).try_login(name, "wrong-password"))

    with ThreadPoolExecutor(2) as pool:
        known, unknown = pool.map(words, [alice.name, "nobody-x"])
    assert known == unknown.replace("nobody-x", alice.name), (known, unknown)
