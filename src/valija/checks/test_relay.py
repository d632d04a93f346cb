"""No open relay: a stranger gets nothing through this host to elsewhere, whatever form the address has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from valija.checks.expect import answered, refused
from valija.checks.host_state import queued
from valija.checks.mailbox import ARRIVAL_SECONDS, Mailbox
from valija.checks.marks import check, rfc
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import dns, message, wait
from valija.probes.peer import Peer
from valija.probes.routes import Loopback, Route, ssh_command
from valija.probes.smtp import Session

Smtp = Callable[..., Session]

CLOSED = N_("mynetworks must hold loopback alone and smtpd_relay_restrictions must end in reject_unauth_destination.")
RELAY = "postfix_main_cf_extra: mynetworks, smtpd_relay_restrictions"

# Recipients elsewhere in the forms that have opened relays before; v@remote is what they would reach.
FORMS = {
    "B-03": (
        N_("The percent hack relays nothing"),
        rfc(1123, "5.2.16"),
        ["v%{remote}@{domain}", "v%{remote}@[{address}]", "v%{remote}@{hostname}", "v%{remote}"],
    ),
    "B-06": (
        N_("A quoted local part with an address in it relays nothing"),
        rfc(5321, "4.1.2"),
        ['"v@{remote}"@{domain}', '"v@{remote}"@[{address}]', '"v%{remote}"@{domain}'],
    ),
    "B-07": (
        N_("A source route relays nothing"),
        rfc(5321, "C", "F.2"),
        ["@{domain}:v@{remote}", "@[{address}]:v@{remote}", "@{hostname},@x.invalid:v@{remote}"],
    ),
    "B-08": (
        N_("A bang path relays nothing"),
        rfc(1123, "5.2.16"),
        ["{remote}!v", "{remote}!v@{domain}", "{remote}!v@[{address}]", "{domain}!{remote}!v"],
    ),
    "B-11": (
        N_("Trailing dots, case and look-alike domains relay nothing"),
        rfc(5321, "2.4"),
        ["v@{remote}.", "v@{upper}", "v@sub.{domain}", "v@not{domain}", "v@{domain}.{remote}"],
    ),
    "B-14": (
        N_("The name postmaster relays nothing"),
        rfc(5321, "4.5.1"),
        ["postmaster@{remote}", "v@[{remote_address}]"],
    ),
    "B-19": (
        N_("A recipient is never a program or a file"),
        rfc(5321, "7.8"),
        ['"|id"@{domain}', '":include:/etc/passwd"@{domain}', '"/etc/passwd"@{domain}'],
    ),
}


def forms() -> list[Any]:
    """One parameter for each row of the table, with its own marker."""
    return [
        pytest.param(
            patterns,
            marks=check(id, title, clauses=[clause], setting=RELAY, remedy=CLOSED, mutates=True),
            id=id,
        )
        for id, (title, clause, patterns) in FORMS.items()
    ]


@pytest.fixture
def nothing_left(site: Site, host: Any, sender: str, elsewhere: str) -> Callable[[message.Message], None]:
    """Assert that a message went nowhere: once it is out of the queue, it is not in the sink."""

    def assert_nothing(sent: message.Message) -> None:
        wait.until(
            lambda: not queued(host, [sender, elsewhere]), ARRIVAL_SECONDS, _("the queue to be without the message")
        )
        if site.peer:
            leaked = Peer(site.peer.api).holding(sent.test_id)
            assert not leaked, _("The message was relayed: {address} received it from {client}.").format(
                address=leaked[0].address, client=leaked[0].client
            )

    return assert_nothing


def try_to_relay(talk: Session, reverse_path: str, sent: message.Message, recipients: list[str]) -> list[str]:
    """Ask for each recipient and send the message if any is accepted; what was accepted."""
    accepted = []
    if talk.say_ehlo().accepted and talk.mail_from(reverse_path).accepted:
        accepted = [address for address in recipients if talk.rcpt_to(address).accepted]
        if accepted and talk.command("DATA").code == 354:
            talk.data_content(sent.content)
    talk.command("QUIT")
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
def test_no_relay_from_outside(
    smtp: Smtp, sender: str, elsewhere: str, nothing_left: Callable[[message.Message], None], family: str
) -> None:
    sent = message.new(sender, elsewhere)
    with smtp(family) as talk:
        accepted = try_to_relay(talk, sender, sent, [elsewhere])
        nothing_left(sent)
        assert not accepted, _("The host takes mail for {address} from a stranger.").format(address=elsewhere)
        answered(next(reply for reply in talk.replies if reply.sent.startswith("RCPT")), 554, enhanced="5.7.1")


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
    nothing_left: Callable[[message.Message], None],
    family: str,
) -> None:
    sent = message.new(sender, elsewhere)
    with smtp(family, route=stranger(family)) as talk:
        accepted = try_to_relay(talk, sender, sent, [elsewhere])
        nothing_left(sent)
        assert not accepted, _("The host takes mail for {address} from a stranger.").format(address=elsewhere)
    local = message.new(sender, alice.address)
    with smtp(family, route=stranger(family)) as talk:
        talk.say_ehlo()
        answered(talk.message(sender, [alice.address], local.content), 250)
    mailbox.is_as_sent(local)


@pytest.mark.parametrize("patterns", forms())
def test_forms_that_relay_nothing(
    smtp: Smtp,
    site: Site,
    sender: str,
    remote_domain: str,
    alice: Account,
    main_family: str,
    nothing_left: Callable[[message.Message], None],
    patterns: list[str],
) -> None:
    peer = site.peer
    recipients = [
        pattern.format(
            remote=remote_domain,
            upper=remote_domain.upper(),
            domain=site.domain,
            hostname=site.hostname,
            address=site.addresses[main_family],
            remote_address=peer.addresses["ipv4"] if peer else "192.0.2.1",
            name=alice.name,
        )
        for pattern in patterns
    ]
    sent = message.new(sender, recipients[0])
    with smtp() as talk:
        accepted = try_to_relay(talk, sender, sent, recipients)
        nothing_left(sent)
    assert not accepted, _("These recipients were accepted: {addresses}").format(addresses=", ".join(accepted))


@check(
    "B-12",
    N_("A sender of ours, or none, relays nothing either"),
    mutates=True,
    clauses=[rfc(2505, "2.1"), rfc(5321, "7.1")],
    setting=RELAY,
    remedy=CLOSED,
)
@pytest.mark.parametrize("pattern", ["", "{alice}", "x@{hostname}", "x@[{address}]", "postmaster@{domain}"])
def test_forged_senders_relay_nothing(
    smtp: Smtp,
    site: Site,
    alice: Account,
    elsewhere: str,
    main_family: str,
    nothing_left: Callable[[message.Message], None],
    pattern: str,
) -> None:
    forged = pattern.format(
        alice=alice.address, hostname=site.hostname, address=site.addresses[main_family], domain=site.domain
    )
    sent = message.new(forged or "nobody@probe.invalid", elsewhere)
    with smtp() as talk:
        accepted = try_to_relay(talk, forged, sent, [elsewhere])
        nothing_left(sent)
    assert not accepted, _("Mail from <{sender}> to elsewhere was accepted.").format(sender=forged)


@check(
    "B-16",
    N_("Only the host's loopback may send to elsewhere: its own public address may not"),
    clauses=[rfc(5321, "7.8")],
    vantage="loopback",
    setting="postfix_main_cf_extra: mynetworks",
    remedy=CLOSED,
)
def test_own_public_address_is_a_stranger(smtp: Smtp, site: Site, sender: str, elsewhere: str, family: str) -> None:
    own = Loopback(ssh_command(site.ssh))
    with smtp(family, route=own) as talk:
        talk.say_ehlo()
        answered(talk.mail_from(sender), 250)
        refused(talk.rcpt_to(elsewhere))


@check(
    "B-16",
    N_("The host itself may send to elsewhere, by loopback"),
    clauses=[rfc(5321, "3.6.2")],
    vantage="loopback",
    setting="postfix_main_cf_extra: mynetworks",
    remedy=CLOSED,
)
def test_loopback_may_send(smtp: Smtp, site: Site, sender: str, elsewhere: str) -> None:
    with smtp(vantage="loopback") as talk:
        talk.say_ehlo()
        answered(talk.mail_from(sender), 250)
        answered(talk.rcpt_to(elsewhere), 250)
        answered(talk.command("RSET"), 250)


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
