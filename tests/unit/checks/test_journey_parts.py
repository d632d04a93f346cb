"""What the journey looks at in a message and in the host's logs."""

from __future__ import annotations

from email.message import EmailMessage
from types import SimpleNamespace
from typing import Any

from valija.checks import journey
from valija.probes import message


def letter() -> bytes:
    made = EmailMessage()
    made["Subject"] = "Ñandú"
    made.set_content("Hello.\n")
    made.add_attachment(b"", maintype="text", subtype="plain", filename="nothing.txt")
    made.add_attachment(b"\x00\xff", maintype="application", subtype="octet-stream", filename="all.bin")
    return made.as_bytes().replace(b"\n", b"\r\n")


def test_attachments_are_known_by_their_octets() -> None:
    assert journey.attachments(letter()) == {
        "nothing.txt": message.digest(b""),
        "all.bin": message.digest(b"\x00\xff"),
    }


def test_a_header_is_decoded_and_a_missing_one_is_empty() -> None:
    assert journey.header(letter(), "Subject") == "Ñandú"
    assert journey.header(letter(), "In-Reply-To") == ""


def test_the_way_adds_headers_and_no_body() -> None:
    sent = b"Subject: x\r\n\r\nHello.\r\n"
    assert journey.body_digest(b"Received: here\r\n" + sent + b"\r\n") == journey.body_digest(sent)
    assert journey.body_digest(sent) != journey.body_digest(sent.replace(b"Hello", b"Hallo"))


class FakeHost:
    """Logs in memory: what `find` and `tail` of the host would say."""

    def __init__(self, logs: dict[str, bytes]) -> None:
        self.logs = logs

    def run(self, command: str, *arguments: str) -> Any:
        if command.startswith("sed"):
            return SimpleNamespace(stdout="/var/log/x/php-error.log\n")
        if command.startswith("find"):
            return SimpleNamespace(stdout="".join(f"{len(text)} {path}\n" for path, text in self.logs.items()))
        start, path = arguments
        return SimpleNamespace(stdout=self.logs[path][int(start) - 1 :].decode())


def test_only_what_was_logged_since_is_told() -> None:
    host = FakeHost({"/var/log/x/php-error.log": b"old\n"})
    folder, before = journey.log_sizes(host)
    assert journey.new_log_lines(host, folder, before) == []
    host.logs["/var/log/x/php-error.log"] += b"new\n"
    host.logs["/var/log/x/errors.log"] = b"first\n"
    assert journey.new_log_lines(host, folder, before) == [
        "/var/log/x/php-error.log: new",
        "/var/log/x/errors.log: first",
    ]
