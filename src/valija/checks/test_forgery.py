"""Under whose name mail may be sent: a person's own, and nobody's of ours from outside."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import pytest

from valija.checks import forgeries
from valija.checks.expect import answered, refused
from valija.checks.forgeries import Forgery
from valija.checks.host_state import queued
from valija.checks.mailbox import ARRIVAL_SECONDS, Mailbox
from valija.checks.marks import APPLY, check, rfc
from valija.checks.site import Account, Site
from valija.checks.ways import enter, ways
from valija.messages import N_, _
from valija.probes import message, wait
from valija.probes.message import Message
from valija.probes.smtp import Reply, Session

Smtp = Callable[..., Session]
Submission = Callable[..., Session]

# Transactions of one session: Postfix takes its time from the tenth refusal on (smtpd_soft_error_limit).
AT_ONCE = 8
WEBMAIL_PORT = 10587


@pytest.fixture
def names(site: Site, alice: Account, bob: Account, remote_domain: str) -> dict[str, str]:
    """What the forgeries are filled with."""
    plain = {"name": alice.name, "other": bob.name, "domain": site.domain}
    capitals = {key.upper(): value.upper() for key, value in plain.items()}
    return {**plain, **capitals, "remote": remote_domain, "hostname": site.hostname}


def send_as(talk: Session, reverse_path: str, recipient: str, sent: Message) -> list[Reply]:
    """One transaction, its content sent only when the recipient was accepted; the replies from MAIL on."""
    replies = [talk.mail_from(reverse_path), talk.rcpt_to(recipient)]
    if all(reply.accepted for reply in replies):
        answered(talk.command("DATA"), 354)
        replies.append(talk.data_content(sent.content))
    else:
        talk.command("RSET")
    return replies


@check(
    "B-30",
    N_("Who is logged in sends under the names of the own mailbox alone, on every port; nothing else arrives"),
    needs=["tls"],
    mutates=True,
    clauses=[rfc(6409, "6.1")],
    setting="postfix_main_cf_extra: smtpd_sender_login_maps",
    remedy=APPLY,
)
def test_the_sender_is_the_login(
    submission: Submission,
    smtp: Smtp,
    imap: Callable[..., Any],
    host: Any,
    site: Site,
    alice: Account,
    bob: Account,
    names: dict[str, str],
) -> None:
    """On 587 and 465 from outside over each protocol, and at the webmail's port on loopback."""
    places = [*product((587, 465), site.families)]
    if site.listens_on("webmail-submission"):
        places.append((WEBMAIL_PORT, "loopback"))
    cases = forgeries.AFTER_LOGIN
    parts = [(*place, cases[at : at + AT_ONCE]) for place in places for at in range(0, len(cases), AT_ONCE)]
    sent = {(*place, case): message.new(alice.address, bob.address) for place in places for case in cases}

    def attempt(part: tuple[int, str, tuple[Forgery, ...]]) -> list[str]:
        port, family, asked = part
        if family == "loopback":
            talk = smtp(vantage="loopback", port=port)
            talk.say_ehlo()
            answered(talk.log_in(alice.name, alice.password), 235)
        else:
            talk = submission(alice, family, port=port)
        wrong = []
        with talk:
            for case in asked:
                reverse_path = case.reverse_path.format_map(names)
                replies = send_as(talk, reverse_path, bob.address, sent[port, family, case])
                accepted = replies[-1].code == 250
                refused_well = 500 <= replies[-1].code <= 599
                if accepted != case.own or not (accepted or refused_well):
                    wrong.append(f"{port} {family} <{reverse_path}>: {replies[-1]}")
            talk.command("QUIT")
        return wrong

    with ThreadPoolExecutor(AT_ONCE) as pool:
        wrong = [each for some in pool.map(attempt, parts) for each in some]
    wait.until(lambda: not queued(host, [bob.address]), ARRIVAL_SECONDS, _("the queue to be empty"))
    with imap(bob) as box:
        there = b"".join(box.found(f'HEADER From "{alice.address}"'))
    for (port, family, case), one in sent.items():
        if (f"X-Test-Id: {one.test_id}".encode() in there) != case.own:
            where = f"{port} {family} <{case.reverse_path.format_map(names)}>"
            wrong.append((_("{where}: did not arrive") if case.own else _("{where}: arrived")).format(where=where))
    assert not wrong, "\n".join(wrong)


@check(
    "B-30",
    N_("A sender that is not the login's is refused by name, 553 5.7.1"),
    needs=["tls"],
    tier="quick",
    clauses=[rfc(6409, "6.1")],
    setting="postfix_main_cf_extra: smtpd_sender_login_maps",
    remedy=APPLY,
)
def test_another_s_name_is_refused(submission: Submission, alice: Account, bob: Account, family: str) -> None:
    with submission(alice, family) as talk:
        talk.mail_from(bob.address)
        answered(talk.rcpt_to(alice.address), 553, enhanced="5.7.1")


@check(
    "B-32",
    N_("A stranger on port 25 does not write under a name of ours; nothing of it arrives"),
    needs=["tls"],
    mutates=True,
    clauses=[rfc(7489, "6"), rfc(5321, "7.1")],
    setting="postfix_main_cf_extra: smtpd_sender_restrictions",
    remedy=N_(
        "Run `valija apply --tags postfix`. A mailing list or a forwarder that keeps a sender of ours is refused by "
        "this rule: let it rewrite the sender (SRS), or allow its address in postfix_main_cf_extra."
    ),
)
def test_a_stranger_has_no_name_of_ours(
    smtp: Smtp,
    request: pytest.FixtureRequest,
    imap: Callable[..., Any],
    host: Any,
    site: Site,
    sender: str,
    alice: Account,
    names: dict[str, str],
    tls_context: Any,
    family: str,
) -> None:
    asked = [
        *(pattern.format_map(names) for pattern in forgeries.OF_A_STRANGER),
        *(f"ceo@{domain}" for domain in site.domains[1:]),
    ]
    route = request.getfixturevalue("stranger")(family) if site.peer else None
    if route:
        request.getfixturevalue("acquainted")
    parts = [
        (way, asked[at : at + AT_ONCE]) for way in ways(site) if way.port == 25 for at in range(0, len(asked), AT_ONCE)
    ]
    sent = {(way, one): message.new(sender, alice.address) for way, some in parts for one in some}
    wrong = []
    for way, some in parts:
        with enter(smtp, way, family, route, tls_context) as talk:
            for one in some:
                replies = send_as(talk, one, alice.address, sent[way, one])
                if not 500 <= replies[-1].code <= 599:
                    wrong.append(f"{way} <{one}>: {replies[-1]}")
            talk.command("QUIT")
    wait.until(lambda: not queued(host, [alice.address]), ARRIVAL_SECONDS, _("the queue to be empty"))
    with imap() as box:
        there = b"".join(box.found(f'HEADER From "{sender}"'))
    wrong += [
        _("{where}: arrived").format(where=f"{way} <{one}>")
        for (way, one), each in sent.items()
        if f"X-Test-Id: {each.test_id}".encode() in there
    ]
    assert not wrong, "\n".join(wrong)


@check(
    "B-32",
    N_("The host's own programs may write under its names, by loopback"),
    needs=["tls"],
    vantage="loopback",
    mutates=True,
    clauses=[rfc(5321, "7.1")],
    remedy=APPLY,
)
def test_the_host_has_its_own_names(smtp: Smtp, mailbox: Mailbox, site: Site, alice: Account) -> None:
    own = f"root@{site.hostname}"
    sent = message.new(own, alice.address)
    with smtp(vantage="loopback") as talk:
        talk.say_ehlo()
        answered(talk.message(own, [alice.address], sent.content), 250)
    mailbox.arrived(sent)


@check(
    "B-33",
    N_("Mail without a sender, which reports failures, has one recipient; to many it is refused, to one it arrives"),
    needs=["tls"],
    mutates=True,
    clauses=[rfc(5321, "4.5.5"), rfc(2505, "2.6")],
    setting="postfix_main_cf_extra: smtpd_data_restrictions",
    remedy=APPLY,
)
def test_null_sender_has_one_recipient(
    smtp: Smtp, mailbox: Mailbox, sender: str, alice: Account, bob: Account, family: str
) -> None:
    many = message.new(sender, alice.address)
    with smtp(family) as talk:
        talk.say_ehlo()
        answered(talk.mail_from(""), 250)
        for number in range(50):
            answered(talk.rcpt_to((alice, bob)[number % 2].address), 250)
        refused(talk.command("DATA"))
    one = message.new(sender, alice.address)
    with smtp(family) as talk:
        talk.say_ehlo()
        answered(talk.message("", [alice.address], one.content), 250)
    mailbox.arrived(one)
    assert not mailbox.holds(many), _("The message to many arrived.")
