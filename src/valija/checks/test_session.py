"""The tutorial's session whole, and every command of its list; what all replies have in common."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from valija.checks.expect import Heard, answered, heard
from valija.checks.mailbox import Mailbox, assert_same
from valija.checks.marks import APPLY, LOOK, check, rfc
from valija.checks.postfix_replies import Owed, Version, help_verb, unknown_verb
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import message
from valija.probes.smtp import Session

Smtp = Callable[..., Session]


@check(
    "A-20",
    N_("The tutorial's session: two messages to several recipients, read by IMAP, by POP3 and in the webmail"),
    tier="quick",
    mutates=True,
    clauses=[rfc(5321, "3.3", "4.1.1"), rfc(3501, "6.4.5"), rfc(1939, "5")],
    setting="postfix_main_cf_extra",
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


SENDER = "MAIL FROM:<{sender}>"

# The tutorial's list of commands: what was said before, the line, what is owed (None: a release decides).
COMMANDS: dict[str, tuple[tuple[str, ...], str, Owed | None]] = {
    "HELO": ((), "HELO client.probe.invalid", Owed(250)),
    "EHLO": ((), "EHLO client.probe.invalid", Owed(250)),
    "MAIL": (("EHLO client.probe.invalid",), SENDER, Owed(250, "2.1.0")),
    "RCPT": (("EHLO client.probe.invalid", SENDER), "RCPT TO:<{alice}>", Owed(250, "2.1.5")),
    "DATA": (("EHLO client.probe.invalid", SENDER, "RCPT TO:<{alice}>"), "DATA", Owed(354)),
    "QUIT": (("EHLO client.probe.invalid",), "QUIT", Owed(221, "2.0.0")),
    "RSET": (("EHLO client.probe.invalid", SENDER), "RSET", Owed(250, "2.0.0")),
    "SEND": (("EHLO client.probe.invalid",), "SEND FROM:<{sender}>", None),
    "SOML": (("EHLO client.probe.invalid",), "SOML FROM:<{sender}>", None),
    "SAML": (("EHLO client.probe.invalid",), "SAML FROM:<{sender}>", None),
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
    setting="postfix_main_cf_extra",
    remedy=APPLY,
)
@pytest.mark.parametrize("verb", list(COMMANDS))
def test_tutorial_command(smtp: Smtp, postfix_version: Version, sender: str, alice: Account, verb: str) -> None:
    before, line, owed = COMMANDS[verb]
    names = {"sender": sender, "alice": alice.address}
    if owed is None:
        owed = help_verb(postfix_version) if verb == "HELP" else unknown_verb(postfix_version)
    with smtp() as talk:
        for earlier in before:
            assert talk.command(earlier.format(**names)).accepted
        reply = answered(talk.command(line.format(**names)), owed.code, enhanced=owed.enhanced)
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


@pytest.fixture
def every_reply(smtp: Smtp, replies_so_far: list[Heard]) -> list[Heard]:
    """The replies of the run, and those of a short session, so that there are some when a check runs alone."""
    with smtp() as talk:
        for line in ("NOOP", "EHLO client.probe.invalid", "RCPT TO:<nobody>", "NO-SUCH-VERB", "QUIT"):
            talk.command(line)
        return [*replies_so_far, *map(heard, talk.replies)]


@check(
    "A-02",
    N_("Every reply of every conversation so far keeps the grammar"),
    tier="quick",
    clauses=[rfc(5321, "4.2", "4.5.3.1.5")],
    last=True,
)
def test_every_reply_keeps_the_grammar(every_reply: list[Heard]) -> None:
    broken = [problem for one in every_reply for problem in one.grammar]
    assert not broken, "\n".join(broken)


@check(
    "A-03",
    N_("Every reply so far carries an enhanced status code of its own class"),
    tier="quick",
    clauses=[rfc(2034, "4"), rfc(3463, "2")],
    last=True,
)
def test_every_reply_has_its_enhanced_code(every_reply: list[Heard]) -> None:
    broken = [problem for one in every_reply for problem in one.enhanced]
    assert not broken, "\n".join(broken)
