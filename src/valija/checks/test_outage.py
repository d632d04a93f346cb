"""The daemon that knows the passwords is away: the answer is to come back, and nobody is taken for a thief."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from valija.checks.expect import answered
from valija.checks.marks import check, rfc
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import wait
from valija.probes.routes import Direct, Route
from valija.probes.smtp import Session

UNIT = "courier-authdaemon"
REMEDY = N_(
    "Run `valija apply --tags courier`: a drop-in of each unit keeps it running without the daemon of the logins."
)

# More tries than the failures that get an address banned.
TRIES = 12

# Within this time everybody can log in again, in seconds.
BACK_SECONDS = 20.0

# By each protocol, words that say it is not the password that is wrong.
LATER = {"smtp": ("454 4.7.0",), "imap": ("temporary", "unavailable"), "pop3": ("temporary", "[sys/temp]")}

Ways = dict[str, Callable[[], str]]


@pytest.fixture
def visitor(site: Site, request: pytest.FixtureRequest, main_family: str) -> Route:
    """Who tries in vain for some seconds: a stranger where there is a peer, so that a ban would hit nobody else."""
    return request.getfixturevalue("stranger")(main_family, 7) if site.peer else Direct()


@pytest.fixture
def ways(
    submission: Callable[..., Session],
    imap: Callable[..., Any],
    pop3: Callable[..., Any],
    alice: Account,
    visitor: Route,
) -> Ways:
    """Log in with the right password; the answer of the server as it came."""

    def by_smtp() -> str:
        with submission(login=False, route=visitor) as talk:
            return str(talk.log_in(alice.name, alice.password))

    def by_imap() -> str:
        with imap(login=False, route=visitor) as box:
            _kind, lines = box.ask(f'LOGIN "{alice.name}" "{alice.password}"')
            return b"".join(lines).decode()

    def by_pop3() -> str:
        with pop3(login=False, route=visitor) as drop:
            drop.ask(f"USER {alice.name}")
            return str(drop.ask(f"PASS {alice.password}")[0])

    return {"smtp": by_smtp, "imap": by_imap, "pop3": by_pop3}


def inside(answer: str) -> bool:
    return answer.startswith(("235", "+OK")) or " OK " in answer


@contextmanager
def stopped(host: Any) -> Iterator[None]:
    done = host.run(f"systemctl stop {UNIT}")
    assert done.rc == 0, done.stderr
    try:
        yield
    finally:
        host.run(f"systemctl start {UNIT}")


@check(
    "A-102",
    N_(
        "While the daemon of the logins is stopped, SMTP, IMAP and POP3 say: later; then all of them work again at once"
    ),
    mutates=True,
    needs=["tls"],
    clauses=[rfc(4954, "6"), rfc(3206, "3"), rfc(5530, "3")],
    setting="courier_*",
    remedy=REMEDY,
)
def test_logins_are_put_off(host: Any, ways: Ways, submission: Callable[..., Session], visitor: Route) -> None:
    with stopped(host):
        answers = {name: [way()] for name, way in ways.items()}
        for _try in range(TRIES - 1):
            answers["smtp"].append(ways["smtp"]())
    wrong = [
        f"{name}: {answer}"
        for name, heard in answers.items()
        for answer in heard
        if not any(word in answer.lower() for word in LATER[name])
    ]
    assert not wrong, _("These do not say that it is for a while: {answers}").format(answers="; ".join(wrong))
    wait.until(lambda: all(inside(way()) for way in ways.values()), BACK_SECONDS, _("everybody to log in again"))
    with submission(route=visitor) as talk:  # who tried all the time is not banned
        answered(talk.command("NOOP"), 250)


@check(
    "A-102",
    N_("The daemon of the logins that was killed comes back by itself, and IMAP and POP3 have stayed"),
    mutates=True,
    needs=["tls"],
    clauses=[rfc(4954, "6"), rfc(3206, "3")],
    setting="courier_*",
    remedy=REMEDY,
)
def test_killed_daemon_comes_back(host: Any, ways: Ways) -> None:
    look = f"systemctl show -P MainPID {UNIT} courier-imap courier-imap-ssl courier-pop courier-pop-ssl"
    before = host.run(look).stdout.split()
    assert host.run(f"systemctl kill -s KILL {UNIT}").rc == 0
    try:
        wait.until(lambda: all(inside(way()) for way in ways.values()), BACK_SECONDS, _("everybody to log in again"))
    finally:
        host.run(f"systemctl start {UNIT}")
    after = host.run(look).stdout.split()
    assert before[1:] == after[1:] and before[0] != after[0] and "0" not in after, (before, after)
