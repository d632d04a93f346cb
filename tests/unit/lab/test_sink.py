"""The sink keeps what it is sent byte for byte, and plays strangers for those who ask."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from valija.lab.peer import authority, sink

# What a mail system must carry unchanged: dots, long lines, eight bits, trailing spaces, a line feed of its own.
MESSAGE = b"Subject: x\r\n\r\n.\r\n..two\r\n" + b"a" * 5000 + b"\r\ncaf\xc3\xa9 \xe9\r\nend  \r\nbare\nfeed\r\n"


@dataclass(frozen=True)
class Running:
    """A sink on loopback."""

    smtp: int
    relay: int
    api: int
    ca: Path

    def ask(self, method: str, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.api, timeout=10)
        connection.request(method, path)
        answer = connection.getresponse()
        content = json.loads(answer.read())
        connection.close()
        return content

    def tunnel(self, target: str, source: str) -> tuple[bytes, socket.socket]:
        connection = socket.create_connection(("127.0.0.1", self.api), timeout=10)
        connection.sendall(f"CONNECT {target} HTTP/1.1\r\nX-Source: {source}\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        return head.split(b"\r\n")[0], connection


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("sink")
    authority.ensure(folder, ["mx1.remote.test"], ["127.0.0.1"])
    found = Running(free_port(), free_port(), free_port(), folder / "ca.pem")
    config = {
        "listen": [
            {"address": "127.0.0.1", "name": "mx1.remote.test", "port": found.smtp, "auth": False},
            {"address": "127.0.0.1", "name": "mx1.remote.test", "port": found.relay, "auth": True},
        ],
        "api": {"address": "127.0.0.1", "port": found.api},
        "sources": ["127.0.0.2"],
        "targets": ["127.0.0.0/8"],
        "login": {"relay": "right"},
        "certificate": str(folder / "peer.pem"),
        "key": str(folder / "peer.key"),
    }
    loop = asyncio.new_event_loop()
    task = loop.create_task(sink.run(config))

    def serve() -> None:
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)

    thread = threading.Thread(target=serve)
    thread.start()
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", found.api)) == 0:
                break
        threading.Event().wait(0.05)
    yield found
    loop.call_soon_threadsafe(task.cancel)
    thread.join()
    loop.close()


@pytest.fixture(autouse=True)
def empty(running: Running) -> None:
    running.ask("DELETE", "/messages")


def test_a_message_is_kept_byte_for_byte_with_its_envelope(running: Running) -> None:
    with smtplib.SMTP("127.0.0.1", running.smtp, timeout=10) as talk:
        talk.ehlo("client.test")
        talk.docmd("MAIL", "FROM:<>")
        talk.docmd("RCPT", "TO:<a@remote.test>")
        talk.docmd("RCPT", "TO:<b@else.test>")
        talk.docmd("DATA")
        # Dots are doubled here by hand: smtplib would repair the line feed as well.
        talk.send(MESSAGE.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        assert talk.getreply()[0] == 250
    (message,) = running.ask("GET", "/messages")
    assert base64.b64decode(message["data_base64"]) == MESSAGE
    assert (message["mail_from"], message["rcpt_to"]) == ("", ["a@remote.test", "b@else.test"])
    assert (message["helo"], message["tls"], message["login"]) == ("client.test", None, None)
    assert running.ask("GET", f"/messages?since={message['seq']}") == []


def test_the_smarthost_takes_mail_only_with_tls_and_a_password(running: Running) -> None:
    with smtplib.SMTP("127.0.0.1", running.relay, timeout=10) as talk:
        talk.ehlo()
        assert talk.docmd("MAIL", "FROM:<a@example.test>")[0] == 530
        talk.starttls(context=ssl.create_default_context(cafile=str(running.ca)))
        with pytest.raises(smtplib.SMTPAuthenticationError):
            talk.login("relay", "wrong")
        talk.login("relay", "right")
        talk.sendmail("a@example.test", ["b@remote.test"], "Subject: x\r\n\r\ny\r\n")
    (message,) = running.ask("GET", "/messages")
    assert (message["login"], message["tls"], message["port"]) == ("relay", "TLSv1.3", running.relay)


def test_a_tunnel_comes_from_the_stranger_that_was_asked_for(running: Running) -> None:
    status, connection = running.tunnel(f"127.0.0.1:{running.smtp}", "127.0.0.2")
    with connection, connection.makefile("rwb") as talk:
        assert status == b"HTTP/1.1 200 Connected"
        lines = ["EHLO x", "MAIL FROM:<s@client.test>", "RCPT TO:<a@remote.test>", "DATA", "Subject: x\r\n\r\ny\r\n."]
        assert talk.readline().startswith(b"220 ")
        for line in lines:
            talk.write(line.encode() + b"\r\n")
            talk.flush()
            while (reply := talk.readline())[3:4] != b" ":
                assert reply
        assert reply.startswith(b"250 ")
    (message,) = running.ask("GET", "/messages")
    assert message["client"] == "127.0.0.2"


@pytest.mark.parametrize(
    ("target", "source"),
    [("127.0.0.1:25", "127.0.0.3"), ("192.0.2.1:25", "127.0.0.2"), ("nonsense", "127.0.0.2")],
)
def test_a_tunnel_leads_only_from_a_stranger_to_a_host_of_the_lab(running: Running, target: str, source: str) -> None:
    status, connection = running.tunnel(target, source)
    connection.close()
    assert status == b"HTTP/1.1 400 Bad Request"


def test_a_closed_port_behind_a_tunnel_is_said(running: Running) -> None:
    status, connection = running.tunnel(f"127.0.0.1:{free_port()}", "127.0.0.2")
    connection.close()
    assert status == b"HTTP/1.1 502 Bad Gateway"


def test_a_record_is_set_in_the_lab_s_dns_as_one_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    knotc = tmp_path / "knotc"
    knotc.write_text(
        f'#!/bin/sh\necho "$@" >>{tmp_path}/said\n[ "$3" != other.test ] || {{ echo no such zone; exit 1; }}\n'
    )
    knotc.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    asyncio.run(sink.set_record("PUT", "example.test", "_acme.example.test.", data="hello"))
    asyncio.run(sink.set_record("DELETE", "example.test", "_acme.example.test.", data="hello"))
    assert (tmp_path / "said").read_text().splitlines() == [
        "-b zone-begin example.test",
        "zone-set example.test _acme.example.test. 60 TXT hello",
        "-b zone-commit example.test",
        "-b zone-begin example.test",
        "zone-unset example.test _acme.example.test. TXT hello",
        "-b zone-commit example.test",
    ]
    with pytest.raises(ValueError, match="no such zone"):
        asyncio.run(sink.set_record("PUT", "other.test", "x.other.test.", data="hello"))
