"""A daemon is well when it answers as it should, not when it only listens."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import health
from ansible_collections.valija.mailserver.plugins.module_utils.health import Probe


@contextlib.contextmanager
def server(*greetings: bytes, path: Path | None = None) -> Iterator[int]:
    """Greets each connection with the next greeting, the last one for ever, and hangs up. Yields its TCP port."""
    listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    listener.bind(str(path) if path else ("127.0.0.1", 0))
    listener.listen()
    queue = list(greetings)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(queue.pop(0) if len(queue) > 1 else queue[0])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield 0 if path else listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def test_the_expected_greeting_is_health() -> None:
    with server(b"220 mail.example.org ESMTP\r\n") as port:
        assert health.wait_until_well([Probe(port=port, expect="^220 ")]) is None


def test_it_waits_for_a_daemon_that_is_slow_to_come_up() -> None:
    with server(b"", b"", b"220 ok\r\n") as port:
        assert health.wait_until_well([Probe(port=port, expect="^220 ", within_seconds=10)]) is None


@pytest.mark.parametrize(("greeting", "said"), [(b"421 no\r\n", "421 no"), (b"", "without a word")])
def test_another_answer_is_told(greeting: bytes, said: str) -> None:
    with server(greeting) as port:
        told = health.wait_until_well([Probe(port=port, expect="^220 ", within_seconds=0.5)])
    assert told and said in told and f"port {port}" in told


def test_nobody_there_is_told_in_time() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    began = time.monotonic()
    told = health.wait_until_well([Probe(port=port, within_seconds=0.5)])
    assert told and "refused" in told.lower()
    assert time.monotonic() - began < 5


def test_a_connection_is_enough_where_nothing_is_expected(tmp_path: Path) -> None:
    with server(b"", path=tmp_path / "socket"):
        assert health.wait_until_well([Probe(path=str(tmp_path / "socket"))]) is None
