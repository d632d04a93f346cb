"""What has arrived, and what has not: asked by the protocols a person would use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from valija.checks.site import Account
from valija.messages import _
from valija.probes import message, wait
from valija.probes.message import Message

ARRIVAL_SECONDS = 20.0


class Mailbox:
    """Finds test messages by their id; `account` is the probe account that is meant when none is given."""

    def __init__(self, imap: Callable[..., Any], pop3: Callable[..., Any], account: Account) -> None:
        self._imap = imap
        self._pop3 = pop3
        self._account = account

    def arrived(self, sent: Message, account: Account | None = None, within: float = ARRIVAL_SECONDS) -> bytes:
        """Wait for a message and return its octets as IMAP gives them; raises when it does not come in time."""
        return self.copies(sent, account, within)[0]

    def copies(self, sent: Message, account: Account | None = None, within: float = ARRIVAL_SECONDS) -> list[bytes]:
        """Every copy of a message, as soon as there is one."""
        account = account or self._account
        with self._imap(account) as box:
            found: list[bytes] = wait.until(
                lambda: box.holding(sent.test_id),
                within,
                _("the message in the mailbox of {name}").format(name=account.name),
            )
        return found

    def holds(self, sent: Message, account: Account | None = None) -> bool:
        """Whether the message is there now."""
        with self._imap(account or self._account) as box:
            return bool(box.holding(sent.test_id))

    def arrived_by_pop3(self, sent: Message, account: Account | None = None) -> bytes:
        """The message's octets as POP3 gives them; it must have arrived."""
        account = account or self._account
        with self._pop3(account) as drop:
            number = drop.number_of(sent.test_id)
            found = drop.content(number) if number else b""
            drop.quit()
        assert found, _("POP3 does not list the message that IMAP has in {name}'s mailbox.").format(name=account.name)
        return bytes(found)

    def is_as_sent(self, sent: Message, account: Account | None = None, within: float = ARRIVAL_SECONDS) -> bytes:
        """Assert that IMAP and POP3 give the very octets that were sent; returns what IMAP gave."""
        by_imap = self.arrived(sent, account, within)
        assert_same(sent, by_imap, "IMAP")
        assert_same(sent, self.arrived_by_pop3(sent, account), "POP3")
        return by_imap


def assert_same(sent: Message, delivered: bytes, by: str) -> None:
    """The hash made before sending equals that of what was read back."""
    part = message.sent_part(delivered, sent.test_id)
    assert message.digest(part) == sent.digest, _(
        "What {by} gives is not what was sent: {got} octets, SHA-256 {got_digest}; sent {size} octets, {digest}."
    ).format(
        by=by, got=len(part), got_digest=message.digest(part)[:16], size=len(sent.content), digest=sent.digest[:16]
    )


def trace(delivered: bytes, test_id: str) -> str:
    """The headers that the way added to a message, each unfolded to one line (RFC 5322 section 2.2.3)."""
    return message.trace_part(delivered, test_id).decode().replace("\r\n\t", " ").replace("\r\n ", " ")
