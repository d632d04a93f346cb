"""Whom port 25 turns away: who speaks out of turn, who is on a list, and who can be sent no answer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from valija.checks.expect import answered
from valija.checks.host_state import queued
from valija.checks.mailbox import ARRIVAL_SECONDS, Mailbox
from valija.checks.marks import APPLY, check, rfc
from valija.checks.site import Account, Site
from valija.checks.ways import HASTY
from valija.messages import N_, _
from valija.probes import message, wait
from valija.probes.message import Message
from valija.probes.peer import Peer
from valija.probes.routes import Route
from valija.probes.smtp import Reply, Session

Smtp = Callable[..., Session]

# Sender domains (the lab's DNS has them) and what is answered to a recipient of ours; 250 with None.
SENDER_DOMAINS = {
    "nullmx": "5.7.27",
    "nomail": "5.1.8",
    "missing": "5.1.8",
    "loopback": "5.7.1",
    "multicast": "5.7.1",
    "linklocal": "5.7.1",
    "nowhere": "5.7.1",
    "alias": None,
    "many": None,
}


def screening(host: Any) -> None:
    """Skip the check where smtpd answers at port 25 itself."""
    if not host.run("postconf -M postscreen/* smtp/inet").stdout.strip().endswith("postscreen"):
        pytest.skip(_("no postscreen: postfix_postscreen is false"))


def screened(host: Any, since: str, address: str) -> list[str]:
    """What postscreen has logged of a client since a moment, oldest first."""
    said = host.run("journalctl SYSLOG_FACILITY=2 -o cat --since=@%s", since).stdout
    return [line for line in said.splitlines() if f"[{address}]" in line]


@check(
    "B-50",
    N_("Who speaks before the greeting is refused, and nothing of it arrives"),
    vantage="stranger",
    needs=["peer"],
    mutates=True,
    clauses=[rfc(5321, "3.1", "4.3.1"), rfc(2920, "3.1")],
    setting="postfix_postscreen, postfix_main_cf_extra: postscreen_greet_action",
    remedy=APPLY,
)
def test_who_speaks_first_is_refused(
    connect: Callable[..., Session],
    host: Any,
    stranger: Callable[..., Any],
    mailbox: Mailbox,
    sender: str,
    alice: Account,
    run_began: str,
    family: str,
) -> None:
    screening(host)
    sent = message.new(sender, alice.address)
    route = stranger(family, HASTY)
    # Postscreen answers this EHLO in the middle of its greeting; such a client is owed no better grammar.
    with connect(Session, 25, family, route, early=b"EHLO probe.invalid\r\n") as talk:
        answered(talk.greeting, 220, 250)
        answered(talk.mail_from(sender), 250)
        answered(talk.rcpt_to(alice.address), 550, enhanced="5.5.1")
        assert not talk.command("DATA").accepted
        talk.command("QUIT")
    said = screened(host, run_began, route.source)
    assert any(line.startswith("PREGREET ") for line in said), said
    wait.until(lambda: not queued(host, [alice.address]), ARRIVAL_SECONDS, _("the queue to be empty"))
    assert not mailbox.holds(sent), _("The message arrived.")


@check(
    "B-51",
    N_("A client that waits for its greeting is let in at its first try, and known from then on"),
    vantage="stranger",
    needs=["peer"],
    mutates=True,
    clauses=["POSTSCREEN_README"],
    setting="postfix_postscreen_greet_wait_seconds, postfix_main_cf_extra: postscreen_cache_map",
    remedy=APPLY,
)
def test_a_patient_client_is_let_in(
    smtp: Smtp,
    host: Any,
    site: Site,
    stranger: Callable[..., Any],
    mailbox: Mailbox,
    sender: str,
    alice: Account,
    run_began: str,
) -> None:
    screening(host)

    def visit(family: str) -> tuple[str, list[Message]]:
        # Another one in each run, so that many runs meet one that is new.
        route = stranger(family, 20 + int(run_began) % 15)
        sent = [message.new(sender, alice.address) for _time in range(2)]
        for one in sent:
            with smtp(family, route=route) as talk:
                talk.say_ehlo()
                answered(talk.message(sender, [alice.address], one.content), 250)
                talk.command("QUIT")
        return route.source, sent

    with ThreadPoolExecutor(2) as pool:  # a new client waits some seconds for its greeting
        visits = dict(pool.map(visit, site.families))
    for address, sent in visits.items():
        for one in sent:
            mailbox.arrived(one)
        said = wait.until(
            partial(twice_let_in, host, run_began, address), ARRIVAL_SECONDS, _("postscreen's word about the client")
        )
        assert said[-1].startswith("PASS OLD "), _("{address} is not known at its second visit: {said}").format(
            address=address, said=said
        )


def twice_let_in(host: Any, since: str, address: str) -> list[str]:
    """Those lines of postscreen's that let a client in, once there are two."""
    said = [line for line in screened(host, since, address) if line.startswith("PASS ")]
    return said if len(said) > 1 else []


@check(
    "B-65",
    N_("A client on a block list is refused; one for which the list has but an error is not"),
    vantage="stranger",
    needs=["peer"],
    mutates=True,
    clauses=[rfc(5782, "2.1", "5")],
    setting="mail_dnsbl_sites, postfix_postscreen_dnsbl_threshold",
    remedy=APPLY,
)
def test_block_list(
    smtp: Smtp, host: Any, site: Site, sink: Peer, mailbox: Mailbox, sender: str, alice: Account
) -> None:
    screening(host)

    def write(route: Route, family: str) -> tuple[Message, Reply]:
        sent = message.new(sender, alice.address)
        with smtp(family, route=route) as talk:
            talk.say_ehlo()
            return sent, talk.message(sender, [alice.address], sent.content)

    routes = {family: listed_strangers(site, sink, family) for family in site.families}
    with ThreadPoolExecutor(4) as pool:  # each of them waits some seconds for its greeting
        listed = [pool.submit(write, routes[family][0], family) for family in routes]
        disputed = [pool.submit(write, routes[family][1], family) for family in routes]
    for one in disputed:
        sent, reply = one.result()
        answered(reply, 250)
        mailbox.arrived(sent)
    for one in listed:
        sent, reply = one.result()
        answered(reply, 550, enhanced="5.7.1")
        assert not mailbox.holds(sent), _("The message arrived.")


@check(
    "B-65",
    N_("Who logs in is not asked for at a block list: a person's own address at home is on many"),
    vantage="stranger",
    needs=["peer", "tls"],
    clauses=[rfc(6409, "3.1")],
    setting="mail_dnsbl_sites",
    remedy=APPLY,
)
def test_block_lists_are_not_for_people(
    submission: Callable[..., Session], site: Site, sink: Peer, alice: Account, bob: Account, family: str
) -> None:
    listed, _disputed = listed_strangers(site, sink, family)
    with submission(alice, family, route=listed) as talk:
        answered(talk.mail_from(alice.address), 250)
        answered(talk.rcpt_to(bob.address), 250)
        answered(talk.command("RSET"), 250)


def listed_strangers(site: Site, sink: Peer, family: str) -> tuple[Route, Route]:
    """The routes of the stranger that the lab's block list has, and of that for which it answers an error."""
    block_list = site.peer.block_list if site.peer else {}
    asked = [str(one).partition("*")[0].partition("=")[0] for one in site.mail.get("mail_dnsbl_sites") or []]
    if not block_list or block_list["zone"] not in asked:
        pytest.skip(_("no block list: the lab's is not in mail_dnsbl_sites"))
    return sink.stranger(block_list["listed"][family]), sink.stranger(block_list["disputed"][family])


@check(
    "B-68",
    N_("A sender to whom no answer can be sent is refused: no such domain, no mail there, a server that cannot be"),
    needs=["peer", "tls"],
    mutates=True,
    clauses=[rfc(7505, "4.2"), rfc(5321, "5.1")],
    setting="postfix_main_cf_extra: smtpd_recipient_restrictions",
    remedy=APPLY,
)
def test_sender_domains(smtp: Smtp, site: Site, alice: Account, family: str) -> None:
    assert site.peer is not None
    domain = site.peer.domains.get("odd")
    if not domain:
        pytest.skip(_("no odd domains: the peer is an older one"))
    wrong = []
    with smtp(family) as talk:
        talk.say_ehlo()
        for name, owed in SENDER_DOMAINS.items():
            answered(talk.mail_from(f"someone@{name}.{domain}"), 250)
            reply = talk.rcpt_to(alice.address)
            fine = reply.code == 250 if owed is None else 500 <= reply.code <= 599 and reply.enhanced == owed
            if not fine:
                wrong.append(f"{name}.{domain}: {reply}")
            answered(talk.command("RSET"), 250)
        talk.command("QUIT")
    assert not wrong, "\n".join(wrong)
