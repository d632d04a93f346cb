"""Messages that mean harm by what is in them: they are refused, or arrive and hurt nobody."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from valija.checks import odd_messages
from valija.checks.expect import answered, refused
from valija.checks.host_state import queued
from valija.checks.mailbox import ARRIVAL_SECONDS, Mailbox, assert_same
from valija.checks.marks import LOOK, check, rfc
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import imap as imap_probe
from valija.probes import message, wait
from valija.probes.message import Message
from valija.probes.smtp import Session
from valija.probes.transcript import Recorder
from valija.probes.webmail import WebmailError

# What a reader may take to tell a message's parts, and what PHP may take at the very most to show it as a page.
STRUCTURE_SECONDS = 5.0
PAGE_SECONDS = 60.0


def send_all(talk: Session, sender: str, recipient: str, messages: dict[str, Message]) -> dict[str, Message]:
    """One transaction each; those that were accepted. The others must be refused for good."""
    answered(talk.say_ehlo(), 250)
    taken = {}
    for name, one in messages.items():
        reply = talk.message(sender, [recipient], one.content)
        if reply.code == 250:
            taken[name] = one
        else:
            refused(reply)
            answered(talk.command("RSET"), 250)
    return taken


def structure(box: imap_probe.Session, name: str, uids: str) -> tuple[str, float]:
    """Ask for the parts of messages; the answer's kind and how many seconds it took. The answer is not recorded."""
    recorder, box.recorder = box.recorder, Recorder("imap")
    begun = time.monotonic()
    kind, lines = box.ask(f"UID FETCH {uids} (ENVELOPE BODYSTRUCTURE)")
    seconds = time.monotonic() - begun
    box.recorder = recorder
    octets = sum(map(len, lines))
    recorder.remark(
        _("{name}: {octets} octets of structure in {seconds:.2f} s").format(name=name, octets=octets, seconds=seconds)
    )
    return kind, seconds


@check(
    "B-36",
    N_("Headers that are twice, missing, forged or huge do not keep a message back, and Return-Path is ours alone"),
    mutates=True,
    clauses=[rfc(5322, "3.6"), rfc(5321, "4.4")],
    setting="postfix_main_cf_extra: message_drop_headers, header_size_limit",
    remedy=LOOK,
)
def test_odd_headers(
    smtp: Callable[..., Session], imap: Callable[..., Any], host: Any, site: Site, sender: str, alice: Account
) -> None:
    asked = odd_messages.odd_headers(sender, alice.address, site.hostname)
    with smtp() as talk:
        taken = send_all(talk, sender, alice.address, asked)
    assert set(taken) == set(asked), _("Refused: {names}").format(names=", ".join(sorted(set(asked) - set(taken))))
    wait.until(lambda: not queued(host, [alice.address]), ARRIVAL_SECONDS, _("the queue to be empty"))
    wrong = []
    with imap() as box:
        for name, one in taken.items():
            copies = box.holding(one.test_id)
            if len(copies) != 1:
                wrong.append(_("{name}: {count} messages arrived.").format(name=name, count=len(copies)))
                continue
            head = copies[0].partition(b"\r\n\r\n")[0].lower()
            paths = [line for line in head.split(b"\r\n") if line.startswith(b"return-path:")]
            if paths != [f"return-path: <{sender}>".encode()]:
                wrong.append(_("{name}: {paths}").format(name=name, paths=paths))
        kind, _seconds = structure(box, "INBOX", "1:*")
    if kind != "OK":
        wrong.append(_("IMAP does not tell the structure of the messages: {answer}").format(answer=kind))
    assert not wrong, "\n".join(wrong)


@check(
    "B-36",
    N_("A message that has been through a hundred servers is in a loop: refused at once, and no report is sent"),
    clauses=[rfc(5321, "6.3")],
    setting="postfix_main_cf_extra: hopcount_limit",
    remedy=LOOK,
)
def test_too_many_hops(smtp: Callable[..., Session], sender: str, alice: Account) -> None:
    with smtp() as talk:
        talk.say_ehlo()
        answered(
            talk.message(sender, [alice.address], odd_messages.many_hops(sender, alice.address).content),
            554,
            enhanced="5.4.0",
        )


@check(
    "B-63",
    N_("Without a scanner, attachments arrive as they were sent: programs, archives and bombs alike, unopened"),
    mutates=True,
    clauses=[rfc(2046, "5.1"), rfc(2231, "3")],
    remedy=LOOK,
)
def test_attachments_arrive_as_sent(
    smtp: Callable[..., Session], imap: Callable[..., Any], host: Any, sender: str, alice: Account
) -> None:
    asked = odd_messages.attachments(sender, alice.address)
    with smtp() as talk:
        taken = send_all(talk, sender, alice.address, asked)
    assert set(taken) == set(asked), _("Refused: {names}").format(names=", ".join(sorted(set(asked) - set(taken))))
    wait.until(lambda: not queued(host, [alice.address]), ARRIVAL_SECONDS, _("the queue to be empty"))
    with imap() as box:
        for name, one in taken.items():
            copies = box.holding(one.test_id)
            assert len(copies) == 1, _("{name}: {count} messages arrived.").format(name=name, count=len(copies))
            assert_same(one, copies[0], name)


@pytest.fixture
def bombs(
    smtp: Callable[..., Session], mailbox: Mailbox, host: Any, sender: str, bob: Account
) -> Callable[[], dict[str, Message]]:
    """Send every bomb to bob; those that were accepted, all arrived."""

    def send() -> dict[str, Message]:
        made = {name: make() for name, make in odd_messages.bombs(sender, bob.address).items()}
        with smtp() as talk:
            taken = send_all(talk, sender, bob.address, made)
            last = message.new(sender, bob.address)
            answered(talk.message(sender, [bob.address], last.content), 250)
        assert taken, _("Every message was refused.")
        mailbox.arrived(last, bob)
        wait.until(lambda: not queued(host, [bob.address]), ARRIVAL_SECONDS, _("the queue to be empty"))
        return taken

    return send


@check(
    "B-64",
    N_(
        "MIME built to exhaust a reader is refused or arrives, and IMAP tells the parts of all within five seconds each"
    ),
    mutates=True,
    clauses=[rfc(2046, "5.1"), rfc(3501, "7.4.2")],
    remedy=LOOK,
)
def test_mime_bombs(bombs: Callable[[], dict[str, Message]], imap: Callable[..., Any], bob: Account) -> None:
    taken = bombs()
    slow = []
    with imap(bob) as box:
        box.select("INBOX", readonly=True)
        for name, one in taken.items():
            _kind, answer = box.uid("SEARCH", f'HEADER X-Test-Id "{one.test_id}"')
            assert answer[0], _("{name}: did not arrive.").format(name=name)
            kind, seconds = structure(box, name, answer[0].split()[0].decode())
            if kind != "OK" or seconds > STRUCTURE_SECONDS:
                slow.append(f"{name}: IMAP {kind} {seconds:.1f} s")
    assert not slow, "\n".join(slow)


@check(
    "B-64",
    N_("The webmail lists and shows MIME built to exhaust it, or says no, and serves others meanwhile"),
    tier="slow",
    vantage="client",
    needs=["webmail"],
    mutates=True,
    clauses=[rfc(2046, "5.1")],
    remedy=LOOK,
)
def test_mime_bombs_in_the_webmail(
    bombs: Callable[[], dict[str, Message]], webmail: Callable[..., Any], alice: Account, bob: Account
) -> None:
    taken = bombs()
    person, other = webmail(bob), webmail(alice)
    listed = person.messages()
    assert len(listed) >= len(taken), _("The webmail lists {count} messages.").format(count=len(listed))

    def read(uid: int) -> float:
        begun = time.monotonic()
        with contextlib.suppress(WebmailError):  # a page that PHP gave up is an answer
            person.read(uid)
        return time.monotonic() - begun

    with ThreadPoolExecutor(1) as pool:
        for one in listed:
            showing = pool.submit(read, one.uid)
            other.messages()
            seconds = showing.result(PAGE_SECONDS)
            person.browser.recorder.remark(_("shown in {seconds:.1f} s").format(seconds=seconds))
