"""Messages, waiting, masks, the peer and the routes."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Callable

import pytest

from valija.probes import message, wait
from valija.probes.peer import Peer
from valija.probes.routes import Loopback, Tunnel, join, ssh_command
from valija.probes.transcript import Recorder, mask


@pytest.mark.parametrize(
    ("content", "stuffed"),
    [
        (b"", b".\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\r\n.b\r\n..\r\n", b"a\r\n..b\r\n...\r\n.\r\n"),
    ],
)
def test_dots_are_doubled(content: bytes, stuffed: bytes) -> None:
    assert message.dot_stuffed(content) == stuffed


def test_what_was_sent_is_found_behind_the_trace() -> None:
    sent = message.new("a@x.test", "b@x.test")
    trace = b"Return-Path: <a@x.test>\r\nReceived: from x\r\n"
    assert message.sent_part(trace + sent.content, sent.test_id) == sent.content
    assert message.trace_part(trace + sent.content, sent.test_id) == trace
    assert message.sent_part(b"nothing", sent.test_id) == b""


def test_waiting_ends_with_the_value_or_says_what_was_missing() -> None:
    values = iter([0, 0, 7])
    assert wait.until(lambda: next(values), within=5, every=0.001) == 7
    with pytest.raises(wait.TooLateError, match=r"Waited 0\.01 s in vain for the bus"):
        wait.until(lambda: False, within=0.01, what="the bus", every=0.001)


@pytest.mark.parametrize(
    ("protocol", "line", "shown"),
    [
        ("smtp", "AUTH PLAIN AGE=", "AUTH PLAIN ********"),
        ("smtp", "AUTH LOGIN", "AUTH LOGIN"),
        ("imap", 'a1 LOGIN "al ice" "pw"', 'a1 LOGIN "al ice" ********'),
        ("imap", "a1 AUTHENTICATE PLAIN AGE=", "a1 AUTHENTICATE PLAIN ********"),
        ("pop3", "PASS se cret", "PASS ********"),
        ("pop3", "USER alice", "USER alice"),
        ("http", "Cookie: a=b; c=d", "Cookie: ********"),
        ("http", "Set-Cookie: k=v; HttpOnly", "Set-Cookie: k=********; HttpOnly"),
    ],
)
def test_secrets_are_masked(protocol: str, line: str, shown: str) -> None:
    assert mask(protocol, line) == shown


def test_a_transcript_is_plain_data_without_control_characters() -> None:
    recorder = Recorder("smtp", "198.51.100.10:25", "198.51.100.1:4000")
    recorder.client_says(b"NOOP \x1b[31m\r\n")
    recorder.client_sends_body(b"a\r\n" * 100, shown=3)
    data = json.loads(json.dumps(recorder.transcript().to_json()))
    assert data["lines"][0] == {"at": data["lines"][0]["at"], "who": "C", "text": "NOOP \\x1b[31m", "tls": None}
    assert [line["who"] for line in data["lines"]] == ["C", "C", "C", "C", "*"]


def test_ssh_is_called_with_the_site_s_options() -> None:
    site = {"host": "2001:db8::1", "port": 2222, "user": "root", "key": "/k", "options": ["-o", "X=y"]}
    assert ssh_command(site)[-1] == "root@2001:db8::1"
    assert ssh_command(site)[5:-1] == ["-p", "2222", "-i", "/k", "-o", "X=y"]
    assert ssh_command({"local": True}) == []
    assert join("2001:db8::1", 25) == "[2001:db8::1]:25"


def test_loopback_talks_through_the_command_s_standard_input_and_output() -> None:
    with Loopback(["sh", "-c", 'read line; echo "got $line"; exit', "sh"]).connect("127.0.0.1", 25) as sock:
        sock.sendall(b"hello\n")
        assert sock.makefile("rb").readline() == b"got hello\n"


def test_the_peer_s_sink_is_read(scripted: Callable[..., int]) -> None:
    item = {"seq": 3, "address": "198.51.100.3", "client": "198.51.100.10", "helo": "mail.x.test"}
    item |= {"mail_from": "a@x.test", "rcpt_to": ["b@remote.test"], "data_base64": base64.b64encode(b"abc").decode()}
    body = json.dumps([item]).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    peer = Peer(f"http://127.0.0.1:{scripted(b'', [(b'GET /messages?since=0', head + body)])}")
    assert peer.last_seq() == 3
    [found] = peer.holding("abc")
    assert (found.data, found.rcpt_to) == (b"abc", ("b@remote.test",))
    assert peer.holding("absent") == []


def tunnel_server(answer: bytes) -> tuple[int, list[bytes]]:
    """A server that takes one CONNECT and answers it."""
    listener = socket.create_server(("127.0.0.1", 0))
    heard: list[bytes] = []

    def serve() -> None:
        with listener, listener.accept()[0] as sock:
            heard.append(sock.recv(4096))
            sock.sendall(answer)

    threading.Thread(target=serve).start()
    return listener.getsockname()[1], heard


def test_a_stranger_comes_through_the_peer_s_tunnel() -> None:
    port, heard = tunnel_server(b"HTTP/1.1 200 Connected\r\n\r\n220 mail.x.test\r\n")
    with Tunnel("127.0.0.1", port, "198.51.100.20").connect("2001:db8::10", 25) as sock:
        assert sock.makefile("rb").readline() == b"220 mail.x.test\r\n"
    assert heard[0].startswith(b"CONNECT [2001:db8::10]:25 HTTP/1.1\r\n") and b"X-Source: 198.51.100.20\r\n" in heard[0]


def test_a_refused_tunnel_says_why() -> None:
    port, _heard = tunnel_server(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
    with pytest.raises(ConnectionRefusedError, match="502 Bad Gateway"):
        Tunnel("127.0.0.1", port, "198.51.100.20").connect("198.51.100.10", 25)
