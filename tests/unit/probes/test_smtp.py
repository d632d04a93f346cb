"""The SMTP probe against a real server, and its judgement of replies."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
from aiosmtpd.controller import Controller

from valija.probes import message, smtp
from valija.probes.smtp import Reply


class Keeper:
    """Keeps every message as it came."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, list[str], bytes]] = []

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:  # noqa: N802 - aiosmtpd's name
        self.kept.append((envelope.mail_from, envelope.rcpt_tos, envelope.original_content))  # type: ignore[attr-defined]
        return "250 2.0.0 Ok: queued as ABC"


@pytest.fixture
def server() -> Iterator[tuple[Keeper, int]]:
    keeper = Keeper()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(keeper, hostname="127.0.0.1", port=port, server_hostname="mx.example.test")
    controller.start()
    yield keeper, port
    controller.stop()


def test_a_message_arrives_byte_for_byte_dots_included(server: tuple[Keeper, int]) -> None:
    keeper, port = server
    sent = message.new("a@example.test", "b@example.test", body=b".\r\n..\r\n.x\r\nend\r\n")
    with smtp.connect("127.0.0.1", port) as talk:
        assert talk.greeting.code == 220
        assert talk.say_ehlo("client.test").accepted
        reply = talk.message("a@example.test", ["b@example.test"], sent.content)
        assert (reply.code, reply.enhanced, reply.sent) == (250, "2.0.0", ".")
        assert talk.command("QUIT").code == 221
        assert talk.read_reply().closed
    [(mail_from, rcpt_tos, content)] = keeper.kept
    assert (mail_from, rcpt_tos) == ("a@example.test", ["b@example.test"])
    assert message.digest(content) == sent.digest


def test_the_transcript_has_every_line_of_both_sides(server: tuple[Keeper, int]) -> None:
    with smtp.connect("127.0.0.1", server[1]) as talk:
        talk.command("HELO client.test")
        talk.command("WHAT")
    said = [(line.who, line.text.split()[0]) for line in talk.transcript.lines]
    assert said == [("S", "220"), ("C", "HELO"), ("S", "250"), ("C", "WHAT"), ("S", "500")]
    assert [reply.sent for reply in talk.replies] == ["", "HELO client.test", "WHAT"]
    times = [line.at for line in talk.transcript.lines]
    assert times == sorted(times)


def test_a_server_that_hangs_up_is_a_closed_reply(scripted: Callable[..., int]) -> None:
    port = scripted(b"220 x.test\r\n", [(b"GET", b"")])
    with smtp.connect("127.0.0.1", port) as talk:
        assert talk.command("GET / HTTP/1.1").closed
        assert talk.command("NOOP").closed


def test_a_password_in_auth_is_masked(scripted: Callable[..., int]) -> None:
    port = scripted(b"220 x.test\r\n", [(b"AUTH LOGIN", b"334 VXNlcm5hbWU6\r\n"), (b"AUTH PLAIN", b"535 5.7.8 No\r\n")])
    with smtp.connect("127.0.0.1", port) as talk:
        talk.docmd("AUTH", "PLAIN AGFsaWNlAHNlY3JldA==")
        talk.docmd("AUTH", "LOGIN")
        talk.send(b"c2VjcmV0\r\n")
    text = str(talk.transcript)
    assert "AGFsaWNl" not in text and "c2VjcmV0" not in text
    assert "AUTH PLAIN ********" in text


GOOD = [
    ("", b"220 x.test ESMTP\r\n"),
    ("EHLO x", b"250-x.test\r\n", b"250 SIZE\r\n"),
    ("MAIL FROM:<>", b"250 2.1.0 Ok\r\n"),
    ("DATA", b"354 go on\r\n"),
    ("ETRN x", b"459 <x>: service unavailable\r\n"),
]
BAD_GRAMMAR = [
    ("", b"220 x.test\n"),
    ("NOOP", b"250 2.0.0 caf\xc3\xa9\r\n"),
    ("NOOP", b"600 2.0.0 Ok\r\n"),
    ("NOOP", b"250" + b"-" + b"a" * 600 + b"\r\n"),
    ("EHLO x", b"250-x\r\n", b"220 y\r\n"),
]
BAD_ENHANCED = [("NOOP", b"250 Ok\r\n"), ("RCPT TO:<x>", b"550 2.1.0 no\r\n"), ("VRFY x", b"454 5.7.1 no\r\n")]


def reply_of(sent: str, *raw: bytes) -> Reply:
    lines = tuple(one[4:].decode("latin-1").strip() for one in raw)
    return Reply(sent, int(raw[-1][:3]), lines, raw)


@pytest.mark.parametrize("case", GOOD)
def test_good_replies_have_no_problem(case: tuple[str, bytes]) -> None:
    reply = reply_of(*case)
    assert smtp.grammar_problems(reply) == smtp.enhanced_code_problems(reply) == []


@pytest.mark.parametrize("case", BAD_GRAMMAR)
def test_replies_against_the_grammar_are_found(case: tuple[str, bytes]) -> None:
    assert smtp.grammar_problems(reply_of(*case))


@pytest.mark.parametrize("case", BAD_ENHANCED)
def test_missing_and_wrong_enhanced_codes_are_found(case: tuple[str, bytes]) -> None:
    assert smtp.enhanced_code_problems(reply_of(*case))
