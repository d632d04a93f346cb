"""Small real servers in threads, so that the probes hold real conversations."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

Script = list[tuple[bytes, bytes]]


class Scripted(socketserver.StreamRequestHandler):
    """Says a greeting, then answers each line that begins with a known text; hangs up after the answer b''."""

    greeting = b""
    script: Script = []  # noqa: RUF012 - replaced in a subclass for each server

    def handle(self) -> None:
        self.wfile.write(self.greeting)
        for line in self.rfile:
            tag, _space, rest = line.rstrip(b"\r\n").partition(b" ")
            for said, answer in self.script:
                text = line.rstrip(b"\r\n") if not said.startswith(b"@ ") else rest
                if text.startswith(said.removeprefix(b"@ ")):
                    if not answer:
                        return
                    self.wfile.write(answer.replace(b"@", tag) if said.startswith(b"@ ") else answer)
                    break
            else:
                return


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def serving(greeting: bytes, script: Script) -> Iterator[int]:
    """A server on loopback; yields its port. In a script, `@ ` stands for IMAP's tag."""
    handler = type("Handler", (Scripted,), {"greeting": greeting, "script": script})
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def scripted() -> Iterator[Callable[[bytes, Script], int]]:
    """Start a scripted server and return its port; it ends with the test."""
    with ExitStack() as stack:
        yield lambda greeting, script: stack.enter_context(serving(greeting, script))
