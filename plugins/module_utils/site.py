"""Rules about the values of a site that no specification can say: syntax, and values that must fit together."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils.finding import Finding, Steps, not_text
from ansible_collections.valija.mailserver.plugins.module_utils.site_accounts import check_accounts
from ansible_collections.valija.mailserver.plugins.module_utils.site_aliases import check_aliases
from ansible_collections.valija.mailserver.plugins.module_utils.site_guard import check_guard
from ansible_collections.valija.mailserver.plugins.module_utils.site_names import (
    Verdict,
    domain_problem,
    hostname_problem,
)
from ansible_collections.valija.mailserver.plugins.module_utils.site_postfix import check_postfix
from ansible_collections.valija.mailserver.plugins.module_utils.site_tls import check_tls

__all__ = ["Finding", "check_site"]

# Postfix keeps message_size_limit, in bytes, as a 32-bit integer before 3.9 (postconf(5)).
LARGEST_MESSAGE_MIB = 2047

_PROTOCOLS = ("all", "ipv4", "ipv6")
_RELAYHOST = re.compile(r"(?P<host>\[[^\[\]\s]+\]|[^\[\]\s:]+)(?::(?P<port>[a-z0-9-]+))?")


def check_site(values: dict[str, Any]) -> list[Finding]:
    """What is wrong with the resolved `mail_*` values of one host, in the order of the vocabulary.

    A value of the wrong type is passed over where the specification says so already; a name that is not there is not
    looked at.
    """
    return [
        *_check_domains(values),
        *check_accounts(values),
        *check_aliases(values),
        *_check_protocols(values),
        *_check_relayhost(values),
        *_check_message_size(values),
        *check_tls(values),
        *_check_squirrelmail_source(values),
        *check_guard(values),
        *check_postfix(values),
    ]


def _check_domains(values: dict[str, Any]) -> list[Finding]:
    findings: list[Finding] = []

    def look(path: Steps, value: object, verdict: Verdict) -> None:
        if verdict:
            findings.append(Finding(path, value, *verdict))

    main, hostname, further = (values.get(name) for name in ("mail_domain", "mail_hostname", "mail_domains"))
    if isinstance(main, str):
        look(("mail_domain",), main, domain_problem(main))
    if isinstance(hostname, str):
        look(("mail_hostname",), hostname, hostname_problem(hostname))
    seen = {main}
    for position, domain in enumerate(further if isinstance(further, list) else []):
        path: Steps = ("mail_domains", position)
        wrong = not_text(path, domain)
        if wrong:
            findings.append(wrong)
            continue
        look(path, domain, domain_problem(domain))
        if domain in seen:
            findings.append(Finding(path, domain, "is there twice", "Remove it: mail_domain counts as well."))
        seen.add(domain)
    return findings


def _check_protocols(values: dict[str, Any]) -> list[Finding]:
    protocols = values.get("mail_inet_protocols")
    if not isinstance(protocols, str) or protocols in _PROTOCOLS:
        return []
    return [Finding(("mail_inet_protocols",), protocols, "is no choice of protocols", "Write all, ipv4 or ipv6.")]


def _check_relayhost(values: dict[str, Any]) -> list[Finding]:
    findings: list[Finding] = []
    relayhost = values.get("mail_relayhost") or ""
    username = values.get("mail_relayhost_username") or ""
    password = values.get("mail_relayhost_password") or ""
    if isinstance(relayhost, str) and relayhost:
        verdict = _relayhost_problem(relayhost)
        if verdict:
            findings.append(Finding(("mail_relayhost",), relayhost, *verdict))
    if username and not relayhost:
        remedy = "Set mail_relayhost to the smarthost, or remove it."
        findings.append(Finding(("mail_relayhost_username",), username, "has no smarthost to log in to", remedy))
    elif username and not password:
        remedy = "Set mail_relayhost_password, in a vault."
        findings.append(Finding(("mail_relayhost_username",), username, "has no password", remedy))
    elif password and not username:
        remedy = "Set mail_relayhost_username as well, or remove it."
        findings.append(Finding(("mail_relayhost_password",), None, "has no user name", remedy))
    if isinstance(username, str) and re.search(r"[:\s]", username):
        remedy = "Write the login name alone: the password has a setting of its own."
        findings.append(Finding(("mail_relayhost_username",), username, "holds a colon or a space", remedy))
    return findings


def _relayhost_problem(relayhost: str) -> Verdict:
    match = _RELAYHOST.fullmatch(relayhost)
    if not match:
        return "is not a smarthost as Postfix writes it", "Write [smtp.example.net]:587."
    port = match["port"]
    if port and port.isdigit() and not 0 < int(port) < 65536:
        return "has a port that does not exist", "Ports are 1 to 65535; smarthosts mostly take mail at 587."
    host = match["host"].strip("[]")
    if re.fullmatch(r"[0-9.]+|(?:ipv6:)?[0-9a-f:]*:[0-9a-f:.]*", host, re.IGNORECASE):
        return None
    verdict = hostname_problem(host)
    return (f"has a host name that {verdict[0]}", verdict[1]) if verdict else None


def _check_message_size(values: dict[str, Any]) -> list[Finding]:
    size = values.get("mail_message_size_mib")
    if isinstance(size, bool) or not re.fullmatch(r"\s*-?\d+\s*", str(size)):
        return []
    path: Steps = ("mail_message_size_mib",)
    if int(str(size)) <= 0:
        return [Finding(path, size, "is not above zero", "Write the largest message in MiB, for example 25.")]
    if int(str(size)) > LARGEST_MESSAGE_MIB:
        remedy = f"Write MiB, not bytes, and {LARGEST_MESSAGE_MIB} at the most."
        return [Finding(path, size, "is larger than Postfix can count", remedy)]
    return []


def _check_squirrelmail_source(values: dict[str, Any]) -> list[Finding]:
    source = values.get("mail_squirrelmail_source")
    if not isinstance(source, dict):
        return []
    path: Steps = ("mail_squirrelmail_source",)
    git, archive = source.get("git"), source.get("archive")
    if bool(git) == bool(archive):
        what = "has both git and archive" if git else "has neither git nor archive"
        return [Finding(path, None, what, "Write {git: address, commit: id} or {archive: path, sha256: checksum}.")]
    key, digits, hint = ("commit", 40, "git rev-parse") if git else ("sha256", 64, "sha256sum")
    value = source.get(key)
    if value is None:
        what, remedy = f"has no {key}", f"Add {key}, the {digits} hexadecimal digits that {hint} prints."
        return [Finding(path, git or archive, what, remedy)]
    if isinstance(value, str) and not re.fullmatch(rf"[0-9a-f]{{{digits}}}", value):
        remedy = f"Write the whole of what {hint} prints, in lower case."
        return [Finding((*path, key), value, f"is not {digits} hexadecimal digits", remedy)]
    spare = {"git": ("sha256",), "archive": ("commit",)}["git" if git else "archive"]
    return [
        Finding((*path, name), None, f"does not go with {'git' if git else 'archive'}", "Remove it.")
        for name in spare
        if source.get(name)
    ]
