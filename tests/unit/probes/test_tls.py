"""TLS on the probes: who is trusted, what is forgotten, what the transcript says and does not say."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.probes.conftest import TLS

from valija.probes import imap, pop3, smtp, tls
from valija.probes.tls import Reader

NAME = "mail.example.test"
SMTP = [
    (b"ehlo", b"250-x.test\r\n250 STARTTLS\r\n"),
    (b"STARTTLS", b"220 2.0.0 go\r\n" + TLS),
    (b"AUTH PLAIN", b"235 2.7.0 in\r\n"),
    (b"AUTH LOGIN", b"334 VXNlcm5hbWU6\r\n"),
    (b"YWxpY2U=", b"334 UGFzc3dvcmQ6\r\n"),
    (b"c2VjcmV0", b"535 5.7.8 no\r\n"),
    (b"NOOP", b"250 2.0.0 Ok\r\n"),
    (b"INJECT", b"220 2.0.0 go\r\n250 2.0.0 not yours\r\n" + TLS),
]
IMAP = [
    (b"@ CAPABILITY", b"* CAPABILITY IMAP4rev1 STARTTLS\r\n@ OK done\r\n"),
    (b"@ STARTTLS", b"@ OK begin\r\n" + TLS),
    (b"@ NOOP", b"@ OK done\r\n"),
]
POP3 = [(b"STLS", b"+OK begin\r\n" + TLS), (b"NOOP", b"+OK\r\n"), (b"STAT", b"+OK 0 0\r\n")]

# A probe of each protocol: its class, a greeting, a script, and how a line is asked.
KINDS: dict[str, tuple[Any, bytes, list[tuple[bytes, bytes]], Callable[[Any], str]]] = {
    "smtp": (smtp.Session, b"220 x.test\r\n", SMTP, lambda talk: str(talk.command("NOOP"))),
    "imap": (imap.Session, b"* OK ready\r\n", IMAP, lambda talk: str(talk.ask("NOOP")[0])),
    "pop3": (pop3.Session, b"+OK hello\r\n", POP3, lambda talk: str(talk.ask("NOOP")[0])),
}


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Any:
    return KINDS[request.param]


def test_a_connection_can_begin_with_tls(
    scripted: Callable[..., int], server_tls: ssl.SSLContext, ca_pem: str, kind: Any
) -> None:
    session, greeting, script, ask = kind
    port = scripted(greeting, script, server_tls, implicit=True)
    with session("127.0.0.1", port, tls=tls.verifying(ca_pem), server_name=NAME) as talk:
        assert "OK" in ask(talk).upper()
    assert {line.tls for line in talk.transcript.lines} == {"TLSv1.3"}
    assert talk.transcript.lines[0].text.startswith("TLSv1.3 TLS_")


def test_tls_can_begin_in_the_midst(
    scripted: Callable[..., int], server_tls: ssl.SSLContext, ca_pem: str, kind: Any
) -> None:
    session, greeting, script, ask = kind
    with session("127.0.0.1", scripted(greeting, script, server_tls), server_name=NAME) as talk:
        talk.starttls(tls.verifying(ca_pem))
        assert "OK" in ask(talk).upper()
    versions = [line.tls for line in talk.transcript.lines]
    assert versions[0] is None and versions[-1] == "TLSv1.3", versions


@pytest.mark.parametrize(("name", "known"), [("other.example.test", True), (NAME, False)])
def test_another_name_and_an_unknown_authority_are_refused(
    scripted: Callable[..., int], server_tls: ssl.SSLContext, ca_pem: str, kind: Any, name: str, known: bool
) -> None:
    session, greeting, script, _ask = kind
    with session("127.0.0.1", scripted(greeting, script, server_tls), server_name=name) as talk:
        with pytest.raises(ssl.SSLCertVerificationError):
            talk.starttls(tls.verifying(ca_pem if known else ""))
        assert "certificate verify failed" in str(talk.transcript)


def test_the_name_that_is_wanted_is_the_host_unless_another_is_told(
    scripted: Callable[..., int], server_tls: ssl.SSLContext, ca_pem: str
) -> None:
    port = scripted(b"220 x.test\r\n", SMTP, server_tls, implicit=True)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"127\.0\.0\.1"):
        smtp.connect("127.0.0.1", port, tls=tls.verifying(ca_pem))


def test_what_the_server_told_before_tls_is_forgotten(
    scripted: Callable[..., int], server_tls: ssl.SSLContext, ca_pem: str
) -> None:
    with smtp.connect("127.0.0.1", scripted(b"220 x.test\r\n", SMTP, server_tls), server_name=NAME) as talk:
        talk.ehlo()
        assert talk.has_extn("starttls")
        assert talk.starttls(tls.verifying(ca_pem)).code == 220
        assert not talk.has_extn("starttls")
        talk.ehlo_or_helo_if_needed()
        assert talk.replies[-1].sent.startswith("ehlo")


def test_clear_text_behind_the_answer_to_starttls_is_not_taken_for_protected(
    scripted: Callable[..., int], server_tls: ssl.SSLContext, ca_pem: str
) -> None:
    with smtp.connect("127.0.0.1", scripted(b"220 x.test\r\n", SMTP, server_tls), server_name=NAME) as talk:
        talk.raw_bytes(b"INJECT\r\n")
        assert talk.read_reply().code == 220
        assert talk.answers_within(1)
        assert talk.handshake(tls.verifying(ca_pem)) == b"250 2.0.0 not yours\r\n"
        assert not talk.answers_within(0.1)
        assert talk.command("NOOP").code == 250


def test_a_login_leaves_no_secret_behind(scripted: Callable[..., int]) -> None:
    with smtp.connect("127.0.0.1", scripted(b"220 x.test\r\n", SMTP)) as talk:
        assert talk.log_in("alice", "secret").code == 235
        assert talk.log_in("alice", "secret", "LOGIN").code == 535
        talk.raw_bytes(b"NOOP\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n")
        talk.read_reply()
    left = str(talk.transcript) + " ".join(reply.sent for reply in talk.replies)
    for secret in ("secret", "c2VjcmV0", smtp.base64("\0alice\0secret")):
        assert secret not in left
    assert talk.replies[1].sent == "AUTH PLAIN ********"
    assert left.count("C: ********") == 2


def test_octets_before_the_greeting_are_sent_before_it(scripted: Callable[..., int]) -> None:
    port = scripted(b"220 x.test\r\n", SMTP)
    with smtp.connect("127.0.0.1", port, early=b"NOOP\r\n") as talk:
        assert talk.read_reply().code == 250
    said = [(line.who, line.text[:4]) for line in talk.transcript.lines]
    assert said[:2] == [("C", "NOOP"), ("S", "220 ")]


def pair() -> tuple[socket.socket, Reader]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(0.05)
    return ours, Reader(theirs)


def test_a_reader_tells_what_is_there_and_loses_nothing() -> None:
    ours, reader = pair()
    with ours, reader.sock:
        assert not reader.anything_within(0.01)
        ours.sendall(b"one\r\ntwo")
        assert reader.anything_within(1) and reader.readline() == b"one\r\n"
        assert reader.read(2) == b"tw" and reader.readline(1) == b"o"
        ours.sendall(b"three\r\nfour\r\n")
        assert reader.readline() == b"three\r\n" and reader.forget() == b"four\r\n"
        assert not reader.anything_within(0.01)
        ours.close()
        assert reader.anything_within(1) and reader.readline() == reader.read(5) == b""


def test_a_reader_waits_once_for_a_silent_server() -> None:
    ours, reader = pair()
    with ours, reader.sock:
        with pytest.raises(TimeoutError, match="timed out"):
            reader.readline()
        with pytest.raises(TimeoutError, match="silent"):
            reader.read(1)
