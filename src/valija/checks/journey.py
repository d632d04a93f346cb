"""What a message written in the webmail holds, and what the host has logged meanwhile."""

from __future__ import annotations

import email
import email.policy
from typing import Any

from valija.probes import message

# Where the webmail's PHP processes log their errors, by their own configuration.
_LOG_OF_THE_POOL = r"sed -n 's/^php_admin_value\[error_log\] = //p' /etc/php/*/fpm/pool.d/valija-webmail.conf"


def header(content: bytes, name: str) -> str:
    """A header field of a message, decoded; empty when there is none."""
    return str(email.message_from_bytes(content, policy=email.policy.default)[name] or "")


def attachments(content: bytes) -> dict[str, str]:
    """The attachments of a message: file name, and SHA-256 of the decoded octets."""
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    found = {}
    for part in parsed.iter_attachments():
        octets = part.get_payload(decode=True)
        assert isinstance(octets, bytes), part.get_content_type()
        found[str(part.get_filename())] = message.digest(octets)
    return found


def body_digest(content: bytes) -> str:
    """SHA-256 of a message without its header, which grows on the way, and without empty lines at its end.

    SquirrelMail sends one empty line more than it keeps in Sent.
    """
    return message.digest(content.partition(b"\r\n\r\n")[2].rstrip(b"\r\n"))


def log_sizes(host: Any) -> tuple[str, dict[str, int]]:
    """The folder of the webmail's logs, and how many octets each file in it has."""
    folder = host.run(_LOG_OF_THE_POOL).stdout.strip().rpartition("/")[0]
    assert folder, "the webmail's PHP pool names no error log"
    listed = host.run("find %s -maxdepth 1 -type f -name '*.log' -printf '%%s %%p\\n'", folder).stdout
    return folder, {path: int(size) for size, _space, path in (line.partition(" ") for line in listed.splitlines())}


def new_log_lines(host: Any, folder: str, before: dict[str, int]) -> list[str]:
    """The lines that the logs have got since `before`."""
    _folder, now = log_sizes(host)
    assert _folder == folder, f"{_folder} is another folder than {folder}"
    lines = []
    for path, size in now.items():
        old = before.get(path, 0)
        if size != old:
            text = host.run("tail -c +%s %s", str(old + 1 if size > old else 1), path).stdout
            lines += [f"{path}: {line}" for line in text.splitlines()]
    return lines
