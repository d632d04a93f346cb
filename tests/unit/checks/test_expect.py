"""The assertions of the checks: what they let pass, and the words of the others."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from valija.checks import expect, mailbox
from valija.probes.smtp import Reply

EHLO = Reply("EHLO x", 250, ("mail.example.test", "SIZE 1000", "auth PLAIN LOGIN", "STARTTLS"), (b"250 x\r\n",))

# Lines of a log that a proof must not pass over, whatever the checks have done.
TROUBLE = [
    "postfix/smtpd[1]: fatal: in parameter smtpd_relay_restrictions, specify at least one working instance of",
    "postfix/smtpd[1]: warning: cannot get RSA private key from file /etc/valija/tls/mail.pem: disabling TLS support",
    "postfix/submission/smtpd[1]: warning: TLS library problem: error:0A00018E:SSL routines::ca md too weak:x.c:1:",
    "postfix/smtpd[1]: warning: connect to private/policy: Connection refused",
    "postfix/local[1]: warning: A1: address with illegal extension: alice+|id",
    "imapd-ssl[1]: authentication error: Permission denied",
]


def test_the_keywords_of_ehlo_are_read_whatever_their_case() -> None:
    assert expect.keywords(EHLO) == {"SIZE", "AUTH", "STARTTLS"}
    expect.offers(EHLO, "AUTH")
    expect.offers(EHLO, "ETRN", owed=False)


@pytest.mark.parametrize(
    ("keyword", "owed", "said"), [("ETRN", True, "does not offer ETRN"), ("AUTH", False, "offers")]
)
def test_a_keyword_too_many_or_too_few_is_told(keyword: str, owed: bool, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        expect.offers(EHLO, keyword, owed=owed)


def test_folded_headers_of_the_way_become_one_line_each() -> None:
    delivered = b"Received: from x\r\n\tby y\r\n  with ESMTPS\r\nX-Test-Id: abc\r\nSubject: x\r\n\r\n"
    assert mailbox.trace(delivered, "abc") == "Received: from x by y  with ESMTPS\r\n"


@pytest.mark.parametrize("line", TROUBLE)
def test_trouble_of_the_host_is_not_among_the_known_lines(line: str) -> None:
    rows = json.loads(Path(expect.__file__).with_name("log_allowed.json").read_text("utf-8"))["lines"]
    assert all(row["reason"] for row in rows)
    assert not [row["pattern"] for row in rows if re.search(row["pattern"], f"2026-01-01T00:00:00+00:00 host {line}")]
