"""The peer's mail sink: takes every message for anybody and keeps it, byte for byte.

Runs on the peer as a program of its own (python3 sink.py CONFIG), with Python's standard library and aiosmtpd from
Debian, and never imports the package valija. CONFIG is JSON:
    {"listen": [{"address", "name", "port": 25, "auth": false}, ...], "api": {"address", "port"}, "sources": [...],
     "targets": ["198.51.100.0/26", ...], "login": {"relay": "password"}, "certificate": "...", "key": "..."}
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
import logging
import socket
import ssl
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

MESSAGE_BYTES = 200 * 1024 * 1024


class Messages:
    """What arrived, in order; `seq` counts up and is never used twice, also after a deletion."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []
        self.seq = 0

    def add(self, message: dict[str, Any]) -> None:
        self.seq += 1
        self.kept.append({"seq": self.seq, **message})


class Server(SMTP):
    """An SMTP server that takes lines of any length, as a test must be able to see them."""

    line_length_limit = 10 * 1024 * 1024


class Receiver:
    """The handler of one listening address (aiosmtpd calls handle_DATA when the lone dot came)."""

    def __init__(self, messages: Messages, address: str, port: int) -> None:
        self.messages, self.address, self.port = messages, address, port

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.original_content or b""
        self.messages.add(
            {
                "address": self.address,
                "port": self.port,
                "client": session.peer[0] if session.peer else "",
                "helo": session.host_name or "",
                "mail_from": (envelope.mail_from or "").replace("<>", ""),
                "mail_options": list(envelope.mail_options),
                "rcpt_to": list(envelope.rcpt_tos),
                "rcpt_options": list(envelope.rcpt_options),
                "tls": tls_version(server),
                "login": session.auth_data if isinstance(session.auth_data, str) else None,
                "data_base64": base64.b64encode(content).decode(),
                "received": datetime.now(UTC).isoformat(timespec="milliseconds"),
            }
        )
        return f"250 2.0.0 Ok: kept as {self.messages.seq}"


def tls_version(server: SMTP) -> str | None:
    """The TLS version of a connection, or None where it is in clear text."""
    found = server.transport.get_extra_info("ssl_object") if server.transport else None
    return found.version() if found is not None else None


def authenticator(logins: dict[str, str]) -> Any:
    """A check of name and password for aiosmtpd; the name is kept as the session's auth_data."""

    def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        name = data.login.decode(errors="replace")
        good = logins.get(name) is not None and logins[name].encode() == data.password
        return AuthResult(success=good, handled=False, auth_data=name)

    return check


class Api:
    """HTTP/1.1 for the checks: GET, DELETE /messages; PUT, DELETE /records; CONNECT through an address of ours."""

    def __init__(self, messages: Messages, sources: list[str], targets: list[str]) -> None:
        self.messages, self.sources = messages, sources
        self.targets = [ipaddress.ip_network(each) for each in targets]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)).decode("latin-1").split("\r\n")
            method, target, _version = head[0].split(" ", 2)
            fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
            if method == "CONNECT":
                await self.connect(target, fields.get("x-source", ""), reader, writer)
            elif urlsplit(target).path == "/messages" and method == "GET":
                since = int(parse_qs(urlsplit(target).query).get("since", ["0"])[0])
                await answer(writer, "200 OK", [each for each in self.messages.kept if each["seq"] > since])
            elif urlsplit(target).path == "/messages" and method == "DELETE":
                self.messages.kept.clear()
                await answer(writer, "200 OK", [])
            elif urlsplit(target).path == "/records" and method in ("PUT", "DELETE"):
                await set_record(method, **dict(parse_qsl(urlsplit(target).query)))
                await answer(writer, "200 OK", [])
            else:
                known = "GET or DELETE /messages, PUT or DELETE /records, or CONNECT host:port"
                await answer(writer, "404 Not Found", {"error": known})
        except ValueError as error:
            await answer(writer, "400 Bad Request", {"error": str(error)})
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def connect(
        self, target: str, source: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Join the caller with host:port, seen there as coming from `source` (RFC 9110, section 9.3.6)."""
        host, _, port = target.rpartition(":")
        address = ipaddress.ip_address(host.strip("[]"))
        if source not in self.sources:
            raise ValueError(f"X-Source: {source!r} is no address of the peer's strangers")
        if not any(address in network for network in self.targets):
            raise ValueError(f"{address} is not in the lab")
        try:
            far_reader, far_writer = await asyncio.wait_for(
                asyncio.open_connection(str(address), int(port), local_addr=(source, 0)), 60
            )
        except (TimeoutError, OSError) as error:
            await answer(writer, "502 Bad Gateway", {"error": str(error)})
            return
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
        far_writer.close()


async def set_record(method: str, zone: str = "", owner: str = "", kind: str = "TXT", data: str = "") -> None:
    """Put one record into a zone of the lab's DNS, or take it out; it is gone when the peer starts anew.

    Raises ValueError with knot's words.
    """
    change = ["zone-set", zone, owner, "60", kind, data] if method == "PUT" else ["zone-unset", zone, owner, kind, data]
    for words in (["-b", "zone-begin", zone], change, ["-b", "zone-commit", zone]):
        ended = await asyncio.create_subprocess_exec(
            "knotc", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await ended.communicate()
        if ended.returncode:
            await (await asyncio.create_subprocess_exec("knotc", "zone-abort", zone)).wait()
            raise ValueError(f"{owner} in {zone}: {said.decode(errors='replace').strip()}")


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes until the end of one direction, and pass the end on; a reset ends the other direction too."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.close()


async def answer(writer: asyncio.StreamWriter, status: str, content: Any) -> None:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
    await writer.drain()


async def run(config: dict[str, Any]) -> None:
    """Listen everywhere and stay."""
    loop = asyncio.get_running_loop()
    messages = Messages()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(config["certificate"], config["key"])
    check = authenticator(config["login"])

    def server_for(place: dict[str, Any]) -> SMTP:
        return Server(
            Receiver(messages, place["address"], place["port"]),
            hostname=place["name"],
            ident="Valija lab sink",
            data_size_limit=MESSAGE_BYTES,
            enable_SMTPUTF8=True,
            tls_context=tls,
            authenticator=check,
            auth_required=place["auth"],
            auth_require_tls=True,
        )

    async with AsyncExitStack() as listening:
        for place in config["listen"]:
            family = socket.AF_INET6 if ":" in place["address"] else socket.AF_INET
            server = await loop.create_server(
                partial(server_for, place), place["address"], place["port"], family=family
            )
            await listening.enter_async_context(server)
        api = Api(messages, config["sources"], config["targets"])
        http = await asyncio.start_server(api.serve, config["api"]["address"], config["api"]["port"])
        await http.serve_forever()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(run(json.loads(Path(sys.argv[1]).read_text())))
