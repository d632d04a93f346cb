"""What travels inside a handshake of TLS 1.3, seen from within this machine's library."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any

from valija.probes.tls_registry import EARLY_DATA

HANDSHAKE, NEW_SESSION_TICKET, CERTIFICATE_REQUEST = 22, 4, 13


@dataclass
class Heard:
    """The handshake messages that the server sent on the connections of one context: type and content."""

    messages: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def asks_for_certificate(self) -> bool:
        return any(kind == CERTIFICATE_REQUEST for kind, _body in self.messages)

    @property
    def tickets(self) -> int:
        return sum(kind == NEW_SESSION_TICKET for kind, _body in self.messages)

    @property
    def allows_early_data(self) -> bool:
        """Whether a ticket of TLS 1.3 lets a client speak before the handshake is done (RFC 8446 section 4.2.10)."""
        return any(
            kind == NEW_SESSION_TICKET and EARLY_DATA in _ticket_extensions(body) for kind, body in self.messages
        )


def watch(context: ssl.SSLContext) -> Heard:
    """Keep what servers say in the handshakes of this context from now on."""
    heard = Heard()

    def saw(_connection: Any, direction: str, _version: Any, content: Any, kind: Any, data: bytes) -> None:
        if direction == "read" and int(content) == HANDSHAKE:
            heard.messages.append((int(kind), data[4:]))

    context._msg_callback = saw  # type: ignore[attr-defined]  # the library's own way to look, unnamed in its manual
    return heard


def _ticket_extensions(body: bytes) -> list[int]:
    """The extensions of a NewSessionTicket: lifetime, age_add, nonce, ticket, extensions (RFC 8446 section 4.6.1)."""
    at = 8 + 1 + body[8]
    at += 2 + int.from_bytes(body[at : at + 2], "big")
    rest, found = body[at + 2 :], []
    while len(rest) >= 4:
        found.append(int.from_bytes(rest[:2], "big"))
        rest = rest[4 + int.from_bytes(rest[2:4], "big") :]
    return found
