"""The greeting, HELO and EHLO, and lines that are no command of SMTP."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from valija.checks.expect import answered, refused
from valija.checks.marks import APPLY, check, rfc
from valija.checks.postfix_replies import Version, unknown_verb
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import dns
from valija.probes.smtp import Session

Smtp = Callable[..., Session]


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
    for (
        line
    ) in greeting.lines:  # postscreen greets a client that it does not know with a line of its own before the last
        name, _space, rest = line.partition(" ")
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
    clauses=[rfc(5321, "4.1.1.1"), rfc(1870, "3"), rfc(3207, "4")],
    setting="postfix_main_cf_extra: smtpd_discard_ehlo_keywords, smtpd_tls_security_level",
    remedy=APPLY,
)
def test_ehlo_list(smtp: Smtp, site: Site, family: str) -> None:
    with smtp(family) as talk:
        reply = answered(talk.say_ehlo(), 250)
    first, *rest = reply.lines
    assert first.split()[0] == site.hostname, reply
    offered = {line.split()[0].upper() for line in rest}
    owed = {"SIZE", "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"} | ({"STARTTLS"} if site.tls else set())
    missing = owed - offered
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
    setting="postfix_main_cf_extra: smtpd_helo_restrictions",
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
    setting="postfix_main_cf_extra: mynetworks",
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
    setting="postfix_main_cf_extra: smtpd_helo_required",
    remedy=APPLY,
)
def test_mail_before_ehlo(smtp: Smtp, sender: str, family: str) -> None:
    with smtp(family) as talk:
        answered(talk.mail_from(sender), 503, enhanced="5.5.1")


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


@check(
    "A-35",
    N_("Another protocol's first line ends the connection"),
    clauses=[rfc(5321, "7.8")],
    setting="postfix_main_cf_extra: smtpd_forbidden_commands",
)
@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "POST /x HTTP/1.1", "CONNECT x:25 HTTP/1.1", "Subject: x"])
def test_other_protocols(smtp: Smtp, line: str) -> None:
    with smtp() as talk:
        answered(talk.command(line), 221, 421, 500, 502)
        assert talk.read_reply().closed, _("The connection stays open after {line!r}.").format(line=line)
