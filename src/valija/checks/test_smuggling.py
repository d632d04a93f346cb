"""Lines that end otherwise than they should, and lines that come before their turn: nothing is smuggled in."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from valija.checks.expect import answered, refused
from valija.checks.host_state import queued
from valija.checks.line_ends import ENDS
from valija.checks.mailbox import ARRIVAL_SECONDS, Mailbox
from valija.checks.marks import APPLY, check, rfc
from valija.checks.site import Account
from valija.messages import N_, _
from valija.probes import message, wait
from valija.probes.smtp import Session

Smtp = Callable[..., Session]

SMUGGLING = "postfix_main_cf_extra: smtpd_forbid_bare_newline"

# A server that took the false end for a true one answers the commands behind it, well within this time.
ANSWER_SECONDS = 0.3


def smuggle(
    talk: Session, end: bytes, sender: str, forged: str, recipient: str, sent: message.Message
) -> tuple[int, str]:
    """Send a message that holds a second one behind a false end of data, in a session after EHLO.

    Returns how many messages were accepted, and what is wrong with the answers or an empty text.
    The commands of the second message stop at its DATA: a server that read them answers and gets its content.
    """
    answered(talk.mail_from(sender), 250)
    answered(talk.rcpt_to(recipient), 250)
    answered(talk.command("DATA"), 354)
    hidden = f"MAIL FROM:<{forged}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode()
    talk.raw_bytes(sent.content.removesuffix(b"\r\n") + end + hidden)
    taken = talk.answers_within(ANSWER_SECONDS)
    talk.raw_bytes(sent.content + b".\r\nQUIT\r\n")
    heard = []
    while not (reply := talk.read_reply()).closed:
        heard.append(reply)
    accepted = sum(1 for reply in heard if "queued as" in reply.text)
    said = ", ".join(map(str, heard))
    one = len(heard) == 2 and heard[0].code == 250 and heard[1].code == 221
    none = bool(heard) and all(reply.code >= 500 or reply.code == 221 for reply in heard)
    fine = not taken and (one or none)
    return accepted, "" if fine else _("{end!r} ends a message: {said}").format(end=end, said=said)


def smuggle_in_a_chunk(
    talk: Session, end: bytes, sender: str, forged: str, recipient: str, sent: message.Message
) -> tuple[int, str]:
    """The same in one counted chunk, whose end is its count alone (RFC 3030 section 2)."""
    answered(talk.mail_from(sender), 250)
    answered(talk.rcpt_to(recipient), 250)
    hidden = f"MAIL FROM:<{forged}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode()
    chunk = sent.content.removesuffix(b"\r\n") + end + hidden + sent.content + b".\r\n"
    talk.raw_bytes(f"BDAT {len(chunk)} LAST\r\n".encode() + chunk)
    reply = talk.read_reply()
    more = talk.answers_within(ANSWER_SECONDS)
    fine = (reply.code == 250 or 500 <= reply.code <= 599) and not more
    return int(reply.code == 250), "" if fine else _("{end!r} ends a message: {said}").format(end=end, said=reply)


@dataclass(frozen=True)
class Attempts:
    """A try at each false end, and what the mailbox is asked for afterwards."""

    imap: Callable[..., Any]
    mailbox: Mailbox
    host: Any
    recipient: str

    def none_gets_in(
        self, open_session: Callable[[], Session], sender: str, way_in: Callable[..., tuple[int, str]] = smuggle
    ) -> None:
        """Assert that each attempt leaves one message or none, by the answers and in the mailbox."""
        local, _at, domain = sender.partition("@")
        forged = f"{local}+smuggled@{domain}"  # a name that the sender may use, so that nothing else keeps it out
        tries = {end: message.new(sender, self.recipient) for end in ENDS}

        def attempt(end: bytes) -> tuple[int, str]:
            with open_session() as talk:
                return way_in(talk, end, sender, forged, self.recipient, tries[end])

        with ThreadPoolExecutor(len(ENDS)) as pool:
            answers = dict(zip(ENDS, pool.map(attempt, ENDS), strict=True))
        wrong = [problem for _accepted, problem in answers.values() if problem]
        last = message.new(sender, self.recipient)
        with open_session() as talk:
            answered(talk.message(sender, [self.recipient], last.content), 250)
        self.mailbox.arrived(last)
        wait.until(lambda: not queued(self.host, [self.recipient]), ARRIVAL_SECONDS, _("the queue to be empty"))
        with self.imap() as box:
            for end, sent in tries.items():
                copies = box.found(f'TEXT "{sent.test_id}"')
                if len(copies) > 1 or len(copies) != answers[end][0]:
                    wrong.append(_("{end!r}: {count} messages arrived.").format(end=end, count=len(copies)))
                wrong += [
                    _("{end!r}: a message from <{sender}> arrived.").format(end=end, sender=forged)
                    for copy in copies
                    if copy.startswith(f"Return-Path: <{forged}>".encode())
                ]
        assert not wrong, "\n".join(wrong)


@pytest.fixture
def attempts(imap: Callable[..., Any], mailbox: Mailbox, host: Any, alice: Account) -> Attempts:
    """Tries whose recipient is alice."""
    return Attempts(imap, mailbox, host, alice.address)


@check(
    "B-40",
    N_("No message is smuggled in behind a false end of data: what is sent as one arrives as one"),
    mutates=True,
    clauses=[rfc(5321, "2.3.8", "4.1.1.4")],
    setting=SMUGGLING,
    remedy=APPLY,
)
def test_nothing_is_smuggled_in(attempts: Attempts, smtp: Smtp, sender: str, family: str) -> None:
    def open_session() -> Session:
        talk = smtp(family)
        talk.say_ehlo()
        return talk

    attempts.none_gets_in(open_session, sender)


@check(
    "B-40",
    N_("No message is smuggled in within a counted chunk"),
    mutates=True,
    clauses=[rfc(3030, "2"), rfc(5321, "2.3.8")],
    setting=SMUGGLING,
    remedy=APPLY,
)
def test_nothing_is_smuggled_in_a_chunk(attempts: Attempts, smtp: Smtp, sender: str, main_family: str) -> None:
    def open_session() -> Session:
        talk = smtp(main_family)
        talk.say_ehlo()
        return talk

    attempts.none_gets_in(open_session, sender, smuggle_in_a_chunk)


@check(
    "B-40",
    N_("No message is smuggled in behind one of a person who is logged in"),
    needs=["tls"],
    mutates=True,
    clauses=[rfc(5321, "2.3.8", "4.1.1.4"), rfc(6409, "6.1")],
    setting=SMUGGLING,
    remedy=APPLY,
)
@pytest.mark.parametrize("port", [587, 465])
def test_nothing_is_smuggled_in_by_submission(
    attempts: Attempts, submission: Callable[..., Session], bob: Account, port: int, family: str
) -> None:
    attempts.none_gets_in(lambda: submission(bob, family, port=port), bob.address)


# What must be answered before more is sent (RFC 2920 section 3.1), each with the line that comes too early.
EARLY = {
    "EHLO": ("", "EHLO client.probe.invalid", "NOOP"),
    "NOOP": ("EHLO client.probe.invalid", "NOOP", "MAIL FROM:<{sender}>"),
    "VRFY": ("EHLO client.probe.invalid", "VRFY {alice}", "MAIL FROM:<{sender}>"),
    "STARTTLS": ("EHLO client.probe.invalid", "STARTTLS", "MAIL FROM:<{sender}>"),
    "AUTH": ("EHLO client.probe.invalid", "AUTH PLAIN AHgAeA==", "MAIL FROM:<{sender}>"),
}

EARLY_SETTING = "postfix_main_cf_extra: smtpd_forbid_unauth_pipelining, smtpd_data_restrictions"


@check(
    "A-72",
    N_("A command sent before its turn ends the session; one sent behind STARTTLS is never heard"),
    clauses=[rfc(2920, "3.1"), rfc(3207, "4")],
    setting=EARLY_SETTING,
    remedy=APPLY,
)
@pytest.mark.parametrize("verb", list(EARLY))
def test_early_command(
    smtp: Smtp, request: pytest.FixtureRequest, host: Any, sender: str, alice: Account, verb: str, family: str
) -> None:
    before, line, early = (text.format(sender=sender, alice=alice.address) for text in EARLY[verb])
    with smtp(family) as talk:
        offered = talk.command(before).text if before else verb
        talk.raw_bytes(f"{line}\r\n{early}\r\n".encode())
        if verb not in offered.replace("\n", " ").split() and verb in ("STARTTLS", "AUTH"):
            refused(talk.read_reply())  # nothing turns from plain text to anything else
        elif verb == "STARTTLS":
            answered(talk.read_reply(), 220)
            talk.handshake(request.getfixturevalue("tls_context"))
            assert not talk.answers_within(ANSWER_SECONDS), _("{line!r} is answered under TLS.").format(line=early)
            answered(talk.say_ehlo(), 250)
            answered(talk.rcpt_to(alice.address), 503, enhanced="5.5.1")
        elif not host.run("postconf -H smtpd_forbid_unauth_pipelining").stdout.strip():
            pytest.skip(_("no setting: the Postfix of this release has no smtpd_forbid_unauth_pipelining"))
        else:
            answered(talk.read_reply(), 554, enhanced="5.5.0")
            assert talk.read_reply().closed, _("The connection stays open after {line!r}.").format(line=early)


@check(
    "A-72",
    N_("A message sent before DATA was answered arrives nowhere"),
    mutates=True,
    clauses=[rfc(2920, "3.1")],
    setting=EARLY_SETTING,
    remedy=APPLY,
)
def test_early_message(smtp: Smtp, mailbox: Mailbox, host: Any, sender: str, alice: Account, family: str) -> None:
    sent = message.new(sender, alice.address)
    with smtp(family) as talk:
        talk.say_ehlo()
        answered(talk.mail_from(sender), 250)
        answered(talk.rcpt_to(alice.address), 250)
        talk.raw_bytes(b"DATA\r\n" + message.dot_stuffed(sent.content))
        refused(talk.read_reply())
    last = message.new(sender, alice.address)
    with smtp(family) as talk:
        talk.say_ehlo()
        answered(talk.message(sender, [alice.address], last.content), 250)
    mailbox.arrived(last)
    wait.until(lambda: not queued(host, [alice.address]), ARRIVAL_SECONDS, _("the queue to be empty"))
    assert not mailbox.holds(sent), _("The message arrived.")
