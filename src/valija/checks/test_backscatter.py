"""No mail to the innocent: what cannot be delivered is refused at once, never reported to a forged sender."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from valija.checks.expect import answered
from valija.checks.host_state import queued
from valija.checks.mailbox import ARRIVAL_SECONDS, Mailbox
from valija.checks.marks import LOOK, check, rfc
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import message, wait
from valija.probes.peer import Peer
from valija.probes.smtp import Reply, Session

Smtp = Callable[..., Session]

# Recipients that nobody has, in the domains and the forms that this host takes for its own.
NOBODYS = (
    "nobody-x@{domain}",
    "nobody-x+shop@{domain}",
    '"nobody x"@{domain}',
    "nobody-x@{hostname}",
    "nobody-x@localhost.{domain}",
    "nobody-x@[{address}]",
    "www-data@{domain}",
    "nobody@{domain}",
    "daemon@{hostname}",
    "nobody-x",
)


@check(
    "B-61",
    N_("Mail to nobody is refused at once, in whatever company and form; the forged sender hears nothing"),
    needs=["peer"],
    mutates=True,
    clauses=[rfc(5321, "3.6.3", "6.2"), "BACKSCATTER_README"],
    setting="postfix_main_cf_extra: local_recipient_maps, mydestination",
    remedy=LOOK,
)
def test_no_backscatter(
    smtp: Smtp, sink: Peer, host: Any, site: Site, mailbox: Mailbox, alice: Account, family: str
) -> None:
    assert site.peer is not None
    victim = f"innocent-{uuid.uuid4().hex[:6]}@{site.peer.domains['remote']}"
    since = sink.last_seq()
    literal = f"IPv6:{site.addresses[family]}" if family == "ipv6" else site.addresses[family]
    values = {"domain": site.domain, "hostname": site.hostname, "address": literal}
    names = [pattern.format_map(values) for pattern in NOBODYS]
    half = len(names) // 2

    def send(recipients: list[str], parameters: str = "") -> list[Reply]:
        """One session of a liar; the content goes to whoever was accepted."""
        with smtp(family) as talk:
            talk.say_ehlo()
            first = talk.mail_from(victim, parameters)
            replies = [first, *(talk.rcpt_to(name) for name in recipients)]
            if any(reply.accepted for reply in replies[1:]):
                answered(talk.command("DATA"), 354)
                replies.append(talk.data_content(message.new(victim, recipients[0]).content))
            talk.command("QUIT")
            return replies

    for some in (names[:half], names[half:]):
        for reply in send(some)[1:]:
            answered(reply, 550)
    # One who exists among them does not let the others in, and gets the message.
    mixed = send([names[0], alice.address, names[1]])
    assert [reply.code for reply in mixed[1:]] == [550, 250, 550, 250], [str(reply) for reply in mixed]
    answered(send([alice.address], f"SIZE={site.size_limit + 1}")[0], 552)
    last = message.new(victim, alice.address)
    with smtp(family) as talk:
        talk.say_ehlo()
        answered(talk.message(victim, [alice.address], last.content), 250)
    mailbox.arrived(last)
    wait.until(lambda: not queued(host, [victim]), ARRIVAL_SECONDS, _("the queue to hold no report"))
    heard = [one for one in sink.messages(since) if victim in one.rcpt_to]
    assert not heard, _("A report went to the forged sender: {text!r}").format(text=heard[0].data[:300])


@check(
    "B-61",
    N_("A message that grows beyond the limit is refused when it ends, and the forged sender hears nothing"),
    needs=["peer"],
    tier="slow",
    clauses=[rfc(1870, "6.3"), rfc(5321, "6.2")],
    setting="mail_message_size_mib",
    remedy=LOOK,
)
def test_no_backscatter_for_what_is_too_large(smtp: Smtp, sink: Peer, host: Any, site: Site, alice: Account) -> None:
    assert site.peer is not None
    victim = f"innocent-{uuid.uuid4().hex[:6]}@{site.peer.domains['remote']}"
    since = sink.last_seq()
    body = b"x" * 998 + b"\r\n"
    with smtp() as talk:
        talk.say_ehlo()
        large = message.new(victim, alice.address, body=body * (site.size_limit // len(body) + 2))
        answered(talk.message(victim, [alice.address], large.content), 552, enhanced="5.3.4")
    wait.until(lambda: not queued(host, [victim]), ARRIVAL_SECONDS, _("the queue to hold no report"))
    assert not [one for one in sink.messages(since) if victim in one.rcpt_to]
