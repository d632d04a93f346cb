"""IDLE: who waits for mail is told, without asking."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from valija.checks.expect import answered
from valija.checks.mailbox import Mailbox
from valija.checks.marks import check, rfc
from valija.checks.site import Account
from valija.messages import N_, _
from valija.probes import message
from valija.probes.imap import Session as Imap
from valija.probes.smtp import Session as Smtp

REPORT_SECONDS = 5.0

# A family with its telephones, tablets and computers, all waiting on one mailbox: they are told one after the other.
WAITING_CLIENTS, ALL_REPORTED_SECONDS = 20, 30.0


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


def all_told(boxes: list[Imap], word: bytes, within: float) -> None:
    """Assert that every client is told in time."""
    began = time.monotonic()
    count = sum(told(box, word, began + within) for box in boxes)
    words = _("{count} of {all} clients were told {word} within {seconds:.2f} s.")
    said = words.format(count=count, all=len(boxes), word=word.decode(), seconds=time.monotonic() - began)
    boxes[0].recorder.remark(said)
    assert count == len(boxes), said


def done(box: Imap) -> None:
    """End the waiting, and read its answer."""
    box.send(b"DONE\r\n")
    line = box.readline()
    while line.startswith(b"*"):
        line = box.readline()
    assert line.startswith(b"i1 OK"), line


@check(
    "D-17",
    N_("Who waits on a mailbox is told of mail that comes and goes within five seconds; twenty who wait are all told"),
    vantage="client",
    clauses=[rfc(2177, "3")],
    setting="courier_imapd_extra: IMAP_IDLE_TIMEOUT",
    remedy=N_("Debian 13's Courier watches folders by inotify, Debian 12's looks every IMAP_IDLE_TIMEOUT seconds."),
    mutates=True,
)
@pytest.mark.parametrize(("clients", "within"), [(1, REPORT_SECONDS), (WAITING_CLIENTS, ALL_REPORTED_SECONDS)])
def test_idle(
    smtp: Callable[..., Smtp],
    imap: Callable[..., Any],
    mailbox: Mailbox,
    sender: str,
    bob: Account,
    clients: int,
    within: float,
) -> None:
    sent = message.new(sender, bob.address)
    with ExitStack() as stack:
        with ThreadPoolExecutor(8) as pool:
            boxes = list(pool.map(lambda _number: stack.enter_context(imap(bob)), range(clients)))
            list(pool.map(idle, boxes))
        with smtp() as talk:
            talk.say_ehlo()
            answered(talk.message(sender, [bob.address], sent.content), 250)
        mailbox.arrived(sent, bob)
        all_told(boxes, b"EXISTS", within)
        with imap(bob) as other:
            other.select("INBOX")
            _kind, [numbers] = other.search(None, "HEADER", "X-Test-Id", sent.test_id)
            other.store(numbers.decode().split()[-1], "+FLAGS", "(\\Deleted)")
            other.expunge()
        all_told(boxes, b"EXPUNGE", within)
        for box in boxes:
            done(box)
