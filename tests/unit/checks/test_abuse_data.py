"""The data of the abuse checks: forgeries, injections, false line ends and odd messages are what they say."""

from __future__ import annotations

import email
import email.policy

import pytest

from valija.checks import forgeries, injections, line_ends, odd_messages
from valija.checks.relay_forms import filled
from valija.probes import message

NAMES = {
    "name": "alice",
    "other": "bob",
    "domain": "example.test",
    "NAME": "ALICE",
    "OTHER": "BOB",
    "DOMAIN": "EXAMPLE.TEST",
    "remote": "remote.test",
    "hostname": "mail.example.test",
}


def test_a_forgery_is_another_s_and_one_s_own_is_not() -> None:
    for case in forgeries.AFTER_LOGIN:
        reverse_path = case.reverse_path.format_map(NAMES)
        local, _at, domain = reverse_path.lower().partition("@")
        owner = local.strip('"').partition("+")[0]
        assert case.own == (not reverse_path or (owner, domain) == ("alice", "example.test")), reverse_path
    assert {case.own for case in forgeries.AFTER_LOGIN} == {True, False}


def test_a_stranger_s_forgeries_are_all_of_ours() -> None:
    for reverse_path in filled(forgeries.OF_A_STRANGER, NAMES):
        domain = reverse_path.lower().rpartition("@")[2] if "@" in reverse_path else ""
        assert domain in ("", "example.test", "mail.example.test")


def test_an_attempt_replaces_one_command_and_leaves_the_others_as_they_should_be() -> None:
    values = {"sender": "x@c.test", "alice": "alice@example.test", "name": "alice", "domain": "example.test"}
    plain = injections.commands(("RCPT", b"RCPT TO:<{alice}>"), values)
    for attempt in injections.ATTEMPTS:
        lines = injections.commands(attempt, values)
        assert list(lines) == ["EHLO", "MAIL", "RCPT"]
        assert [verb for verb in lines if lines[verb] != plain[verb]] == [attempt[0]]
        assert b"X-Evil:" in lines[attempt[0]]
        assert not any(b"{" in line for line in lines.values())


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"])
def test_an_evil_line_is_found_whatever_ends_the_line_before(end: bytes) -> None:
    assert injections.evil_lines(b"Received: from x" + end + b"X-Evil: 1" + end) == [b"X-Evil: 1"]
    assert injections.evil_lines(b"Received: from X-Evil: 1") == []


def test_no_false_end_is_a_true_one() -> None:
    assert len(set(line_ends.ENDS)) == len(line_ends.ENDS)
    assert not [end for end in line_ends.ENDS if b"\r\n.\r\n" in b"x" + end]


def test_odd_messages_carry_their_id_and_their_own_digest() -> None:
    sent = {
        **odd_messages.odd_headers("x@c.test", "alice@example.test", "mail.example.test"),
        **odd_messages.attachments("x@c.test", "alice@example.test"),
        **{name: make() for name, make in odd_messages.bombs("x@c.test", "alice@example.test").items()},
        "hops": odd_messages.many_hops("x@c.test", "alice@example.test"),
    }
    assert len({one.test_id for one in sent.values()}) == len(sent)
    for name, one in sent.items():
        assert one.content.startswith(f"X-Test-Id: {one.test_id}\r\n".encode()), name
        assert one.content.endswith(b"\r\n") and one.digest == message.digest(one.content), name
        assert b"\n" not in one.content.replace(b"\r\n", b""), name
        assert max(map(len, one.content.split(b"\r\n"))) <= 998, name


def test_attachments_are_read_back_by_python_s_own_parser() -> None:
    names = {}
    for what, one in odd_messages.attachments("x@c.test", "alice@example.test").items():
        parsed = email.message_from_bytes(one.content, policy=email.policy.default)
        names[what] = [part.get_filename() for part in parsed.walk() if part.get_filename()]
    assert names["two extensions"] == ["letter.pdf.exe"]
    assert names["a name in pieces (RFC 2231)"] == ["run.pdf.exe"]


def test_bombs_are_as_large_as_they_are_called() -> None:
    bombs = odd_messages.bombs("x@c.test", "alice@example.test")
    assert bombs["10,000 parts"]().content.count(b"--=_b\r\n") == 10_000
    assert bombs["100 levels"]().content.count(b"boundary=") == 100
    assert len(bombs["1 MB of boundary"]().content) > 1_000_000
    assert len(bombs["500 kB of header"]().content.partition(b"\r\n\r\n")[0]) > 490_000
