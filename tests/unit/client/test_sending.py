"""Messages that arrive: what goes over the wire, octet by octet."""

from __future__ import annotations

import re
import ssl
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from valija.client import Attachment, Login, Message, Notify, Reports, Security, Server, send
from valija.client.transaction import xtext

from .conftest import Start
from .servers import Running

ALICE = Login("alice", "right horse")


def message(**changes: Any) -> Message:
    return Message(**{"sender": "alice@example.org", "to": "bob@example.net", "subject": "S", "text": "T\n", **changes})


def plain(server: Running) -> Server:
    return Server("127.0.0.1", server.port, Security.NONE)


def starttls(server: Running, ca_file: Path, host: str = "localhost") -> Server:
    return Server(host, server.port, Security.STARTTLS, ca_file)


def commands(server: Running) -> list[str]:
    return [
        line for line in server.received.decode().split("\r\n") if line.startswith(("EHLO", "MAIL", "RCPT", "AUTH"))
    ]


def test_a_message_goes_under_starttls_with_a_login(start: Start, context: ssl.SSLContext, ca_file: Path) -> None:
    server = start(starttls=context)
    result = send(message(), starttls(server, ca_file), login=ALICE)
    assert result.exit_code == 0
    assert result.accepted == ("bob@example.net",)
    assert result.reply == "250 2.0.0 Ok: queued as 4TEST"
    assert server.message.mail_from == "alice@example.org"
    said = [line for line in result.transcript.lines if line.text.startswith("EHLO")]
    assert [line.tls for line in said] == [None, "TLSv1.3"]
    assert "********" in str(result.transcript)
    assert "cmlnaHQ" not in str(result.transcript)


def test_a_message_goes_under_tls_from_the_beginning(start: Start, context: ssl.SSLContext, ca_file: Path) -> None:
    server = start(tls=context)
    result = send(message(), Server("localhost", server.port, Security.TLS, ca_file), login=ALICE)
    assert result.exit_code == 0
    assert all(line.tls for line in result.transcript.lines if line.who != "*")


def test_a_message_goes_without_tls_when_that_is_asked_for(start: Start) -> None:
    server = start()
    assert send(message(), plain(server)).exit_code == 0
    assert commands(server)[0] == "EHLO [127.0.0.1]"


def test_the_name_for_ehlo_can_be_given(start: Start) -> None:
    server = start()
    send(message(), plain(server), hello="client.example.org")
    assert commands(server)[0] == "EHLO client.example.org"


def test_octets_arrive_as_they_were_and_bcc_stays_in_the_envelope(start: Start) -> None:
    server = start()
    octets = bytes(range(256)) * 4
    text = ".\n..\n.dot\nAño ñandú\n" + "long " * 300 + "\nfrom me\n"
    send(message(text=text, bcc="dan@example.net", attachments=[Attachment("a.bin", octets)]), plain(server))
    envelope = server.message
    assert envelope.rcpt_tos == ["bob@example.net", "dan@example.net"]
    assert isinstance(envelope.content, bytes)
    assert b"dan@" not in envelope.content
    mime = message_from_bytes(envelope.content, policy=policy.default)
    assert mime.get_body(("plain",)).get_content().replace("\r\n", "\n") == text  # type: ignore[attr-defined]
    assert [part.get_payload(decode=True) for part in mime.iter_attachments()] == [octets]  # type: ignore[attr-defined]


def test_leading_dots_are_doubled_on_the_wire(start: Start) -> None:
    server = start(hides=["8BITMIME"])
    send(message(text=".\n..two\nend\n"), plain(server))
    assert b"\r\n\r\n..\r\n...two\r\nend\r\n.\r\n" in server.received
    assert isinstance(server.message.content, bytes)
    assert server.message.content.endswith(b"\r\n\r\n.\r\n..two\r\nend\r\n")


def test_envelope_and_data_are_one_segment_when_pipelining_is_offered(start: Start) -> None:
    server = start()
    send(message(cc=[f"c{n}@example.net" for n in range(5)]), plain(server))
    (segment,) = [one for one in server.segments if one.startswith(b"MAIL")]
    assert re.fullmatch(rb"MAIL FROM:<alice@example.org> [^\r]*\r\n(RCPT TO:<[^>]*>\r\n){6}DATA\r\n", segment)


def test_many_recipients_go_in_groups(start: Start) -> None:
    server = start()
    result = send(message(cc=[f"c{n}@example.net" for n in range(120)]), plain(server))
    assert len(result.accepted) == len(server.message.rcpt_tos) == 121
    assert sorted(one.count(b"RCPT") for one in server.segments if b"RCPT" in one) == [21, 50, 50]


def test_commands_go_one_by_one_when_pipelining_is_not_offered(start: Start) -> None:
    server = start(offers=[])
    send(message(cc="carol@example.net"), plain(server))
    verbs = [one.split(b" ")[0].strip() for one in server.segments if one.count(b"\r\n") == 1]
    assert verbs == [b"EHLO", b"MAIL", b"RCPT", b"RCPT", b"DATA", b"QUIT"]


def test_size_is_declared_and_is_the_size(start: Start) -> None:
    server = start()
    send(message(text=".dots\n" * 20), plain(server))
    declared = re.search(rb"SIZE=(\d+)", server.received)
    assert declared
    assert int(declared[1]) == len(server.message.content or b"")


@pytest.mark.parametrize(("hides", "body"), [([], b" BODY=8BITMIME"), (["8BITMIME"], b"")])
def test_eight_bits_are_declared_where_offered_and_encoded_elsewhere(
    start: Start, hides: list[str], body: bytes
) -> None:
    server = start(hides=hides)
    send(message(text="Año\n"), plain(server))
    assert (b" BODY=8BITMIME" in server.received) is bool(body)
    assert isinstance(server.message.content, bytes)
    assert server.message.content.isascii() is not bool(body)


def test_nothing_is_declared_that_a_message_does_not_need(start: Start) -> None:
    server = start()
    send(message(), plain(server))
    assert b"BODY=" not in server.received
    assert b"SMTPUTF8" not in server.received


def test_addresses_in_other_scripts_go_with_smtputf8(start: Start) -> None:
    server = start()
    send(message(to="Bø <bø@example.net>"), plain(server))
    assert "RCPT TO:<bø@example.net>" in commands(server)
    assert commands(server)[1].endswith(" SMTPUTF8")
    assert "To: Bø <bø@example.net>\r\n".encode() in (server.message.content or b"")


def test_a_domain_in_another_script_needs_no_extension(start: Start) -> None:
    server = start(smtputf8=False)
    send(message(to="bob@exámple.net"), plain(server))
    assert commands(server)[-1] == "RCPT TO:<bob@xn--exmple-qta.net>"


def test_reports_are_asked_for_on_the_wire(start: Start) -> None:
    server = start()
    reports = Reports([Notify.SUCCESS, Notify.FAILURE], "headers")
    assert send(message(to="b+o=b@example.net"), plain(server), reports=reports).notes == ()
    assert re.search(r" RET=HDRS ENVID=[0-9a-f]{32}$", commands(server)[1])
    assert commands(server)[2] == (
        "RCPT TO:<b+o=b@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+2Bo+3Db@example.net"
    )


def test_reports_are_not_asked_for_where_they_are_not_offered(start: Start) -> None:
    server = start(offers=["PIPELINING"])
    result = send(message(), plain(server), reports=Reports([Notify.NEVER]))
    assert (result.exit_code, len(result.notes)) == (0, 1)
    assert b"NOTIFY" not in server.received


def test_xtext_is_printable_ascii() -> None:
    assert xtext("a+b=c d~") == "a+2Bb+3Dc+20d~"


@pytest.mark.parametrize(
    ("hidden", "login", "line"),
    [
        ([], ALICE, "AUTH PLAIN AGFsaWNlAHJpZ2h0IGhvcnNl"),
        (["PLAIN"], ALICE, "AUTH LOGIN"),
        ([], Login("alice", "right horse", mechanism="LOGIN"), "AUTH LOGIN"),
        ([], Login("alice", "ya29.good", token=True), "AUTH XOAUTH2 dXNlcj1hbGljZQFhdXRoPUJlYXJlciB5YTI5Lmdvb2QBAQ=="),
    ],
)
def test_the_ways_to_log_in(
    hidden: list[str], login: Login, line: str, start: Start, context: ssl.SSLContext, ca_file: Path
) -> None:
    server = start(starttls=context, mechanisms_hidden=hidden)
    result = send(message(), starttls(server, ca_file), login=login)
    assert result.exit_code == 0
    assert line in commands(server)
    shown = str(result.transcript)
    for secret in ("right horse", "cmlnaHQgaG9yc2U=", "AGFsaWNl", "YWxpY2U=", "dXNlcj1hb"):
        assert secret not in shown


def test_a_long_token_waits_for_the_challenge(start: Start, context: ssl.SSLContext, ca_file: Path) -> None:
    token = "x" * 500
    server = start(starttls=context, token=token)
    assert send(message(), starttls(server, ca_file), login=Login("alice", token, token=True)).exit_code == 0
    assert "AUTH XOAUTH2" in commands(server)


def test_a_large_message_is_sent_whole_and_shown_in_part(start: Start) -> None:
    server = start(size=4_000_000)
    octets = b"0123456789" * 200_000
    result = send(message(attachments=[Attachment("big.bin", octets)]), plain(server))
    assert len(result.transcript.lines) < 80
    assert "and so on:" in str(result.transcript)
    assert len(server.message.content or b"") > 2_600_000


def test_a_secret_is_in_no_representation() -> None:
    assert "right horse" not in repr(ALICE)
