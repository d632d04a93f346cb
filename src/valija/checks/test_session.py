"""The SMTP session, command by command: greeting, transaction, and every verb that the tutorial lists."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from valija.checks.expect import Heard, answered, refused
from valija.checks.mailbox import ARRIVAL_SECONDS, Mailbox, assert_same
from valija.checks.marks import check, rfc
from valija.checks.postfix_replies import Owed, Version, help_verb, unknown_verb
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import dns, message, wait
from valija.probes.smtp import Session

Smtp = Callable[..., Session]

APPLY = N_("Run `valija apply --tags postfix`, then look at `postconf -n` on the host for a setting of your own.")
LOOK = N_("Look at `mailq` and `journalctl SYSLOG_FACILITY=2` on the host: they say where the message is and why.")


@check(
    "A-20",
    N_("The tutorial's session: two messages to several recipients, read by IMAP, by POP3 and in the webmail"),
    tier="quick",
    mutates=True,
    clauses=[rfc(5321, "3.3", "4.1.1"), rfc(3501, "6.4.5"), rfc(1939, "5")],
    setting="postfix_main_cf",
    remedy=LOOK,
)
def test_the_whole_session(
    smtp: Smtp,
    mailbox: Mailbox,
    webmail: Callable[..., Any],
    site: Site,
    sender: str,
    alice: Account,
    bob: Account,
    main_family: str,
) -> None:
    body = b"Dear Alice, dear Bob,\r\n\r\n.a line that begins with a dot\r\n..\r\n.\r\nthe end\r\n"
    first = message.new(sender, alice.address, subject="The first message", body=body)
    second = message.new(sender, alice.address, subject="The second message of the session")
    with smtp() as talk:
        answered(talk.greeting, 220)
        answered(talk.command("HELO client.probe.invalid"), 250)
        answered(talk.say_ehlo("client.probe.invalid"), 250)
        answered(talk.mail_from(sender), 250, enhanced="2.1.0")
        answered(talk.rcpt_to(alice.address), 250, enhanced="2.1.5")
        answered(talk.rcpt_to(bob.address), 250, enhanced="2.1.5")
        answered(talk.command("DATA"), 354)
        done = answered(talk.data_content(first.content), 250, enhanced="2.0.0")
        assert re.search(r"queued as \w+", done.text), _("The reply names no queue id: {reply}").format(reply=done)
        answered(talk.message(sender, [alice.address], second.content), 250, enhanced="2.0.0")
        answered(talk.command("QUIT"), 221, enhanced="2.0.0")
        assert talk.read_reply().closed, _("The connection stays open after QUIT.")
    mailbox.is_as_sent(first)
    mailbox.is_as_sent(second)
    mailbox.is_as_sent(first, bob)
    if site.webmail != "none":
        person = webmail(alice)
        row = next((row for row in person.messages() if row.subject == "The first message"), None)
        assert row is not None, _("The webmail does not list the message.")
        # SquirrelMail writes its download with LF alone.
        downloaded = person.source(row.uid).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        assert_same(first, downloaded, _("the webmail"))


@check(
    "A-01",
    N_("The greeting names the host and tells nobody its version"),
    tier="quick",
    clauses=[rfc(5321, "3.1", "4.3.1")],
    setting="mail_hostname",
    remedy=APPLY,
)
def test_greeting(smtp: Smtp, site: Site, family: str) -> None:
    with smtp(family) as talk:
        greeting = answered(talk.greeting, 220)
    name, _space, rest = greeting.text.partition(" ")
    assert name == site.hostname, _("The greeting's first word is {name!r}, not {hostname!r}.").format(
        name=name, hostname=site.hostname
    )
    leak = re.search(r"\d+\.\d+|debian|ubuntu|linux", rest, re.I)
    assert not leak, _("The greeting tells the version or the system: {text!r}.").format(text=greeting.text)
    if site.peer:
        addresses = dns.look_up(name, "AAAA" if family == "ipv6" else "A", server=site.peer.addresses["ipv4"])
        assert site.addresses[family] in addresses, _("{name} leads to {found}, not to {address}.").format(
            name=name, found=addresses, address=site.addresses[family]
        )


@check(
    "A-04",
    N_("EHLO offers what a server of today offers, and no command that tells or lends rights"),
    tier="quick",
    clauses=[rfc(5321, "4.1.1.1"), rfc(1870, "3")],
    setting="postfix_main_cf: smtpd_discard_ehlo_keywords",
    remedy=APPLY,
)
def test_ehlo_list(smtp: Smtp, site: Site, family: str) -> None:
    with smtp(family) as talk:
        reply = answered(talk.say_ehlo(), 250)
    first, *rest = reply.lines
    assert first.split()[0] == site.hostname, reply
    offered = {line.split()[0].upper() for line in rest}
    missing = {"SIZE", "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"} - offered
    assert not missing, _("EHLO does not offer {names}.").format(names=", ".join(sorted(missing)))
    assert f"SIZE {site.size_limit}" in rest, _("SIZE does not say the limit of {limit} octets: {lines}").format(
        limit=site.size_limit, lines=rest
    )
    surplus = offered & {"VRFY", "EXPN", "ETRN", "XCLIENT", "XFORWARD", "AUTH"}
    assert not surplus, _("EHLO offers {names} to a stranger.").format(names=", ".join(sorted(surplus)))


@check("A-05", N_("HELO is answered by one line, without a list"), clauses=[rfc(5321, "4.1.1.1", "F.3")])
def test_helo(smtp: Smtp, site: Site, family: str) -> None:
    with smtp(family) as talk:
        reply = answered(talk.command("HELO client.probe.invalid"), 250)
    assert len(reply.lines) == 1 and reply.text.split()[0] == site.hostname, reply


@check("A-06", N_("HELO and EHLO without a name are refused, and the session goes on"), clauses=[rfc(5321, "4.1.1.1")])
def test_helo_without_a_name(smtp: Smtp, family: str) -> None:
    with smtp(family) as talk:
        answered(talk.command("HELO"), 501)
        answered(talk.command("EHLO"), 501)
        answered(talk.say_ehlo(), 250)


@check(
    "A-07",
    N_("Odd names after EHLO neither crash the server nor lend rights"),
    clauses=[rfc(5321, "4.1.3", "4.1.4")],
    setting="postfix_main_cf: smtpd_helo_restrictions",
)
@pytest.mark.parametrize(
    ("name", "must"),
    [
        ("[192.0.2.1]", True),
        ("[IPv6:2001:db8::1]", True),
        ("localhost", False),
        ("a_b.probe.invalid", False),
        ("-x.probe.invalid", False),
        ("a" * 255, False),
    ],
    ids=["ipv4-literal", "ipv6-literal", "localhost", "underscore", "hyphen", "255"],
)
def test_odd_names_after_ehlo(smtp: Smtp, sender: str, elsewhere: str, name: str, must: bool) -> None:
    with smtp() as talk:
        reply = talk.say_ehlo(name)
        answered(reply, *((250,) if must else (250, 501, 504, 550)))
        if reply.accepted:
            answered(talk.mail_from(sender), 250)
            refused(talk.rcpt_to(elsewhere))


@check(
    "A-08",
    N_("Who claims to be this host is still a stranger"),
    clauses=[rfc(5321, "4.1.4", "7.1")],
    setting="mynetworks",
    remedy=N_("mynetworks must hold loopback alone: no rule may trust the name after EHLO."),
)
@pytest.mark.parametrize("claim", ["{hostname}", "127.0.0.1", "[{address}]", "localhost"])
def test_claiming_our_own_name(
    smtp: Smtp, site: Site, sender: str, elsewhere: str, main_family: str, claim: str
) -> None:
    name = claim.format(hostname=site.hostname, address=site.addresses[main_family])
    with smtp() as talk:
        if talk.say_ehlo(name).accepted and talk.mail_from(sender).accepted:
            refused(talk.rcpt_to(elsewhere))


@check("A-09", N_("A second EHLO forgets the transaction"), clauses=[rfc(5321, "4.1.4")])
def test_second_ehlo_resets(smtp: Smtp, sender: str, alice: Account) -> None:
    with smtp() as talk:
        talk.say_ehlo()
        answered(talk.mail_from(sender), 250)
        answered(talk.say_ehlo(), 250)
        answered(talk.rcpt_to(alice.address), 503, enhanced="5.5.1")


@check(
    "A-10",
    N_("MAIL before HELO or EHLO is refused"),
    clauses=[rfc(5321, "4.1.4")],
    setting="postfix_main_cf: smtpd_helo_required",
    remedy=APPLY,
)
def test_mail_before_ehlo(smtp: Smtp, sender: str, family: str) -> None:
    with smtp(family) as talk:
        answered(talk.mail_from(sender), 503, enhanced="5.5.1")


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


@check("A-12", N_("An empty line is an error, and the session goes on"), clauses=[rfc(5321, "4.2.2")])
def test_empty_line(smtp: Smtp) -> None:
    with smtp() as talk:
        talk.say_ehlo()
        answered(talk.command(""), 500, enhanced="5.5.2")
        answered(talk.command("   "), 500, enhanced="5.5.2")
        answered(talk.command("NOOP"), 250)


@check("A-13", N_("An unknown verb is refused, and the session goes on"), clauses=[rfc(5321, "4.2.4")])
def test_unknown_verb(smtp: Smtp, postfix_version: Version) -> None:
    owed = unknown_verb(postfix_version)
    with smtp() as talk:
        talk.say_ehlo()
        answered(talk.command("WHATISTHIS"), owed.code, enhanced=owed.enhanced)
        answered(talk.command("NOOP"), 250)


@check("A-14", N_("LHLO does not turn SMTP into LMTP"), clauses=[rfc(2033, "4.1")])
def test_lhlo(smtp: Smtp, sender: str) -> None:
    with smtp() as talk:
        answered(talk.command("LHLO client.probe.invalid"), 500, 502, 503)
        answered(talk.mail_from(sender), 503)


@check("A-15", N_("QUIT is answered, and the server closes"), clauses=[rfc(5321, "4.1.1.10")])
@pytest.mark.parametrize("line", ["QUIT", "QUIT now"])
def test_quit(smtp: Smtp, line: str) -> None:
    with smtp() as talk:
        reply = answered(talk.command(line), 221, 501)
        if reply.code == 221:
            assert talk.read_reply().closed, _("The connection stays open after QUIT.")


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


@check("A-26", N_("NOOP is always answered; RSET takes no argument"), clauses=[rfc(5321, "4.1.1.5", "4.1.1.9")])
def test_noop_and_rset_with_arguments(smtp: Smtp) -> None:
    with smtp() as talk:
        answered(talk.command("NOOP"), 250)
        talk.say_ehlo()
        answered(talk.command("NOOP anything"), 250, enhanced="2.0.0")
        answered(talk.command("RSET x"), 250, 501)


@check("A-27", N_("HELP tells no version"), clauses=[rfc(5321, "4.1.1.8")])
@pytest.mark.parametrize("line", ["HELP", "HELP MAIL"])
def test_help(smtp: Smtp, postfix_version: Version, line: str) -> None:
    owed = help_verb(postfix_version)
    with smtp() as talk:
        talk.say_ehlo()
        reply = answered(talk.command(line), owed.code, enhanced=owed.enhanced)
    assert not re.search(r"postfix|\b\d+\.\d+\.\d+\b", reply.text.removeprefix(reply.enhanced), re.I), reply


@check(
    "A-28",
    N_("VRFY tells a stranger nothing: one answer for who exists and who does not"),
    tier="quick",
    clauses=[rfc(5321, "3.5.3", "7.3")],
    setting="postfix_main_cf: disable_vrfy_command",
    remedy=APPLY,
)
def test_vrfy_tells_nothing(smtp: Smtp, site: Site, alice: Account) -> None:
    with smtp() as talk:
        talk.say_ehlo()
        replies = [
            talk.command(f"VRFY {name}")
            for name in (alice.name, alice.address, "nobody-x", f"nobody-x@{site.domain}", "root")
        ]
        answered(talk.command("VRFY"), 501, 502)
    for reply in replies:
        answered(reply, 252, 502)
    assert len({(reply.code, reply.enhanced) for reply in replies}) == 1, [str(reply) for reply in replies]
    assert not any(alice.name in reply.text or "root" in reply.text for reply in replies if reply.code == 502)


@check("A-30", N_("EXPN never tells who is behind a name"), clauses=[rfc(5321, "3.5.2", "7.3")])
@pytest.mark.parametrize("name", ["postmaster", "root"])
def test_expn(smtp: Smtp, postfix_version: Version, name: str) -> None:
    owed = unknown_verb(postfix_version)
    with smtp() as talk:
        talk.say_ehlo()
        reply = answered(talk.command(f"EXPN {name}"), owed.code, enhanced=owed.enhanced)
    assert "@" not in reply.text, reply


@check("A-31", N_("SEND, SOML and SAML are refused and begin nothing"), clauses=[rfc(5321, "F.6")])
@pytest.mark.parametrize("verb", ["SEND", "SOML", "SAML"])
def test_send_soml_saml(smtp: Smtp, postfix_version: Version, sender: str, alice: Account, verb: str) -> None:
    owed = unknown_verb(postfix_version)
    with smtp() as talk:
        talk.say_ehlo()
        answered(talk.command(f"{verb} FROM:<{sender}>"), owed.code, enhanced=owed.enhanced)
        answered(talk.rcpt_to(alice.address), 503, enhanced="5.5.1")


@check("A-32", N_("TURN and ATRN never turn the roles round"), clauses=[rfc(5321, "F.1"), rfc(2645, "4")])
@pytest.mark.parametrize("verb", ["TURN", "ATRN"])
def test_turn(smtp: Smtp, site: Site, postfix_version: Version, verb: str) -> None:
    owed = unknown_verb(postfix_version)
    with smtp() as talk:
        talk.say_ehlo()
        answered(talk.command(verb if verb == "TURN" else f"ATRN {site.domain}"), owed.code, enhanced=owed.enhanced)
        answered(talk.command("NOOP"), 250)  # still the server's part


@check("A-33", N_("ETRN starts no queue run for a stranger and tells of no queued domain"), clauses=[rfc(1985, "5")])
def test_etrn(smtp: Smtp, site: Site, elsewhere: str) -> None:
    with smtp() as talk:
        answered(talk.command(f"ETRN {site.domain}"), 500, 502, 503)
        talk.say_ehlo()
        replies = [talk.command(f"ETRN {name}") for name in (site.domain, "#x", f"@{elsewhere.partition('@')[2]}")]
    for reply in replies:
        answered(reply, 458, 459, 500, 502, 554)
    assert len({reply.code for reply in replies}) == 1, [str(reply) for reply in replies]


@check(
    "A-34",
    N_("XCLIENT, XFORWARD and PROXY lend a stranger no address"),
    clauses=[rfc(5321, "7.1")],
    setting="postfix_main_cf: smtpd_authorized_xclient_hosts",
    remedy=APPLY,
)
@pytest.mark.parametrize("line", ["XCLIENT ADDR=127.0.0.1", "XFORWARD NAME=localhost ADDR=127.0.0.1"])
def test_xclient(smtp: Smtp, sender: str, elsewhere: str, line: str) -> None:
    with smtp() as talk:
        talk.say_ehlo()
        refused(talk.command(line))
        answered(talk.mail_from(sender), 250)
        refused(talk.rcpt_to(elsewhere))


@check(
    "A-35",
    N_("Another protocol's first line ends the connection"),
    clauses=[rfc(5321, "7.8")],
    setting="postfix_main_cf: smtpd_forbidden_commands",
)
@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "POST /x HTTP/1.1", "CONNECT x:25 HTTP/1.1", "Subject: x"])
def test_other_protocols(smtp: Smtp, line: str) -> None:
    with smtp() as talk:
        answered(talk.command(line), 221, 421, 500, 502)
        assert talk.read_reply().closed, _("The connection stays open after {line!r}.").format(line=line)


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


SENDER = "MAIL FROM:<sender@probe.invalid>"

# The tutorial's list of commands: what was said before, the line, what is owed (None: a release decides).
COMMANDS: dict[str, tuple[tuple[str, ...], str, Owed | None]] = {
    "HELO": ((), "HELO client.probe.invalid", Owed(250)),
    "EHLO": ((), "EHLO client.probe.invalid", Owed(250)),
    "MAIL": (("EHLO client.probe.invalid",), SENDER, Owed(250, "2.1.0")),
    "RCPT": (("EHLO client.probe.invalid", SENDER), "RCPT TO:<{alice}>", Owed(250, "2.1.5")),
    "DATA": (("EHLO client.probe.invalid", SENDER, "RCPT TO:<{alice}>"), "DATA", Owed(354)),
    "QUIT": (("EHLO client.probe.invalid",), "QUIT", Owed(221, "2.0.0")),
    "RSET": (("EHLO client.probe.invalid", SENDER), "RSET", Owed(250, "2.0.0")),
    "SEND": (("EHLO client.probe.invalid",), "SEND FROM:<sender@probe.invalid>", None),
    "SOML": (("EHLO client.probe.invalid",), "SOML FROM:<sender@probe.invalid>", None),
    "SAML": (("EHLO client.probe.invalid",), "SAML FROM:<sender@probe.invalid>", None),
    "VRFY": (("EHLO client.probe.invalid",), "VRFY {alice}", Owed(502, "5.5.1")),
    "EXPN": (("EHLO client.probe.invalid",), "EXPN postmaster", None),
    "HELP": (("EHLO client.probe.invalid",), "HELP", None),
    "NOOP": (("EHLO client.probe.invalid",), "NOOP", Owed(250, "2.0.0")),
    "TURN": (("EHLO client.probe.invalid",), "TURN", None),
}


@check(
    "T-7",
    N_("Each command that the tutorial lists is answered as this release of Postfix owes it"),
    step=3,
    tier="quick",
    clauses=[rfc(5321, "4.1.1", "4.2.2", "4.3.2")],
    setting="postfix_main_cf",
    remedy=APPLY,
)
@pytest.mark.parametrize("verb", list(COMMANDS))
def test_tutorial_command(smtp: Smtp, postfix_version: Version, alice: Account, verb: str) -> None:
    before, line, owed = COMMANDS[verb]
    if owed is None:
        owed = help_verb(postfix_version) if verb == "HELP" else unknown_verb(postfix_version)
    with smtp() as talk:
        for earlier in before:
            assert talk.command(earlier.format(alice=alice.address)).accepted
        reply = answered(talk.command(line.format(alice=alice.address)), owed.code, enhanced=owed.enhanced)
        if reply.code == 354:  # a message that was begun: the connection is dropped, so that it is not sent
            talk.close()


@check(
    "T-7",
    N_("Each class of reply is heard: 2xx done, 3xx go on, 4xx not now, 5xx no"),
    step=3,
    mutates=True,
    tier="quick",
    clauses=[rfc(5321, "4.2.1")],
)
def test_every_class_of_reply(smtp: Smtp, mailbox: Mailbox, site: Site, sender: str, alice: Account) -> None:
    sent = message.new(sender, alice.address)
    with smtp() as talk:
        talk.say_ehlo()
        not_now = talk.command(f"ETRN {site.domain}")
        no = talk.rcpt_to(alice.address)
        answered(talk.mail_from(sender), 250)
        done = talk.rcpt_to(alice.address)
        go_on = talk.command("DATA")
        answered(talk.data_content(sent.content), 250)
        talk.command("QUIT")
    assert [reply.code // 100 for reply in (done, go_on, not_now, no)] == [2, 3, 4, 5]
    mailbox.arrived(sent)


@check(
    "A-02",
    N_("Every reply of every conversation so far keeps the grammar"),
    tier="quick",
    clauses=[rfc(5321, "4.2", "4.5.3.1.5")],
    last=True,
)
def test_every_reply_keeps_the_grammar(replies_so_far: list[Heard]) -> None:
    assert replies_so_far, _("No reply was heard: this check ran alone.")
    broken = [problem for heard in replies_so_far for problem in heard.grammar]
    assert not broken, "\n".join(broken)


@check(
    "A-03",
    N_("Every reply so far carries an enhanced status code of its own class"),
    tier="quick",
    clauses=[rfc(2034, "4"), rfc(3463, "2")],
    last=True,
)
def test_every_reply_has_its_enhanced_code(replies_so_far: list[Heard]) -> None:
    assert replies_so_far, _("No reply was heard: this check ran alone.")
    broken = [problem for heard in replies_so_far for problem in heard.enhanced]
    assert not broken, "\n".join(broken)
