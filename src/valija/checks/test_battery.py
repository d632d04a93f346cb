"""The rest of what a server on the Internet meets: odd senders, long names, many recipients, many transactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from valija.checks.expect import answered
from valija.checks.mailbox import ARRIVAL_SECONDS, Mailbox
from valija.checks.marks import check, rfc
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import message, wait
from valija.probes.smtp import Session

Smtp = Callable[..., Session]


@check("A-18", N_("IPv4 and IPv6 are answered alike"), clauses=[rfc(5321, "4.1.1")], setting="mail_inet_protocols")
def test_both_protocols_are_answered_alike(smtp: Smtp, site: Site, sender: str, elsewhere: str, alice: Account) -> None:
    if len(site.families) < 2:
        pytest.skip(_("one IP protocol: this site listens on {family} alone").format(family=site.families[0]))
    lines = ["HELO", "EHLO client.probe.invalid", "NOOP", f"MAIL FROM:<{sender}>", f"RCPT TO:<{alice.address}>"]
    lines += [f"RCPT TO:<nobody-x@{site.domain}>", f"RCPT TO:<{elsewhere}>", "RSET", "DATA", "VRFY x", "FOO", "QUIT"]
    heard = []
    for family in site.families:
        with smtp(family) as talk:
            # The last line of the greeting alone: what postscreen says before depends on whom it knows already.
            heard.append([talk.greeting.lines[-1], *(str(talk.command(line)) for line in lines)])
    differ = [pair for pair in zip(*heard, strict=True) if pair[0] != pair[1]]
    assert not differ, differ


@check(
    "A-37",
    N_("Unusual but valid senders are accepted, and Return-Path says them as they were"),
    mutates=True,
    clauses=[rfc(5321, "4.1.2", "4.4")],
)
def test_unusual_senders(smtp: Smtp, mailbox: Mailbox, sender_domain: str, alice: Account) -> None:
    senders = ['"quoted string"@{}', "a!b@{}", "a+b/c=d@{}", "o'neil@{}", '"@"@{}', ""]
    sent = {}
    with smtp() as talk:
        talk.say_ehlo()
        for pattern in senders:
            reverse_path = pattern.format(sender_domain)
            one = message.new("sender@probe.invalid", alice.address)
            answered(talk.message(reverse_path, [alice.address], one.content), 250)
            sent[reverse_path] = one
    for reverse_path, one in sent.items():
        first = mailbox.arrived(one).split(b"\r\n", 1)[0].decode()
        assert first == f"Return-Path: <{reverse_path}>", (first, reverse_path)


@check("A-41", N_("After HELO, parameters get one answer, twice the same"), clauses=[rfc(5321, "4.1.1.11")])
def test_parameters_under_helo(smtp: Smtp, sender: str) -> None:
    codes = set()
    for _time in range(2):
        with smtp() as talk:
            talk.command("HELO client.probe.invalid")
            codes.add(answered(talk.mail_from(sender, "SIZE=10"), 250, 501, 555).code)
    assert len(codes) == 1, codes


@check("A-42", N_("A hundred transactions in one session are all answered"), clauses=[rfc(5321, "3.3")])
def test_many_transactions(smtp: Smtp, sender: str, alice: Account) -> None:
    with smtp() as talk:
        talk.say_ehlo()
        for _time in range(100):
            answered(talk.mail_from(sender), 250)
            answered(talk.rcpt_to(alice.address), 250)
            answered(talk.command("RSET"), 250)
        answered(talk.command("QUIT"), 221)


@check(
    "A-52",
    N_("Messages without headers, without a body, or with a line `From ` are delivered unharmed"),
    mutates=True,
    clauses=[rfc(5322, "2.1")],
)
@pytest.mark.parametrize("shape", ["headers-only", "no-blank-line", "from-line"])
def test_odd_shapes(smtp: Smtp, imap: Callable[..., Any], sender: str, alice: Account, shape: str) -> None:
    plain = message.new(sender, alice.address)
    mark = f"X-Test-Id: {plain.test_id}\r\n".encode()
    content = {
        "headers-only": mark + b"Subject: headers only\r\n",
        "no-blank-line": mark + b"Subject: x\r\nthis is no header and follows at once\r\n",
        "from-line": mark + b"Subject: x\r\n\r\nFrom here on it is a body.\r\n>From quoted\r\n",
    }[shape]
    with smtp() as talk:
        talk.say_ehlo()
        answered(talk.message(sender, [alice.address], content), 250)
    with imap() as box:
        got = wait.until(lambda: box.holding(plain.test_id), ARRIVAL_SECONDS, _("the message"))[0]
    kept = message.sent_part(got, plain.test_id)
    body = content.partition(b"\r\n\r\n")[2] or content.splitlines()[-1]
    assert kept.startswith(mark) and body.strip() in kept, kept


@check(
    "A-55",
    N_("Names up to the limits are read; longer ones are refused and never cut into another's name"),
    clauses=[rfc(5321, "4.5.3.1.1", "4.5.3.1.2", "4.5.3.1.3")],
)
def test_long_names(smtp: Smtp, site: Site, sender: str, alice: Account) -> None:
    read = ("a" * 64, alice.name + "x" * (64 - len(alice.name)))
    for local in (*read, "a" * 65, "a" * 256, alice.name + "x" * 300):
        with smtp() as talk:
            talk.say_ehlo()
            answered(talk.mail_from(sender), 250)
            reply = talk.rcpt_to(f"{local}@{site.domain}")
            if local in read:  # looked up as a name: it is nobody's
                answered(reply, 550, enhanced="5.1.1")
            else:
                answered(reply, 500, 501, 550, 553)
            answered(talk.rcpt_to(alice.address), 250)


@check("A-56", N_("A hundred recipients of one message are accepted"), clauses=[rfc(5321, "4.5.3.1.8")])
def test_hundred_recipients(smtp: Smtp, sender: str, alice: Account) -> None:
    with smtp() as talk:
        talk.say_ehlo()
        answered(talk.mail_from(sender), 250)
        for _number in range(100):
            answered(talk.rcpt_to(alice.address), 250)
        answered(talk.command("RSET"), 250)
