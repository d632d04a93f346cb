"""One mail transaction: envelope with its parameters, pipelined where offered, and the message."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from valija.client.connection import Connection, RefusedError
from valija.client.message import Message
from valija.client.server import Reports
from valija.probes.message import dot_stuffed
from valija.probes.smtp import Reply

# Recipients sent before their replies are read. The replies to more could fill both ends' buffers, and each side would
# wait for the other (RFC 2920 section 3.1).
_GROUP = 50


@dataclass
class Handed:
    """What came of a transaction; `final` is the reply to the message itself, None when it was not sent."""

    accepted: list[str] = field(default_factory=list)
    refused: list[tuple[str, Reply]] = field(default_factory=list)
    final: Reply | None = None


class TooLargeError(Exception):
    """The message is larger than the server said it takes: octets of both."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size, limit)
        self.size = size
        self.limit = limit


class NoSmtputf8Error(Exception):
    """An address is not ASCII, and the server does not take such ones."""


def hand_over(
    connection: Connection,
    message: Message,
    content: bytes,
    reports: Reports | None,
    final_timeout: float,
    handed: Handed,
) -> None:
    """Send the envelope and, if a recipient is accepted, the message; fills in `handed`.

    Raises RefusedError when it is not recipients that are refused, TooLargeError, NoSmtputf8Error, OSError.
    """
    features = connection.features
    connection.course.stage = "sender"
    if message.needs_smtputf8 and "SMTPUTF8" not in features:
        raise NoSmtputf8Error
    limit = features.get("SIZE", "").split(" ")[0]
    if limit.isdigit() and 0 < int(limit) < len(content):
        raise TooLargeError(len(content), int(limit))
    dsn = reports if "DSN" in features else None
    mail = f"MAIL FROM:<{message.reverse_path}>{_mail_parameters(message, content, features, dsn)}"
    rcpt = [f"RCPT TO:<{address}>{_rcpt_parameters(address, dsn)}" for address in message.recipients]
    talk = _pipelined if "PIPELINING" in features else _one_by_one
    go_on = talk(connection, mail, list(zip(message.recipients, rcpt, strict=True)), handed)
    if go_on is None:
        return
    if not handed.accepted:  # the server asks for a message for nobody: give it none (RFC 2920 section 3.1)
        connection.raw_bytes(b".\r\n")
        connection.read_reply()
        return
    connection.course.stage = "content"
    connection.send_content(dot_stuffed(content))
    connection.course.stage = "end"
    if connection.sock is not None:
        connection.sock.settimeout(final_timeout)
    final = connection.read_reply()
    if not 200 <= final.code < 300:
        raise RefusedError(final)
    handed.final = final


def _mail_parameters(message: Message, content: bytes, features: dict[str, str], dsn: Reports | None) -> str:
    given = []
    if "SIZE" in features:
        given.append(f"SIZE={len(content)}")
    if not content.isascii() and "8BITMIME" in features:
        given.append("BODY=8BITMIME")
    if message.needs_smtputf8:
        given.append("SMTPUTF8")
    if dsn:
        given += [f"RET={'FULL' if dsn.brings == 'full' else 'HDRS'}"] if dsn.brings else []
        given.append(f"ENVID={uuid.uuid4().hex}")
    return "".join(f" {parameter}" for parameter in given)


def _rcpt_parameters(address: str, dsn: Reports | None) -> str:
    if not dsn:
        return ""
    original = f" ORCPT=rfc822;{xtext(address)}" if address.isascii() else ""
    return f" NOTIFY={','.join(word.upper() for word in dsn.when)}{original}"


def xtext(text: str) -> str:
    """ASCII text as a parameter of DSN carries it (RFC 3461 section 4)."""
    return "".join(c if "!" <= c <= "~" and c not in "+=" else f"+{ord(c):02X}" for c in text)


def _one_by_one(
    connection: Connection, mail: str, recipients: Sequence[tuple[str, str]], handed: Handed
) -> Reply | None:
    """Each command after the reply to the one before it; the reply to DATA, None when no recipient was accepted."""
    _require(connection.ask("sender", mail))
    for address, line in recipients:
        _note(handed, address, connection.ask("recipient", line))
    return _require_go(connection.ask("data", "DATA")) if handed.accepted else None


def _pipelined(
    connection: Connection, mail: str, recipients: Sequence[tuple[str, str]], handed: Handed
) -> Reply | None:
    """Commands in as few segments as may be, DATA the last of one (RFC 2920 section 3.1)."""
    groups = [recipients[start : start + _GROUP] for start in range(0, len(recipients), _GROUP)]
    refused: Reply | None = None
    for number, group in enumerate(groups):
        last = number == len(groups) - 1
        lines = [*([mail] if number == 0 else []), *(line for _address, line in group), *(["DATA"] if last else [])]
        connection.course.stage = "sender" if number == 0 else "recipient"
        connection.raw_bytes("".join(f"{line}\r\n" for line in lines).encode())
        if number == 0:
            sender = connection.read_reply()
            refused = None if sender.accepted else sender
            connection.course.stage = "recipient"
        for address, _line in group:
            reply = connection.read_reply()
            if not refused:
                _note(handed, address, reply)
        if refused and not last:
            raise RefusedError(refused)
    connection.course.stage = "data"
    reply = connection.read_reply()
    if refused:
        if reply.code == 354:
            connection.raw_bytes(b".\r\n")
            connection.read_reply()
        connection.course.stage = "sender"
        raise RefusedError(refused)
    if handed.accepted:
        return _require_go(reply)
    return reply if reply.code == 354 else None


def _note(handed: Handed, address: str, reply: Reply) -> None:
    if reply.accepted:
        handed.accepted.append(address)
    else:
        handed.refused.append((address, reply))


def _require(reply: Reply) -> Reply:
    if not reply.accepted:
        raise RefusedError(reply)
    return reply


def _require_go(reply: Reply) -> Reply:
    if reply.code != 354:
        raise RefusedError(reply)
    return reply
