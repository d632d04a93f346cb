"""The transaction: its order, its recipients, its parameters, and the octets that arrive."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from valija.checks.expect import answered
from valija.checks.mailbox import ARRIVAL_SECONDS, Mailbox, assert_same
from valija.checks.marks import APPLY, LOOK, check, rfc
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import message, wait
from valija.probes.smtp import Session

Smtp = Callable[..., Session]


@check(
    "A-11",
    N_("Verbs are read in either case, and white space at the end of a line is ignored"),
    clauses=[rfc(5321, "2.4", "3.3", "4.1.1")],
)
def test_case_and_spacing(smtp: Smtp, sender: str, alice: Account) -> None:
    with smtp() as talk:
        answered(talk.command("ehLO client.probe.invalid"), 250)
        answered(talk.command(f"mail from:<{sender}>"), 250)
        answered(talk.command(f"RcPt tO:<{alice.address}>   "), 250)
        answered(talk.command("rset"), 250)
        answered(talk.command(f"MAIL FROM:<{sender}>\t"), 250)
        answered(talk.command("RSET"), 250)
        answers = set()
        for _time in range(2):
            answers.add(answered(talk.command(f"MAIL FROM: <{sender}>"), 250, 501).code)
            talk.command("RSET")
        assert len(answers) == 1, _("The same line was answered in two ways: {codes}").format(codes=answers)


@check("A-21", N_("RCPT before MAIL is refused"), clauses=[rfc(5321, "4.1.4")])
def test_rcpt_before_mail(smtp: Smtp, alice: Account) -> None:
    with smtp() as talk:
        talk.say_ehlo()
        answered(talk.rcpt_to(alice.address), 503, enhanced="5.5.1")


@check("A-23", N_("DATA is refused when every recipient was"), clauses=[rfc(5321, "3.3")])
def test_data_without_recipients(smtp: Smtp, site: Site, sender: str) -> None:
    with smtp() as talk:
        talk.say_ehlo()
        answered(talk.mail_from(sender), 250)
        answered(talk.rcpt_to(f"nobody-x@{site.domain}"), 550, enhanced="5.1.1")
        answered(talk.command("DATA"), 503, 554, enhanced="5.5.1")


@check(
    "A-24", N_("A second MAIL is refused and leaves the first transaction whole"), mutates=True,
    clauses=[rfc(5321, "3.3")],
)  # fmt: skip
def test_nested_mail(smtp: Smtp, mailbox: Mailbox, sender: str, alice: Account) -> None:
    sent = message.new(sender, alice.address)
    with smtp() as talk:
        talk.say_ehlo()
        answered(talk.mail_from(sender), 250)
        answered(talk.mail_from("other@probe.invalid"), 503, enhanced="5.5.1")
        answered(talk.rcpt_to(alice.address), 250)
        answered(talk.command("DATA"), 354)
        answered(talk.data_content(sent.content), 250)
    trace = message.trace_part(mailbox.arrived(sent), sent.test_id).decode()
    assert trace.startswith(f"Return-Path: <{sender}>"), trace


@check("A-25", N_("RSET forgets the transaction and keeps the greeting"), clauses=[rfc(5321, "4.1.1.5")])
def test_rset(smtp: Smtp, sender: str, alice: Account) -> None:
    with smtp() as talk:
        talk.say_ehlo()
        answered(talk.mail_from(sender), 250)
        answered(talk.rcpt_to(alice.address), 250)
        answered(talk.command("RSET"), 250, enhanced="2.0.0")
        answered(talk.command("DATA"), 503, enhanced="5.5.1")
        answered(talk.mail_from(sender), 250)


@check(
    "A-38",
    N_("The domain is read in either case, and <postmaster> needs none"),
    clauses=[rfc(5321, "2.4", "4.1.1.3", "4.5.1")],
    setting="mail_postmaster",
    remedy=APPLY,
)
@pytest.mark.parametrize("recipient", ["{name}@{upper}", "{name}@{domain}", "postmaster", "Postmaster", "POSTMASTER"])
def test_forms_of_the_recipient(smtp: Smtp, site: Site, sender: str, alice: Account, recipient: str) -> None:
    address = recipient.format(name=alice.name, domain=site.domain, upper=site.domain.upper())
    with smtp() as talk:
        talk.say_ehlo()
        answered(talk.mail_from(sender), 250)
        answered(talk.rcpt_to(address), 250, enhanced="2.1.5")
        answered(talk.command("RSET"), 250)


@check("A-40", N_("An unknown parameter is refused and begins nothing"), clauses=[rfc(5321, "4.1.1.11")])
def test_unknown_parameter(smtp: Smtp, sender: str, alice: Account) -> None:
    with smtp() as talk:
        talk.say_ehlo()
        answered(talk.mail_from(sender, "FOO=1"), 501, 555, enhanced="5.5.4")
        answered(talk.rcpt_to(alice.address), 503, enhanced="5.5.1")
        answered(talk.mail_from(sender), 250)
        answered(talk.rcpt_to(alice.address, "BAR"), 501, 555, enhanced="5.5.4")
        answered(talk.command("DATA"), 503, 554, enhanced="5.5.1")


@check(
    "A-43",
    N_("Among several recipients each is answered for itself, and only the accepted get the message"),
    tier="quick",
    mutates=True,
    clauses=[rfc(5321, "3.3")],
    remedy=LOOK,
)
def test_mixed_recipients(
    smtp: Smtp, mailbox: Mailbox, site: Site, sender: str, elsewhere: str, alice: Account, bob: Account, family: str
) -> None:
    sent = message.new(sender, alice.address)
    with smtp(family) as talk:
        talk.say_ehlo()
        answered(talk.mail_from(sender), 250)
        answered(talk.rcpt_to(alice.address), 250, enhanced="2.1.5")
        answered(talk.rcpt_to(f"nobody-x@{site.domain}"), 550, enhanced="5.1.1")
        answered(talk.rcpt_to(bob.address), 250, enhanced="2.1.5")
        answered(talk.rcpt_to(elsewhere), 554, enhanced="5.7.1")
        answered(talk.command("DATA"), 354)
        answered(talk.data_content(sent.content), 250)
    for account in (alice, bob):
        copies = mailbox.copies(sent, account)
        assert len(copies) == 1, _("{count} copies for {name}").format(count=len(copies), name=account.name)
        assert_same(sent, copies[0], "IMAP")


@check("A-44", N_("A recipient named three times gets one copy"), mutates=True, clauses=[rfc(5321, "3.6")])
def test_duplicate_recipients(smtp: Smtp, mailbox: Mailbox, host: Any, sender: str, alice: Account) -> None:
    sent = message.new(sender, alice.address)
    with smtp() as talk:
        talk.say_ehlo()
        done = answered(talk.message(sender, [alice.address] * 3, sent.content), 250)
    queue_id = done.text.rpartition(" ")[2]
    mailbox.arrived(sent)
    left = f"postqueue -j | grep -c '\"{queue_id}\"'"
    wait.until(lambda: host.run(left).stdout.strip() == "0", ARRIVAL_SECONDS, _("the message to leave the queue"))
    assert len(mailbox.copies(sent)) == 1


@check(
    "A-70",
    N_("Commands that may be sent at once are answered in order, however the network cuts them"),
    mutates=True,
    clauses=[rfc(2920, "3.1", "3.2")],
    setting="postfix_main_cf_extra: smtpd_data_restrictions",
    remedy=APPLY,
)
@pytest.mark.parametrize("whole", [True, False], ids=["in one piece", "octet by octet"])
def test_pipelining(smtp: Smtp, mailbox: Mailbox, sender: str, alice: Account, bob: Account, whole: bool) -> None:
    first, second = (message.new(sender, alice.address) for _time in range(2))
    begin = f"MAIL FROM:<{sender}>\r\nRCPT TO:<{alice.address}>\r\nRCPT TO:<{bob.address}>\r\nDATA\r\n".encode()
    segments = (
        (begin, (250, 250, 250, 354)),
        (message.dot_stuffed(first.content) + begin, (250, 250, 250, 250, 354)),
        (message.dot_stuffed(second.content) + b"QUIT\r\n", (250, 221)),
    )
    with smtp() as talk:
        answered(talk.say_ehlo(), 250)
        assert talk.sock is not None
        talk.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for segment, codes in segments:
            talk.recorder.client_says(segment)
            for at in range(0, len(segment), len(segment) if whole else 1):
                talk.sock.sendall(segment[at : None if whole else at + 1])
            for code in codes:
                answered(talk.read_reply(), code)
    for sent in (first, second):
        for account in (alice, bob):
            mailbox.is_as_sent(sent, account)
            assert len(mailbox.copies(sent, account)) == 1


@check(
    "A-50",
    N_("Dots at the beginning of a line, and lines of the greatest length, arrive as they were sent"),
    mutates=True,
    clauses=[rfc(5321, "4.5.2", "4.5.3.1.6"), rfc(1939, "3")],
    remedy=LOOK,
)
def test_dot_transparency(smtp: Smtp, mailbox: Mailbox, sender: str, alice: Account) -> None:
    body = b".\r\n..\r\n...x\r\n.x\r\n" + b"." * 998 + b"\r\n" + b"a" * 998 + b"\r\n \r\n\t\r\n.\r\n"
    plain = message.new(sender, alice.address, body=body)
    head, rest = plain.content.split(b"\r\n", 1)
    content = head + b"\r\n.Dotted: header\r\n" + rest
    sent = message.Message(plain.test_id, content, message.digest(content))
    with smtp() as talk:
        talk.say_ehlo()
        answered(talk.message(sender, [alice.address], sent.content), 250)
    mailbox.is_as_sent(sent)


@check(
    "A-51", N_("An empty message is accepted and delivered with its trace, or refused"), mutates=True,
    clauses=[rfc(5321, "3.3", "4.4")],
)  # fmt: skip
def test_message_without_headers(smtp: Smtp, imap: Callable[..., Any], alice: Account) -> None:
    with smtp() as talk:
        talk.say_ehlo()
        reply = answered(talk.message("", [alice.address], b""), 250, 550, 554)
    if reply.code == 250:
        queue_id = reply.text.rpartition(" ")[2]
        with imap() as box:
            found = f'HEADER Received "{queue_id}"'
            got = wait.until(lambda: box.found(found), ARRIVAL_SECONDS, _("the empty message"))[0]
        assert got.startswith(b"Return-Path: <>"), got


@check(
    "A-57",
    N_("The size that EHLO advertises is the size that MAIL enforces"),
    clauses=[rfc(1870, "6")],
    setting="mail_message_size_mib",
    remedy=APPLY,
)
def test_declared_size(smtp: Smtp, site: Site, sender: str) -> None:
    sizes = {
        str(site.size_limit): (250, ""),
        str(site.size_limit + 1): (552, "5.3.4"),
        "9" * 20: (552, "5.3.4"),
        "-1": (501, "5.5.4"),
        "abc": (501, "5.5.4"),
    }
    with smtp() as talk:
        talk.say_ehlo()
        for size, (code, enhanced) in sizes.items():
            answered(talk.mail_from(sender, f"SIZE={size}"), code, enhanced=enhanced)
            talk.command("RSET")


@check(
    "A-65",
    N_("Delivered mail has one Return-Path first, and one new Received line that names the client"),
    mutates=True,
    clauses=[rfc(5321, "4.4"), rfc(3848)],
)
def test_trace_headers(smtp: Smtp, mailbox: Mailbox, site: Site, sender: str, alice: Account, family: str) -> None:
    sent = message.new(sender, alice.address)
    with smtp(family) as talk:
        client = talk.recorder.client.rpartition(":")[0].strip("[]")
        talk.say_ehlo("client.probe.invalid")
        answered(talk.message(sender, [alice.address], sent.content), 250)
    trace = message.trace_part(mailbox.arrived(sent), sent.test_id).decode()
    assert trace.startswith(f"Return-Path: <{sender}>\r\n"), trace
    assert trace.count("Return-Path:") == 1 and trace.count("Received:") == 1, trace
    literal = f"IPv6:{client}" if ":" in client else client
    for part in ("from client.probe.invalid", f"[{literal}]", f"by {site.hostname}", "with ESMTP", "id "):
        assert part in trace, _("The Received line lacks {part!r}: {trace}").format(part=part, trace=trace)
