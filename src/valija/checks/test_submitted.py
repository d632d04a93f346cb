"""What becomes of mail that is handed in, by a login or by a program of the host: completed, and not more told."""

from __future__ import annotations

import email
import email.policy
import re
import time
import uuid
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from valija.checks.expect import answered
from valija.checks.mailbox import ARRIVAL_SECONDS, Mailbox, trace
from valija.checks.marks import APPLY, LOOK, check, rfc
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import message, wait
from valija.probes.message import Message
from valija.probes.smtp import Session

Smtp = Callable[..., Session]

TLS = ["tls"]
PORTS = pytest.mark.parametrize("port", [587, 465])

# The host's clock and ours are not further apart, in seconds.
CLOCKS_SECONDS = 300.0

FIXES = "postfix_master_cf_extra: submission/inet: local_header_rewrite_clients"


def bare(*headers: str, body: str = "Hello.\r\n") -> Message:
    """A message of these headers alone, behind the test id."""
    test_id = uuid.uuid4().hex
    content = "".join(f"{line}\r\n" for line in (f"X-Test-Id: {test_id}", *headers, "")) + body
    return Message(test_id, content.encode(), message.digest(content.encode()))


def headers(delivered: bytes) -> email.message.EmailMessage:
    parsed = email.message_from_bytes(delivered, policy=email.policy.default)
    assert isinstance(parsed, email.message.EmailMessage)
    return parsed


def says(got: email.message.EmailMessage, name: str, pattern: str) -> None:
    """Assert that a header field is there once and that its value matches a pattern as a whole."""
    found = [str(value) for value in got.get_all(name, [])]
    assert len(found) == 1 and re.fullmatch(pattern, found[0]), _("{name} says {found}; {pattern} is owed.").format(
        name=name, found=found, pattern=pattern
    )


@check(
    "A-66",
    N_("A submitted message does not tell from where, with which program or under which login it was sent"),
    mutates=True,
    needs=TLS,
    clauses=[rfc(6409, "8"), rfc(5321, "7.6")],
    setting="postfix_master_cf_extra: submission-cleanup/unix: header_checks",
    remedy=APPLY,
)
@PORTS
def test_trace_of_a_submission(
    submission: Smtp, mailbox: Mailbox, site: Site, alice: Account, bob: Account, family: str, port: int
) -> None:
    sent = message.new(alice.address, bob.address)
    with submission(port=port, family=family) as talk:
        client = talk.recorder.client.rpartition(":")[0].strip("[]")
        answered(talk.message(alice.address, [bob.address], sent.content), 250)
    told = trace(mailbox.arrived(sent, bob), sent.test_id)
    assert told.count("Received:") == 1 and f" by {site.hostname} " in told and " with ESMTPSA " in told, told
    for secret in (client, "probe.invalid", "Authenticated", f"({alice.name})"):
        assert secret not in told, _("The trace tells {secret!r}: {trace}").format(secret=secret, trace=told)


@check(
    "A-67",
    N_("Bcc is taken out, and who stands there gets the message all the same"),
    mutates=True,
    needs=TLS,
    clauses=[rfc(5322, "3.6.3"), rfc(5321, "7.2")],
    setting="postfix_main_cf_extra: message_drop_headers",
    remedy=APPLY,
)
@pytest.mark.parametrize("name", ["Bcc", "BCC", "Resent-Bcc"])
def test_bcc(submission: Smtp, mailbox: Mailbox, alice: Account, bob: Account, name: str) -> None:
    sent = bare(
        f"From: {alice.address}", f"To: {alice.address}", f"{name}: Bob <{bob.address}>,", f" {bob.name}@x.test"
    )
    with submission() as talk:
        answered(talk.message(alice.address, [alice.address, bob.address], sent.content), 250)
    for account in (alice, bob):
        got = mailbox.arrived(sent, account)
        assert name not in headers(got), _("{name} is still there.").format(name=name)
        assert b"x.test" not in got and (account is bob or bob.name.encode() not in got), got.decode()


@check(
    "A-103",
    N_("A submitted message without Date, Message-ID or From gets them, and a name without a domain the domain"),
    mutates=True,
    needs=TLS,
    clauses=[rfc(6409, "8"), rfc(5322, "3.6")],
    setting=FIXES,
    remedy=APPLY,
)
@PORTS
def test_submission_is_completed(
    submission: Smtp, mailbox: Mailbox, site: Site, alice: Account, bob: Account, port: int
) -> None:
    sent = bare(f"To: {bob.name}", f"Cc: {alice.name}, Somebody <friend@elsewhere.test>", "Subject: x")
    with submission(port=port) as talk:
        answered(talk.message(alice.address, [bob.address], sent.content), 250)
    got = headers(mailbox.arrived(sent, bob))
    says(got, "From", re.escape(alice.address))
    says(got, "To", re.escape(bob.address))
    says(got, "Cc", re.escape(f"{alice.address}, Somebody <friend@elsewhere.test>"))
    says(got, "Date", r"\w{3}, .* [+-]\d{4}")
    assert abs(parsedate_to_datetime(str(got["Date"])).timestamp() - time.time()) < CLOCKS_SECONDS, got["Date"]
    says(got, "Message-ID", rf"<[^<>@\s]+@{re.escape(site.hostname)}>")


@check(
    "A-103",
    N_("What a submitted message has already stays as it is"),
    mutates=True,
    needs=TLS,
    clauses=[rfc(6409, "8")],
    setting=FIXES,
    remedy=APPLY,
)
def test_complete_submission_is_left_alone(submission: Smtp, mailbox: Mailbox, alice: Account, bob: Account) -> None:
    sent = message.new(alice.address, bob.address, body=b"..\r\n.\r\nFrom here on.\r\n \t\r\nthe end\r\n")
    with submission() as talk:
        answered(talk.message(alice.address, [bob.address], sent.content), 250)
    mailbox.is_as_sent(sent, bob)


@check(
    "A-103",
    N_("At 25 nothing is added to a message and no address is completed"),
    mutates=True,
    clauses=[rfc(5321, "6.4", "2.3.10")],
    setting="postfix_main_cf_extra: local_header_rewrite_clients, always_add_missing_headers",
    remedy=APPLY,
)
def test_nothing_is_added_at_25(smtp: Smtp, mailbox: Mailbox, sender: str, alice: Account) -> None:
    sent = bare("To: somebody", "Subject: x")
    with smtp() as talk:
        talk.say_ehlo()
        answered(talk.message(sender, [alice.address], sent.content), 250)
    mailbox.is_as_sent(sent)
    got = headers(mailbox.arrived(sent))
    assert not {"From", "Date", "Message-ID"} & set(got.keys()), got.items()


# Programs of the host that hand in mail; {to} has no domain, as cron writes to the user whose table it is.
PROGRAMS = {
    "sendmail -t": "sendmail -t",
    "sendmail": "sendmail -i {to}",
    "cron": "sendmail -FCronDaemon -i -B8BITMIME -oem {to}",
    "mail": "mail -s x -a 'X-Test-Id: {id}' {to}",
}


@check(
    "A-105",
    N_("A user's program hands in mail without SMTP: it arrives, and its sender is the user's full address"),
    mutates=True,
    vantage="host",
    clauses=[rfc(5321, "3.6.3", "2.3.10")],
    setting="mail_domain",
    remedy=LOOK,
)
@pytest.mark.parametrize("program", list(PROGRAMS))
def test_local_submission(host: Any, imap: Callable[..., Any], alice: Account, bob: Account, program: str) -> None:
    test_id, body = uuid.uuid4().hex, "Hello from a program.\n..\nThe end.\n"
    text = body if program == "mail" else f"X-Test-Id: {test_id}\nTo: {bob.name}\nSubject: x\n\n{body}"
    command = PROGRAMS[program].format(to=bob.name, id=test_id)
    done = host.run(f"printf %%s %s | runuser -u %s -- {command}", text, alice.name)
    assert done.rc == 0, done.stderr
    with imap(bob) as box:
        [got] = wait.until(lambda: box.holding(test_id), ARRIVAL_SECONDS, _("the message of the program"))
    assert got.startswith(f"Return-Path: <{alice.address}>\r\n".encode()), got.decode()
    says(headers(got), "From", rf"(.* <)?{re.escape(alice.address)}>?")
    for name, pattern in (("To", re.escape(bob.address)), ("Date", ".+"), ("Message-ID", "<.+>")):
        says(headers(got), name, pattern)
    assert got.partition(b"\r\n\r\n")[2] == body.replace("\n", "\r\n").encode(), got.decode()


@check(
    "A-105",
    N_("A user's program may name another sender; the message then tells which user it was"),
    mutates=True,
    vantage="host",
    clauses=[rfc(5321, "7.1")],
    setting="postfix_main_cf_extra: authorized_submit_users",
    remedy=LOOK,
)
def test_local_submission_under_another_name(
    host: Any, mailbox: Mailbox, sender: str, alice: Account, bob: Account
) -> None:
    sent = bare(f"From: {sender}", f"To: {bob.address}", "Subject: x")
    text = sent.content.decode().replace("\r\n", "\n")
    done = host.run("printf %%s %s | runuser -u %s -- sendmail -i -f %s %s", text, alice.name, sender, bob.address)
    assert done.rc == 0, done.stderr
    told = trace(mailbox.arrived(sent, bob), sent.test_id)
    uid = host.run("id -u %s", alice.name).stdout.strip()
    assert told.startswith(f"Return-Path: <{sender}>") and f"from userid {uid})" in told, told
