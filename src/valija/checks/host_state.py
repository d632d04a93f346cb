"""What the host says about itself, read from its own tools."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_PROGRAM = re.compile(r'\("([^"]+)",pid=(\d+)')


@dataclass(frozen=True)
class Socket:
    """A listening socket of ss(8): `address` as ss writes it, without brackets; `program` may be empty."""

    protocol: str
    address: str
    port: int
    program: str

    @property
    def loopback(self) -> bool:
        bare = self.address.partition("%")[0]
        return bare.startswith("127.") or bare in ("::1", "::ffff:127.0.0.1")

    def __str__(self) -> str:
        return f"{self.protocol} {self.address}:{self.port} {self.program}".strip()


def parse_sockets(text: str) -> list[Socket]:
    """The listening sockets that `ss -H -ltnup` prints; `*`, every address of both families, becomes one of each."""
    sockets = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 5:
            continue
        address, _colon, port = words[4].rpartition(":")
        program = _PROGRAM.search(line)
        for each in ("0.0.0.0", "::") if address == "*" else (address.strip("[]"),):
            sockets.append(Socket(words[0], each, int(port), program[1] if program else ""))
    return sockets


def listening(host: Any) -> list[Socket]:
    """The host's listening sockets, TCP and UDP."""
    return parse_sockets(host.run("ss -H -ltnup").stdout)


def queued(host: Any, addresses: list[str]) -> list[dict[str, Any]]:
    """The queued messages (postqueue -j) whose sender or a recipient contains one of the addresses.

    A queue that cannot be read is no empty queue: AssertionError.
    """
    said = host.run("postqueue -j")
    assert said.rc == 0, f"postqueue -j: {said.stderr.strip() or said.rc}"
    entries = [json.loads(line) for line in said.stdout.splitlines() if line.strip()]
    return [
        entry
        for entry in entries
        if any(
            address in text
            for address in addresses
            for text in (entry["sender"], *(recipient["address"] for recipient in entry["recipients"]))
        )
    ]
