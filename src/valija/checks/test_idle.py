"""IDLE: who waits for mail is told, without asking."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from valija.checks.expect import answered
from valija.checks.mailbox import Mailbox
from valija.checks.marks import check, rfc
from valija.checks.site import Account
from valija.messages import N_, _
from valija.probes import message
from valija.probes.imap import Session as Imap
from valija.probes.smtp import Session as Smtp

REPORT_SECONDS = 5.0

# A family with its telephones, tablets and computers, all waiting on one mailbox.
WAITING_CLIENTS = 40


def idle(box: Imap) -> None:
    """Select the inbox and begin to wait (RFC 2177)."""
    assert box.select("INBOX")[0] == "OK"
    box.send(b"i1 IDLE\r\n")
    line = box.readline()
    while line.startswith(b"*"):
        line = box.readline()
    assert line.startswith(b"+"), line


def told(box: Imap, word: bytes, ends: float) -> bool:
    """Whether an untagged response with this word comes before the end."""
    while (left := ends - time.monotonic()) > 0 and box.answers_within(left):
        line = box.readline()
        if not line or (line.startswith(b"*") and word in line):
            return bool(line)
    return False


def all_told(boxes: list[Imap], word: bytes) -> int:
    ends = time.monotonic() + REPORT_SECONDS
    began = time.monotonic()
    count = sum(told(box, word, ends) for box in boxes)
    words = _("{count} clients were told {word} within {seconds:.2f} s")
    boxes[0].recorder.remark(words.format(count=count, word=word.decode(), seconds=time.monotonic() - began))
    return count


@check(
    "D-17",
    N_("Forty clients that wait on one mailbox are all told of new mail, and of mail that goes, within five seconds"),
    vantage="client",
    clauses=[rfc(2177, "3")],
    setting="courier_imapd_extra: IMAP_IDLE_TIMEOUT",
    remedy=N_("Without inotify (or gamin, on Debian 12) Courier looks every minute: `journalctl -u courier-imap-ssl`."),
    mutates=True,
)
def test_idle(smtp: Callable[..., Smtp], imap: Callable[..., Any], mailbox: Mailbox, sender: str, bob: Account) -> None:
    sent = message.new(sender, bob.address)
    with ExitStack() as stack:
        with ThreadPoolExecutor(8) as pool:
            boxes = list(pool.map(lambda _number: stack.enter_context(imap(bob)), range(WAITING_CLIENTS)))
            list(pool.map(idle, boxes))
        with smtp() as talk:
            talk.say_ehlo()
            answered(talk.message(sender, [bob.address], sent.content), 250)
        mailbox.arrived(sent, bob)
        count = all_told(boxes, b"EXISTS")
        assert count == WAITING_CLIENTS, _("{count} of {all} clients were told of new mail.").format(
            count=count, all=WAITING_CLIENTS
        )
        with imap(bob) as other:
            other.select("INBOX")
            _kind, [numbers] = other.search(None, "HEADER", "X-Test-Id", sent.test_id)
            other.store(numbers.decode().split()[-1], "+FLAGS", "(\\Deleted)")
            other.expunge()
        count = all_told(boxes, b"EXPUNGE")
        assert count == WAITING_CLIENTS, _("{count} of {all} clients were told of mail that went.").format(
            count=count, all=WAITING_CLIENTS
        )
        for box in boxes:
            box.send(b"DONE\r\n")
            line = box.readline()
            while line.startswith(b"*"):
                line = box.readline()
            assert line.startswith(b"i1 OK"), line
