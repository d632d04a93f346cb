"""The commands beside the transaction: what they may tell a stranger, and that they lend no rights."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from valija.checks.expect import answered, refused
from valija.checks.marks import APPLY, check, rfc
from valija.checks.postfix_replies import Version, help_verb, unknown_verb
from valija.checks.site import Account, Site
from valija.messages import N_
from valija.probes.smtp import Session

Smtp = Callable[..., Session]


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
    setting="postfix_main_cf_extra: disable_vrfy_command",
    remedy=APPLY,
)
def test_vrfy_tells_nothing(smtp: Smtp, site: Site, alice: Account, family: str) -> None:
    with smtp(family) as talk:
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
def test_expn(smtp: Smtp, postfix_version: Version, name: str, family: str) -> None:
    owed = unknown_verb(postfix_version)
    with smtp(family) as talk:
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
    setting="postfix_main_cf_extra: smtpd_authorized_xclient_hosts",
    remedy=APPLY,
)
@pytest.mark.parametrize("line", ["XCLIENT ADDR=127.0.0.1", "XFORWARD NAME=localhost ADDR=127.0.0.1"])
def test_xclient(smtp: Smtp, sender: str, elsewhere: str, line: str) -> None:
    with smtp() as talk:
        talk.say_ehlo()
        refused(talk.command(line))
        answered(talk.mail_from(sender), 250)
        refused(talk.rcpt_to(elsewhere))
