"""Mail out: from the host through the MX look-up to a server elsewhere, which the lab's peer plays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from valija.checks.expect import answered
from valija.checks.mailbox import assert_same
from valija.checks.marks import check, rfc
from valija.checks.postfix_tables import look_up, split_tables
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import dns, message, wait
from valija.probes.message import Message
from valija.probes.peer import Peer, Received
from valija.probes.smtp import Session

# A first MX that does not answer costs the sender's connect time-out, 30 s by default (smtp_connect_timeout).
FALLBACK_SECONDS = 60.0

QUEUE = N_("Look at `mailq` on the host: it says why a message waits. The host must resolve MX and reach port 25.")


def sent_out(
    smtp: Callable[..., Session], sink: Peer, sender: str, recipient: str, within: float
) -> tuple[Message, Received]:
    """Send a message from the host's loopback and wait for it in the sink."""
    body = b"Mail for elsewhere.\r\n.\r\n..two dots\r\n"
    sent = message.new(sender, recipient, body=body)
    before = sink.last_seq()
    with smtp(vantage="loopback") as talk:
        talk.say_ehlo()
        answered(talk.message(sender, [recipient], sent.content), 250)
        talk.command("QUIT")
        found = wait.until(
            lambda: sink.holding(sent.test_id, before),
            within,
            _("the message for {name} in the sink").format(name=recipient),
        )
        talk.recorder.remark(
            _("received by {address} from {client}").format(address=found[0].address, client=found[0].client)
        )
    assert len(found) == 1, _("The sink has {count} copies.").format(count=len(found))
    return sent, found[0]


def addresses_of(site: Site, name: str) -> list[str]:
    assert site.peer is not None
    server = site.peer.addresses["ipv4"]
    return dns.look_up(name, "A", server=server) + dns.look_up(name, "AAAA", server=server)


def exchangers(site: Site, domain: str) -> list[str]:
    """The names of a domain's MX hosts, the preferred first."""
    assert site.peer is not None
    records = [record.split() for record in dns.look_up(domain, "MX", server=site.peer.addresses["ipv4"])]
    return [name for _preference, name in sorted((int(preference), name) for preference, name in records)]


@check(
    "T-8",
    N_("Mail for elsewhere goes to the MX with the lowest preference, or to the smarthost, as it was written"),
    step=3,
    tier="quick",
    mutates=True,
    vantage="loopback",
    needs=["peer"],
    clauses=[rfc(5321, "5.1"), rfc(5321, "4.5.2")],
    setting="mail_relayhost",
    remedy=QUEUE,
)
def test_outbound_takes_the_preferred_mx(smtp: Callable[..., Session], site: Site, sink: Peer, alice: Account) -> None:
    assert site.peer is not None
    domain = site.peer.domains["remote"]
    sent, got = sent_out(smtp, sink, alice.address, f"friend@{domain}", 20)
    assert_same(sent, got.data, _("the sink"))
    assert (got.mail_from, got.rcpt_to) == (alice.address, (f"friend@{domain}",)), got
    relayhost = str(site.mail.get("mail_relayhost") or "")
    first = relay_name(relayhost) if relayhost else exchangers(site, domain)[0]
    assert got.address in addresses_of(site, first), _("{address} received it, which is not {name}.").format(
        address=got.address, name=first
    )
    assert got.helo == site.hostname, _("The host called itself {name}.").format(name=got.helo)
    if relayhost:
        assert got.login == (site.mail.get("mail_relayhost_username") or None), got.login
        assert got.tls or site.mail.get("mail_relayhost_tls") == "may", _("The smarthost was talked to without TLS.")


def relay_name(relayhost: str) -> str:
    """The host's name in a relayhost as Postfix writes it: `[smtp.example.net]:587`, `smtp.example.net`."""
    return relayhost.removeprefix("[").partition("]")[0].partition(":")[0]


@check(
    "T-8",
    N_("Mail for elsewhere goes to the second MX when the first is dead"),
    step=3,
    mutates=True,
    vantage="loopback",
    needs=["peer", "direct"],
    clauses=[rfc(5321, "5.1", "4.5.4.1")],
    setting="postfix_main_cf_extra: smtp_connect_timeout",
    remedy=QUEUE,
)
def test_outbound_falls_back_to_the_second_mx(
    smtp: Callable[..., Session], site: Site, sink: Peer, alice: Account
) -> None:
    assert site.peer is not None
    domain = site.peer.domains["fallback"]
    sent, got = sent_out(smtp, sink, alice.address, f"friend@{domain}", FALLBACK_SECONDS)
    assert_same(sent, got.data, _("the sink"))
    second = exchangers(site, domain)[1]
    assert got.address in addresses_of(site, second), _("{address} received it, which is not {name}.").format(
        address=got.address, name=second
    )


@check(
    "A-39",
    N_("postmaster, abuse, hostmaster and root reach a mailbox that a person reads"),
    tier="quick",
    clauses=[rfc(5321, "4.5.1"), rfc(2142)],
    setting="mail_postmaster",
    remedy=N_("Set mail_postmaster to an account of the site or to an address elsewhere, and run `valija apply`."),
)
@pytest.mark.parametrize("name", ["postmaster", "abuse", "hostmaster", "root"])
def test_role_addresses_reach_a_person(
    smtp: Callable[..., Session], site: Site, host: Any, sender: str, name: str
) -> None:
    for domain in site.domains:
        for reverse_path in (sender, ""):
            with smtp() as talk:
                talk.say_ehlo()
                answered(talk.mail_from(reverse_path), 250)
                answered(talk.rcpt_to(f"{name}@{domain}"), 250)
    tables = split_tables(host.run("postconf -h alias_maps").stdout)
    ends = look_up(host, tables, name)
    assert ends and ends != [name], _("{name} is no alias: its mail goes to the account {name}.").format(name=name)
    for end in ends:
        if "@" in end:
            continue
        assert end != "root", _("{name} ends at root, whose mail nobody reads.").format(name=name)
        assert host.run("getent passwd %s", end).rc == 0, _("{name} leads to {end}, which is no account.").format(
            name=name, end=end
        )
        assert host.run(f"test -d ~{end}/Maildir/new").rc == 0, _("{end} has no Maildir.").format(end=end)
