"""Rules about block lists and about the limits of Postfix that no specification can say."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils.finding import Finding, not_text

# postscreen_dnsbl_sites of postconf(5): domain, and optionally =filter and *weight.
_LIST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(=[0-9.;\[\]]+)?([*]-?[0-9]{1,5})?", re.IGNORECASE)

# Name, least and largest value, and what to write.
_ANY_NUMBER = "Write 1 or more, or 0 for no limit."
_BOUNDS = (
    ("postfix_postscreen_greet_wait_seconds", 1, 60, "Write 1 to 60 seconds; other servers wait five minutes at most."),
    ("postfix_postscreen_dnsbl_threshold", 1, 100000, "Write the weight that turns a client away, 1 or more."),
    ("postfix_recipients_per_message", 100, 100000, "RFC 5321 section 4.5.3.1.8 asks for 100 at least."),
    ("postfix_stranger_processes", 10, 10000, "Write 10 to 10,000 sessions; each takes some 3 MB of memory."),
    ("postfix_client_connections", 0, 100000, _ANY_NUMBER),
    ("postfix_client_connections_per_minute", 0, 1000000, _ANY_NUMBER),
    ("postfix_client_tls_sessions_per_minute", 0, 1000000, _ANY_NUMBER),
    ("postfix_client_messages_per_minute", 0, 1000000, _ANY_NUMBER),
    ("postfix_client_recipients_per_minute", 0, 1000000, _ANY_NUMBER),
    ("postfix_client_logins_per_minute", 0, 1000000, _ANY_NUMBER),
    ("postfix_login_recipients_per_hour", 1, 1000000, "Write how many recipients an hour a login may have, 1 or more."),
    ("postfix_login_recipients_per_day", 1, 1000000, "Write how many recipients a day a login may have, 1 or more."),
)


def check_postfix(values: dict[str, Any]) -> list[Finding]:
    """What is wrong with the resolved `mail_dnsbl_sites` and `postfix_*` values; a wrong type is passed over."""
    findings: list[Finding] = []
    for name, least, largest, remedy in _BOUNDS:
        number = _number(values.get(name))
        if number is not None and not least <= number <= largest:
            findings.append(Finding((name,), number, "is out of bounds", remedy))
    hour, day = (_number(values.get(f"postfix_login_recipients_per_{each}")) for each in ("hour", "day"))
    if hour is not None and day is not None and 1 <= day < hour:
        remedy = "Write as many as in an hour, or more."
        findings.append(Finding(("postfix_login_recipients_per_day",), day, "is less than in an hour", remedy))
    sites = values.get("mail_dnsbl_sites")
    for position, site in enumerate(sites if isinstance(sites, list) else []):
        path = ("mail_dnsbl_sites", position)
        wrong = not_text(path, site)
        if wrong is None and not _LIST.fullmatch(str(site)):
            wrong = Finding(
                path, site, "is no block list", "Write its domain, zen.example.net, with *2 for a weight of 2."
            )
        findings += [wrong] if wrong else []
    return findings


def _number(value: object) -> int | None:
    return int(str(value)) if not isinstance(value, bool) and re.fullmatch(r"\s*-?\d+\s*", str(value)) else None
