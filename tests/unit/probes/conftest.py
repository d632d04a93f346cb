"""Small real servers in threads, so that the probes hold real conversations."""

from __future__ import annotations

import contextlib
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import trustme

Script = list[tuple[bytes, bytes]]


# At the end of an answer: the handshake follows it.
TLS = b"\0TLS"


class Scripted(socketserver.StreamRequestHandler):
    """Says a greeting, then answers each line that begins with a known text; hangs up after the answer b''."""

    greeting = b""
    script: Script = []  # noqa: RUF012 - replaced in a subclass for each server
    tls: ssl.SSLContext | None = None
    implicit = False

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # a client that does not like our certificate hangs up
            if self.implicit:
                self.handshake()
            self.wfile.write(self.greeting)
            self.converse()
        if self.connection is not self.request:
            self.connection.close()

    def handshake(self) -> None:
        assert self.tls is not None
        self.connection = self.tls.wrap_socket(self.request, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)

    def converse(self) -> None:
        while line := self.rfile.readline():
            tag, _space, rest = line.rstrip(b"\r\n").partition(b" ")
            for said, answer in self.script:
                text = line.rstrip(b"\r\n") if not said.startswith(b"@ ") else rest
                if text.startswith(said.removeprefix(b"@ ")):
                    if not answer:
                        return
                    words = answer.removesuffix(TLS)
                    self.wfile.write(words.replace(b"@", tag) if said.startswith(b"@ ") else words)
                    if answer.endswith(TLS):
                        self.handshake()
                    break
            else:
                return


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def serving(
    greeting: bytes, script: Script, tls: ssl.SSLContext | None = None, *, implicit: bool = False
) -> Iterator[int]:
    """A server on loopback; yields its port. In a script, `@ ` stands for IMAP's tag."""
    values = {"greeting": greeting, "script": script, "tls": tls, "implicit": implicit}
    handler = type("Handler", (Scripted,), values)
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def scripted() -> Iterator[Callable[..., int]]:
    """Start a scripted server and return its port; it ends with the test."""
    with ExitStack() as stack:
        yield lambda *words, **options: stack.enter_context(serving(*words, **options))


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """The CA of the servers' certificates."""
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_pem(authority: trustme.CA) -> str:
    """The CA's certificate, as a site file carries it."""
    return authority.cert_pem.bytes().decode()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """A server's own, with a certificate for mail.example.test."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("mail.example.test").configure_cert(context)
    return context
