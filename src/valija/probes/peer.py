"""The lab's peer, seen from the tests: what its sink has received, and ways to be a stranger."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from valija.probes.routes import TIMEOUT_SECONDS, Tunnel


@dataclass(frozen=True)
class Received:
    """One message in the sink: on which of the peer's addresses, from whom, with its octets as they came.

    `tls` is the version or None for clear text, `login` the name that the client authenticated with, or None.
    """

    seq: int
    address: str
    client: str
    helo: str
    mail_from: str
    rcpt_to: tuple[str, ...]
    data: bytes
    port: int = 25
    tls: str | None = None
    login: str | None = None


@dataclass(frozen=True)
class Peer:
    """`api` is the peer's http address, for example http://198.51.100.2:8025."""

    api: str

    def messages(self, since: int = 0) -> list[Received]:
        """What the sink has received after sequence number `since`, oldest first."""
        answer = self._get(f"/messages?since={since}")
        return [
            Received(
                int(item["seq"]),
                str(item["address"]),
                str(item["client"]),
                str(item["helo"]),
                str(item["mail_from"]),
                tuple(item["rcpt_to"]),
                base64.b64decode(item["data_base64"]),
                int(item.get("port", 25)),
                item.get("tls"),
                item.get("login"),
            )
            for item in answer
        ]

    def holding(self, text: str, since: int = 0) -> list[Received]:
        """The messages whose octets contain a text, such as a test id."""
        return [message for message in self.messages(since) if text.encode() in message.data]

    def last_seq(self) -> int:
        """The sequence number of the newest message, 0 when there is none."""
        return max((message.seq for message in self.messages()), default=0)

    def stranger(self, source: str) -> Tunnel:
        """The route of one of the strangers."""
        parts = urlsplit(self.api)
        return Tunnel(parts.hostname or "", parts.port or 80, source)

    def _get(self, path: str) -> Any:
        parts = urlsplit(self.api)
        connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise ConnectionError(f"{self.api}{path}: {answer.status} {answer.reason}")
        return json.loads(body)
