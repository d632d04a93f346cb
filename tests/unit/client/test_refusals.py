"""Each refusal is explained: what was said, what it means, what to do; nothing goes on in clear text instead."""

from __future__ import annotations

import datetime
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from valija.client import (
    Kind,
    Login,
    Message,
    NotSentError,
    Problem,
    Result,
    Security,
    Server,
    problems,
    providers,
    send,
)
from valija.client.advice import REFUSALS, remedy
from valija.client.connection import ClosedError, Connection, Course
from valija.errors import InputError
from valija.probes.smtp import Reply

from .conftest import Start
from .servers import Running, Scripted

ALICE = Login("alice", "wrong horse")
Certificate = Callable[..., ssl.SSLContext]


def message(**changes: Any) -> Message:
    return Message(**{"sender": "alice@example.org", "to": "bob@example.net", "subject": "S", "text": "T\n", **changes})


def plain(server: Running | Scripted) -> Server:
    return Server("127.0.0.1", server.port, Security.NONE)


def not_sent(*given: Any, **options: Any) -> Result:
    with pytest.raises(NotSentError) as caught:
        send(*given, **options)
    assert caught.value.exit_code == caught.value.result.exit_code != 0
    return caught.value.result


def problem(*given: Any, **options: Any) -> Problem:
    found = not_sent(*given, **options).problem
    assert found
    assert found.words
    assert found.remedy
    return found


@pytest.mark.parametrize(
    ("reply", "kind", "words", "remedy"),
    [
        (
            "535 5.7.8 Username and Password not accepted",
            Kind.LOGIN,
            "The name or the password is wrong",
            "--providers",
        ),
        ("535 5.7.139 Authentication unsuccessful, basic authentication is disabled.", Kind.LOGIN, "password", "token"),
        ("534 5.7.9 Application-specific password required", Kind.LOGIN, "too weak", "app password"),
        ("530 5.7.0 Must issue a STARTTLS command first", Kind.LOGIN, "has to come first", "--security starttls"),
        ("538 5.7.11 Encryption required", Kind.LOGIN, "needs encryption", "--security starttls"),
        ("454 4.7.0 Temporary authentication failure", Kind.LATER, "Not possible for the moment", "Wait"),
        ("432 4.7.12 A password transition is needed", Kind.LATER, "has to be changed", "Change the password"),
        ("535 5.7.13 User account disabled", Kind.LOGIN, "the account is disabled", "locked"),
    ],
)
def test_a_refused_login_is_explained(
    reply: str, kind: Kind, words: str, remedy: str, start: Start, context: ssl.SSLContext, ca_file: Path
) -> None:
    server = start(starttls=context, refuses={"AUTH": reply})
    found = problem(message(), Server("localhost", server.port, ca_file=ca_file), login=ALICE)
    assert (found.kind, found.stage, found.said) == (kind, "login", reply)
    assert words in found.words
    assert remedy in found.remedy
    assert b"MAIL" not in server.received


@pytest.mark.parametrize(
    ("where", "reply", "words", "remedy"),
    [
        ("MAIL", "530 5.7.0 Must issue a STARTTLS command first", "has to come first", "--security starttls"),
        ("MAIL", "530 5.7.1 Authentication required", "has to come first", "--user"),
        ("MAIL", "553 5.7.1 <a@x>: Sender address rejected: not owned by user", "not allowed", "--from"),
        ("MAIL", "550 5.7.1 Sender rejected", "rules of this server", "--from that belongs"),
        ("MAIL", "552 5.3.4 Message size exceeds fixed limit", "Too large", "attachments"),
        ("MAIL", "450 4.1.8 Domain not found", "sender's domain", "whose domain exists"),
        ("RCPT", "550 5.1.1 User unknown", "no such mailbox", "slip of the pen"),
        ("RCPT", "554 5.7.1 Relay access denied", "rules of this server", "for strangers"),
        ("RCPT", "556 5.1.10 Null MX", "takes no mail", "takes no mail at all"),
        ("RCPT", "552 5.2.2 Mailbox full", "the mailbox is full", "is full"),
        ("RCPT", "450 4.2.0 Greylisted", "try again later", "first time on purpose"),
        ("RCPT", "452 4.5.3 Too many recipients", "too many recipients", "fewer recipients"),
        (
            "DATA",
            "550 5.7.26 Unauthenticated email is not accepted due to DMARC",
            "authentication",
            "SPF, DKIM or DMARC",
        ),
        ("DATA", "554 5.7.1 Spam message rejected", "rules of this server", "links, the attachments"),
        ("DATA", "552 Error: too much mail data", "Too large", "attachments"),
        ("DATA", "451 4.3.0 Try later", "try again later", "some minutes"),
    ],
)
@pytest.mark.parametrize("offers", [["PIPELINING"], []], ids=["pipelined", "one-by-one"])
def test_a_refused_message_is_explained(
    where: str, reply: str, words: str, remedy: str, offers: list[str], start: Start
) -> None:
    server = start(refuses={where: reply}, offers=offers)
    result = not_sent(message(), plain(server))
    (found,) = [one.problem for one in result.refused] if where == "RCPT" else [result.problem]
    assert found
    assert found.said == reply
    assert words in found.words
    assert remedy in found.remedy
    assert result.exit_code == (3 if reply.startswith("4") else 1)
    assert server.handler.envelopes == []
    assert result.transcript.lines[-1].text == "221 Bye"


@pytest.mark.parametrize("offers", [["PIPELINING"], []], ids=["pipelined", "one-by-one"])
def test_one_recipient_refused_does_not_keep_the_others_from_it(offers: list[str], start: Start) -> None:
    server = start(refuses={"RCPT nobody@example.net": "550 5.1.1 User unknown"}, offers=offers)
    result = send(message(cc="nobody@example.net, carol@example.net"), plain(server))
    assert result.accepted == ("bob@example.net", "carol@example.net")
    assert [(one.address, one.problem.code) for one in result.refused] == [("nobody@example.net", 550)]
    assert result.exit_code == 1
    assert server.message.rcpt_tos == ["bob@example.net", "carol@example.net"]


def test_refused_recipients_are_told_even_if_the_message_is_refused_then(start: Start) -> None:
    server = start(refuses={"RCPT no@example.net": "550 5.1.1 No", "DATA": "554 5.7.1 Spam"})
    result = not_sent(message(cc="no@example.net"), plain(server))
    assert [one.address for one in result.refused] == ["no@example.net"]
    assert result.problem
    assert result.problem.stage == "end"
    assert result.accepted == ()


def test_a_server_that_wants_a_message_for_nobody_gets_a_dot_alone() -> None:
    replies = [
        b"220 x\r\n",
        b"250-x\r\n250 PIPELINING\r\n",
        b"250 ok\r\n",
        b"550 5.1.1 no\r\n",
        b"354 go\r\n",
        b"554 no\r\n",
        b"221 x\r\n",
    ]
    with Scripted(replies).listening() as server:
        result = not_sent(message(), plain(server))
    assert [line.strip() for line in server.lines][-3:] == [b"DATA", b".", b"QUIT"]
    assert result.refused[0].problem.code == 550
    assert b"Subject" not in b"".join(server.lines)


def test_a_refused_sender_is_the_reason_and_not_what_follows_from_it() -> None:
    refused = b"550 5.7.1 no\r\n503 5.5.1 need MAIL\r\n503 5.5.1 need MAIL\r\n"
    replies = [b"220 x\r\n", b"250-x\r\n250 PIPELINING\r\n", refused, b"", b"", b"221 bye\r\n"]
    with Scripted(replies).listening() as server:
        result = not_sent(message(), plain(server))
    assert result.problem
    assert (result.problem.stage, result.problem.code) == ("sender", 550)
    assert result.refused == ()


def test_a_message_larger_than_the_server_takes_is_not_sent(start: Start) -> None:
    server = start(size=1000)
    found = problem(message(text="x" * 2000), plain(server))
    assert "at most 1000" in found.words
    assert "attachments" in found.remedy
    assert b"MAIL" not in server.received


def test_an_address_in_another_script_is_not_sent_where_it_is_not_taken(start: Start) -> None:
    server = start(smtputf8=False)
    found = problem(message(to="bø@example.net"), plain(server))
    assert "SMTPUTF8" in found.words
    assert "ASCII" in found.remedy
    assert b"MAIL" not in server.received


# TLS


def test_starttls_that_is_not_offered_ends_it(start: Start, ca_file: Path) -> None:
    server = start()
    found = problem(message(), Server("localhost", server.port, ca_file=ca_file), login=ALICE)
    assert (found.kind, found.stage) == (Kind.TLS, "starttls")
    assert "offers no STARTTLS" in found.words
    assert b"AUTH" not in server.received
    assert b"MAIL" not in server.received


def test_starttls_that_is_refused_ends_it() -> None:
    replies = [b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", b"454 4.7.0 TLS not available\r\n", b"221 x\r\n"]
    with Scripted(replies).listening() as server:
        found = problem(message(), Server("127.0.0.1", server.port))
    assert (found.kind, found.code) == (Kind.TLS, 454)


def test_what_is_said_before_tls_is_forgotten(context: ssl.SSLContext, ca_file: Path) -> None:
    injected = b"220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n"
    with Scripted([b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", injected]).listening() as server:
        found = problem(message(), Server("localhost", server.port, ca_file=ca_file))
    assert found.kind in (Kind.TLS, Kind.LATER)
    assert len(server.lines) == 2


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
def test_an_untrusted_certificate_ends_it(security: Security, start: Start, context: ssl.SSLContext) -> None:
    server = start(**{"tls" if security is Security.TLS else "starttls": context})
    found = problem(message(), Server("localhost", server.port, security), login=ALICE)
    assert (found.kind, found.stage) == (Kind.TLS, "tls")
    assert "not trusted here" in found.words
    assert "--ca-file" in found.remedy
    assert b"AUTH" not in server.received


def test_a_certificate_for_another_name_ends_it(start: Start, certificate: Certificate, ca_file: Path) -> None:
    server = start(starttls=certificate("mail.example.org"))
    found = problem(message(), Server("localhost", server.port, ca_file=ca_file))
    assert found.words == "The server's certificate is for another name."
    found = problem(message(), Server("127.0.0.1", server.port, ca_file=ca_file))
    assert "not for this address" in found.words


def test_an_expired_certificate_ends_it(start: Start, certificate: Certificate, ca_file: Path) -> None:
    long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    server = start(starttls=certificate("localhost", not_before=long_ago, not_after=long_ago + datetime.timedelta(30)))
    found = problem(message(), Server("localhost", server.port, ca_file=ca_file))
    assert found.words == "The server's certificate has expired."


def test_another_root_is_not_enough(start: Start, context: ssl.SSLContext, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    server = start(starttls=context)
    assert problem(message(), Server("localhost", server.port, ca_file=tmp_path / "other.pem")).kind is Kind.TLS


def test_tls_at_once_where_the_server_begins_in_clear_text(start: Start, ca_file: Path) -> None:
    server = start()
    found = problem(message(), Server("localhost", server.port, Security.TLS, ca_file))
    assert (found.kind, found.remedy) == (Kind.TLS, "Use --security starttls.")


def test_a_password_never_goes_over_a_network_in_clear_text() -> None:
    with pytest.raises(InputError, match="without TLS"):
        send(message(), Server("mail.example.org", 25, Security.NONE), login=ALICE)


# Logins


def test_no_login_offered_and_none_that_fits(start: Start, context: ssl.SSLContext, ca_file: Path) -> None:
    server = start(starttls=context, mechanisms_hidden=["PLAIN", "LOGIN"])
    there = Server("localhost", server.port, ca_file=ca_file)
    found = problem(message(), there, login=ALICE)
    assert found.kind is Kind.LOGIN
    assert "XOAUTH2" in found.words
    server = start(starttls=context, hides=["AUTH"])
    assert "no login" in problem(message(), Server("localhost", server.port, ca_file=ca_file), login=ALICE).words


def test_a_refused_token_is_explained(start: Start, context: ssl.SSLContext, ca_file: Path) -> None:
    server = start(starttls=context)
    result = not_sent(
        message(), Server("localhost", server.port, ca_file=ca_file), login=Login("alice", "old", token=True)
    )
    assert result.problem
    assert (result.problem.kind, result.problem.code) == (Kind.LOGIN, 535)
    assert result.transcript.lines[-1].text == "221 Bye"


def test_a_secret_that_the_server_repeats_is_not_shown(start: Start, context: ssl.SSLContext, ca_file: Path) -> None:
    server = start(starttls=context, echoes_login=True)
    result = not_sent(message(), Server("localhost", server.port, ca_file=ca_file), login=ALICE)
    assert result.problem
    assert result.problem.said == "535 5.7.8 Error: PLAIN refused for ********"
    assert "wrong horse" not in str(result.transcript) + str(result.to_json())


def test_gmail_says_that_it_wants_an_app_password() -> None:
    said = "5.7.8 Username and Password not accepted. For more information, go to"
    link = "https://support.google.com/mail/?p=BadCredentials"
    reply = Reply("AUTH", 535, (said, f"5.7.8  {link}"), ())
    found = problems.of_reply("login", reply, providers.named("gmail").server, ALICE)
    assert "Gmail, Google Workspace wants an app password" in found.remedy
    assert "https://myaccount.google.com/apppasswords" in found.remedy
    assert found.said == f"535 {said} / {link}"


# The network


def test_nobody_listening_an_unknown_host_and_a_web_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    found = problem(message(), Server("127.0.0.1", port))
    assert (found.kind, found.words) == (Kind.LATER, f"Nobody listens at 127.0.0.1:{port}.")
    found = problem(message(), Server("mail.nowhere.invalid", 587))
    assert "mail.nowhere.invalid" in found.words
    assert found.kind is Kind.LATER
    with Scripted([b"HTTP/1.1 400 Bad Request\r\n\r\n"]).listening() as server:
        assert "does not speak SMTP" in problem(message(), plain(server)).words


HELLO = [b"220 x\r\n", b"250 x\r\n"]


@pytest.mark.parametrize(
    ("replies", "stage", "remedy"),
    [
        ([b""], "greeting", "--security tls"),
        ([b"220 x\r\n", b""], "hello", "--timeout"),
        ([*HELLO, b""], "sender", "--timeout"),
        ([*HELLO, b"250 ok\r\n", b""], "recipient", "--timeout"),
        ([*HELLO, b"250 ok\r\n", b"250 ok\r\n", b""], "data", "--timeout"),
    ],
)
def test_silence_is_told_with_where_it_began(replies: list[bytes], stage: str, remedy: str) -> None:
    with Scripted(replies, silent=True).listening() as server:
        begin = time.monotonic()
        found = problem(message(), plain(server), timeout=0.3)
        assert time.monotonic() - begin < 5
    assert (found.kind, found.stage) == (Kind.LATER, stage)
    assert "within 0.3 s" in found.words
    assert remedy in found.remedy


@pytest.mark.parametrize("replies", [[b""], HELLO[:1], HELLO, [*HELLO, b"250 ok\r\n"]])
def test_a_closed_connection_is_told(replies: list[bytes]) -> None:
    with Scripted(replies).listening() as server:
        found = problem(message(), plain(server))
    assert found.kind is Kind.LATER
    assert "closed the connection" in found.words


def test_a_line_that_cannot_be_sent_is_a_closed_connection() -> None:
    with Scripted([*HELLO, b""]).listening() as server:
        connection = Connection(plain(server), Course(), timeout=5)
        assert connection.sock
        connection.sock.shutdown(socket.SHUT_WR)
        with pytest.raises(ClosedError):
            connection.ask("sender", "MAIL FROM:<>")
        connection.close()


def test_a_handshake_that_is_not_answered_is_told(ca_file: Path) -> None:
    with Scripted([b""], silent=True).listening() as server:
        found = problem(message(), Server("localhost", server.port, Security.TLS, ca_file), timeout=0.3)
    assert "within 0.3 s: the TLS handshake" in found.words


@pytest.mark.parametrize("silent", [True, False])
def test_after_the_message_nobody_knows(silent: bool) -> None:
    lines = message().mime().as_bytes().count(b"\r\n")
    talk = [*HELLO, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", *[b""] * (lines + 1)]
    with Scripted(talk, silent=silent).listening() as server:
        result = not_sent(message(), plain(server), timeout=0.5, final_timeout=0.5)
    assert server.lines[-1] == b".\r\n"
    assert result.problem
    assert (result.problem.kind, result.exit_code) == (Kind.UNKNOWN, 6)
    assert "before you send it again" in result.problem.remedy


@pytest.mark.parametrize("greeting", [b"554 5.7.1 no\r\n", b"421 4.3.2 busy\r\n"])
def test_a_greeting_that_says_no_is_explained(greeting: bytes) -> None:
    with Scripted([greeting, b""]).listening() as server:
        found = problem(message(), plain(server))
    assert (found.stage, found.code) == ("greeting", int(greeting[:3]))


def test_a_server_without_extensions_gets_helo() -> None:
    talk = [b"220 x\r\n", b"502 no\r\n", b"250 x\r\n", b"550 5.1.8 no\r\n", b"221 x\r\n"]
    with Scripted(talk).listening() as server:
        assert problem(message(), plain(server)).stage == "sender"
    assert server.lines[1:3] == [b"HELO [127.0.0.1]\r\n", b"MAIL FROM:<alice@example.org>\r\n"]


def test_every_row_of_the_advice_can_be_reached() -> None:
    """A row that stands behind a wider one would never be shown."""
    seen = set()
    stages = ["greeting", "hello", "starttls", "login", "sender", "recipient", "data", "content", "end"]
    codes = [421, 432, 450, 451, 452, 454, 500, 501, 504, 523, 530, 534, 535, 538, 550, 551, 552, 553, 554, 555, 556]
    enhanced = [f"{s}.{c}" for s in range(8) for c in [*range(15), *range(20, 28), 30, 139]]
    for stage in stages:
        for code in codes:
            for fine in ["", *(f"{code // 100}.{one}" for one in enhanced)]:
                seen.add(remedy(stage, code, fine, ""))
    assert seen == {advice.remedy for advice in REFUSALS}
