"""No open relay: a stranger gets nothing through this host to elsewhere, whatever form the address has."""

from __future__ import annotations

import math
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import pytest

from valija.checks import relay_forms
from valija.checks.expect import answered
from valija.checks.host_state import queued
from valija.checks.mailbox import ARRIVAL_SECONDS, Mailbox
from valija.checks.marks import check, rfc
from valija.checks.site import Account, Site
from valija.checks.ways import enter, ways
from valija.messages import N_, _
from valija.probes import dns, message, wait
from valija.probes.message import Message
from valija.probes.peer import Peer
from valija.probes.routes import Route
from valija.probes.smtp import Session

Smtp = Callable[..., Session]
Nothing = Callable[[list[Message]], None]

CLOSED = N_("mynetworks must hold loopback alone and smtpd_relay_restrictions must end in reject_unauth_destination.")
RELAY = "postfix_main_cf_extra: mynetworks, smtpd_relay_restrictions"

# Refusals in one session, that of MAIL included at most ten: from then on Postfix takes a second for each answer
# (smtpd_soft_error_limit).
REFUSALS = 6
# Sessions at once, and the strangers that hold them: each of these waits once for postscreen's greeting.
SESSIONS = 8


def forms() -> list[Any]:
    """One parameter for each row of the table, with its own marker."""
    rows = {
        **{id: (title, clause, relay_forms.SENDERS, paths) for id, (title, clause, paths) in relay_forms.FORMS.items()},
        "B-12": (
            N_("A sender of ours, or none, relays nothing either"),
            rfc(2505, "2.1"),
            relay_forms.FORGED,
            ["<{victim}@{remote}>"],
        ),
    }
    return [
        pytest.param(
            senders,
            paths,
            marks=check(id, title, clauses=[clause], setting=RELAY, remedy=CLOSED, mutates=True),
            id=id,
        )
        for id, (title, clause, senders, paths) in rows.items()
    ]


@pytest.fixture
def names(site: Site, sender: str, elsewhere: str, alice: Account) -> Callable[[str], dict[str, str]]:
    """What the forms are filled with, when the host is spoken to over IPv4 or IPv6."""
    victim, _at, remote = elsewhere.partition("@")
    fixed = {
        "victim": victim,
        "remote": remote,
        "upper": remote.upper(),
        "domain": site.domain,
        "hostname": site.hostname,
        "sender": sender,
        "alice": alice.address,
        "remote_address": site.peer.addresses["ipv4"] if site.peer else "192.0.2.1",
    }

    def for_family(family: str) -> dict[str, str]:
        address = site.addresses[family]
        return {**fixed, "address": f"IPv6:{address}" if family == "ipv6" else address}

    return for_family


@pytest.fixture
def nothing_left(site: Site, host: Any, elsewhere: str, remote_domain: str) -> Nothing:
    """Assert that messages went nowhere: they are not in the queue, and once it is empty not in the sink either."""
    victim = elsewhere.partition("@")[0]
    before = Peer(site.peer.api).last_seq() if site.peer else 0

    def assert_nothing(sent: list[Message]) -> None:
        wait.until(
            lambda: not queued(host, [victim, f"postmaster@{remote_domain}"]),
            ARRIVAL_SECONDS,
            _("the queue to be without the message"),
        )
        ids = [one.test_id.encode() for one in sent]
        for leaked in Peer(site.peer.api).messages(before) if site.peer else []:
            ours = victim in "".join(leaked.rcpt_to) or any(id in leaked.data for id in ids)
            assert not ours, _("The message was relayed: {address} received it from {client}.").format(
                address=leaked.address, client=leaked.client
            )

    return assert_nothing


def try_to_relay(talk: Session, reverse_path: str, paths: list[str], sent: Message) -> list[str]:
    """Ask for each forward-path, and send the message if any is accepted; what was accepted.

    Every answer must be a refusal for good or an acceptance: one that puts the client off has proved nothing.
    """
    answers = [talk.mail_from(reverse_path), *(talk.command(f"RCPT TO:{path}") for path in paths)]
    for reply in answers:
        assert reply.code == 250 or 500 <= reply.code <= 599, _("{sent!r} was answered {reply!r}.").format(
            sent=reply.sent, reply=str(reply)
        )
    accepted = [path for path, reply in zip(paths, answers[1:], strict=True) if reply.accepted]
    if accepted and talk.command("DATA").code == 354:
        talk.data_content(sent.content)
    talk.command("RSET")
    return accepted


@check(
    "B-01",
    N_("Mail from outside to elsewhere is refused, and nothing of it arrives anywhere"),
    tier="quick",
    mutates=True,
    clauses=[rfc(5321, "3.6.2", "7.8"), rfc(2505, "2.1")],
    setting=RELAY,
    remedy=CLOSED,
)
def test_no_relay_from_outside(smtp: Smtp, sender: str, elsewhere: str, nothing_left: Nothing, family: str) -> None:
    sent = message.new(sender, elsewhere)
    with smtp(family) as talk:
        talk.say_ehlo()
        accepted = try_to_relay(talk, sender, [f"<{elsewhere}>"], sent)
        nothing_left([sent])
        assert not accepted, _("The host takes mail for {address} from a stranger.").format(address=elsewhere)
        answered(next(reply for reply in talk.replies if reply.sent.startswith("RCPT")), 554, enhanced="5.7.1")


@pytest.mark.usefixtures("acquainted")
@check(
    "B-01",
    N_("Mail from a stranger's network to elsewhere is refused, and mail to a local mailbox arrives"),
    tier="quick",
    mutates=True,
    vantage="stranger",
    needs=["peer"],
    clauses=[rfc(5321, "3.6.2", "7.8"), rfc(2505, "2.1")],
    setting=RELAY,
    remedy=CLOSED,
)
def test_no_relay_from_a_stranger(
    smtp: Smtp,
    stranger: Callable[..., Route],
    mailbox: Mailbox,
    sender: str,
    elsewhere: str,
    alice: Account,
    nothing_left: Nothing,
    family: str,
) -> None:
    sent = message.new(sender, elsewhere)
    with smtp(family, route=stranger(family)) as talk:
        talk.say_ehlo()
        accepted = try_to_relay(talk, sender, [f"<{elsewhere}>"], sent)
        nothing_left([sent])
        assert not accepted, _("The host takes mail for {address} from a stranger.").format(address=elsewhere)
    local = message.new(sender, alice.address)
    with smtp(family, route=stranger(family)) as talk:
        talk.say_ehlo()
        answered(talk.message(sender, [alice.address], local.content), 250)
    mailbox.is_as_sent(local)


@pytest.mark.parametrize(("senders", "paths"), forms())
def test_forms_that_relay_nothing(
    smtp: Smtp,
    site: Site,
    request: pytest.FixtureRequest,
    names: Callable[[str], dict[str, str]],
    sender: str,
    elsewhere: str,
    nothing_left: Nothing,
    senders: tuple[str, ...],
    paths: list[str],
) -> None:
    """Every sender with every form by every way over every protocol; the strangers take turns."""
    context: ssl.SSLContext | None = request.getfixturevalue("tls_context") if getattr(site, "tls", None) else None
    stranger = request.getfixturevalue("stranger") if site.peer else None
    if stranger:
        request.getfixturevalue("acquainted")
    tries = [
        (way, family, part)
        for way, family in product(ways(site), site.families)
        for part in relay_forms.sessions(
            relay_forms.filled(senders, names(family)), relay_forms.filled(paths, names(family)), REFUSALS
        )
    ]
    sent = [message.new(sender, elsewhere) for _each in tries]

    def attempt(number: int) -> tuple[list[str], Session]:
        way, family, part = tries[number]
        route = stranger(family, number % SESSIONS) if stranger else None
        with enter(smtp, way, family, route, context) as talk:
            taken = [
                f"{way} {family} <{reverse_path}> {path}"
                for reverse_path, asked in part
                for path in try_to_relay(talk, reverse_path, asked, sent[number])
            ]
            talk.command("QUIT")
            return taken, talk

    with ThreadPoolExecutor(SESSIONS) as pool:
        done = list(pool.map(attempt, range(len(tries))))
    nothing_left(sent)
    accepted = [each for taken, _talk in done for each in taken]
    assert not accepted, _("These recipients were accepted: {addresses}").format(addresses=", ".join(accepted))
    counts = (len(senders), len(paths), len(ways(site)), len(site.families))
    asked = sum(reply.sent.startswith("RCPT") for _taken, talk in done for reply in talk.replies)
    assert asked == math.prod(counts), (asked, counts)
    words = _("{asked} recipients refused: {0} senders x {1} forms x {2} ways x {3} protocols")
    done[-1][1].recorder.remark(words.format(*counts, asked=asked))


@check(
    "M-06",
    N_("The sink shows what it receives: a planted message is found"),
    needs=["peer"],
    mutates=True,
    remedy=N_("The peer's sink does not record: no check that looks into it can be believed."),
)
def test_sink_tells_the_truth(site: Site, sink: Peer, sender: str, elsewhere: str) -> None:
    assert site.peer is not None
    sent = message.new(sender, elsewhere)
    [mx] = dns.look_up(f"mx1.{site.peer.domains['remote']}", "A", server=site.peer.addresses["ipv4"])
    with Session(mx, 25) as talk:
        talk.say_ehlo()
        assert talk.message(sender, [elsewhere], sent.content).code == 250
    found = sink.holding(sent.test_id)
    assert len(found) == 1 and message.digest(message.sent_part(found[0].data, sent.test_id)) == sent.digest
