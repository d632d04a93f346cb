"""Asks a daemon that was just started whether it really serves: connect, and read its first line."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Probe:
    """Where to connect (a TCP port, or a Unix socket ``path``), what to send, and an expression for the first line.

    An empty ``expect`` asks for the connection alone. ``tls`` speaks TLS at once, and trusts every certificate.
    """

    port: int = 0
    address: str = "127.0.0.1"
    path: str = ""
    send: str = ""
    expect: str = ""
    tls: bool = False
    within_seconds: float = 15.0

    def __str__(self) -> str:
        return self.path or f"{self.address} port {self.port}"


def probe_of(data: Mapping[str, Any]) -> Probe:
    """A probe from the plain values of a call."""
    given = {name: value for name, value in data.items() if value is not None}
    return Probe(**given)


def attempt(probe: Probe, timeout_seconds: float) -> str | None:
    """One try; None when the daemon answered as expected, else what went wrong."""
    try:
        with _connect(probe, timeout_seconds) as connection:
            connection.settimeout(timeout_seconds)
            if probe.send:
                connection.sendall(probe.send.encode())
            if not probe.expect:
                return None
            line = b""
            while b"\n" not in line and len(line) < 4096:
                piece = connection.recv(4096)
                if not piece:
                    break
                line += piece
    except OSError as error:
        return str(error.strerror or error)
    first = line.split(b"\n", 1)[0].decode("utf-8", "replace").rstrip("\r")
    if re.search(probe.expect, first):
        return None
    return f"it said {first!r}, expected {probe.expect!r}" if first else "it closed the connection without a word"


def _connect(probe: Probe, timeout_seconds: float) -> socket.socket:
    if not probe.path:
        connection = socket.create_connection((probe.address, probe.port), timeout_seconds)
    else:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout_seconds)
    try:
        if probe.path:
            connection.connect(probe.path)
        return _trusting().wrap_socket(connection) if probe.tls else connection
    except BaseException:
        connection.close()
        raise


def _trusting() -> ssl.SSLContext:
    """TLS that takes every certificate: whether it is the right one is not this probe's question."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def wait_until_well(probes: Iterable[Probe]) -> str | None:
    """Try each until it answers or its time is over; None, or a sentence about the first that is not well."""
    started = time.monotonic()
    for probe in probes:
        while True:
            left = probe.within_seconds - (time.monotonic() - started)
            problem = attempt(probe, max(1.0, min(5.0, left)))
            if problem is None:
                break
            if left <= 0.25:
                return f"No healthy answer from {probe} within {probe.within_seconds:g} s: {problem}."
            time.sleep(0.25)
    return None
