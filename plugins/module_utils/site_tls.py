"""Rules about the `mail_tls_*` values of a site: which go together, and whether the site's own files are good.

They are judged on the control node, before any host is touched, by the code that judges again on the host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils import certificate
from ansible_collections.valija.mailserver.plugins.module_utils.certificate import BadCertificate, BadKey
from ansible_collections.valija.mailserver.plugins.module_utils.finding import Finding, not_text
from ansible_collections.valija.mailserver.plugins.module_utils.site_names import address_problem, hostname_problem

SOURCE = "mail_tls_source"
NAMES = "mail_tls_names"
CERTIFICATE, KEY = "mail_tls_certificate_file", "mail_tls_key_file"
EMAIL, DIRECTORY, CHALLENGE = "mail_tls_acme_email", "mail_tls_acme_directory", "mail_tls_acme_challenge"
HOOK, CA = "mail_tls_acme_dns_hook", "mail_tls_acme_ca_file"

# Which source each setting is for.
MEANT_FOR = {CERTIFICATE: "files", KEY: "files", EMAIL: "acme", HOOK: "acme", CA: "acme"}

# The files of the control node that each source needs, or may have.
FILES = {"files": (CERTIFICATE, KEY), "acme": (HOOK, CA)}


@dataclass(frozen=True)
class Material:
    """The contents of the files that the settings name, by the settings' names; None for one that cannot be read."""

    texts: Mapping[str, str | None]


def check_tls(values: Mapping[str, Any]) -> list[Finding]:
    """What is wrong with the settings among themselves."""
    source = values.get(SOURCE)
    if not isinstance(source, str):
        return []
    return [*_check_names(values, source), *_check_companions(values, source), *_check_acme(values, source)]


def _check_names(values: Mapping[str, Any], source: str) -> list[Finding]:
    names = values.get(NAMES)
    findings: list[Finding] = []
    by_file = values.get(CHALLENGE) == "http-01" and source == "acme"
    for place, name in enumerate(names if isinstance(names, list) else []):
        if wrong := not_text((NAMES, place), name):
            findings.append(wrong)
        elif verdict := hostname_problem(name.removeprefix("*.")):
            findings.append(Finding((NAMES, place), name, *verdict))
        elif name.startswith("*.") and by_file:
            remedy = f"Set {CHALLENGE} to dns-01, or name the hosts one by one."
            findings.append(Finding((NAMES, place), name, "is a wildcard, which no CA proves by http-01", remedy))
    return findings


def _check_companions(values: Mapping[str, Any], source: str) -> list[Finding]:
    findings = []
    for name, meant_for in MEANT_FOR.items():
        value = values.get(name)
        if value and source != meant_for:
            remedy = f"Set {SOURCE} to {meant_for}, or remove it."
            findings.append(Finding((name,), value, f"does nothing, for {SOURCE} is {source}", remedy))
    missing = [name for name in (CERTIFICATE, KEY) if source == "files" and not values.get(name)]
    if missing:
        remedy = "Name the PEM file on this machine; a relative path counts from the inventory's folder."
        findings.append(Finding((SOURCE,), source, f"needs {' and '.join(missing)}", remedy))
    return findings


def _check_acme(values: Mapping[str, Any], source: str) -> list[Finding]:
    if source != "acme":
        return []
    findings = []
    email, directory, hook = (values.get(name) for name in (EMAIL, DIRECTORY, HOOK))
    if isinstance(email, str) and email and (verdict := address_problem(email)):
        findings.append(Finding((EMAIL,), email, *verdict))
    if isinstance(directory, str) and not re.fullmatch(r"https://[^/\s]+(/\S*)?", directory):
        remedy = "Write the address that the CA gives for its ACME directory, with https://."
        findings.append(Finding((DIRECTORY,), directory, "is no address of an ACME directory", remedy))
    if values.get(CHALLENGE) == "dns-01" and not hook:
        remedy = "Name the program on this machine that sets and clears the TXT record."
        findings.append(Finding((CHALLENGE,), "dns-01", f"needs {HOOK}", remedy))
    elif values.get(CHALLENGE) == "http-01" and hook:
        remedy = f"Set {CHALLENGE} to dns-01, or remove it."
        findings.append(Finding((HOOK,), hook, f"does nothing, for {CHALLENGE} is http-01", remedy))
    return findings


def check_material(values: Mapping[str, Any], material: Material, now: float) -> list[Finding]:
    """What is wrong with the site's own files; `now` in seconds since 1970. Nothing where one could not be read."""
    texts = material.texts
    findings = []
    if texts.get(CERTIFICATE) is not None and texts.get(KEY) is not None:
        findings += _check_pair(values, str(texts[CERTIFICATE]), str(texts[KEY]), now)
    hook, ca = texts.get(HOOK), texts.get(CA)
    if hook is not None and not hook.startswith("#!"):
        remedy = "Begin its first line with #! and the interpreter, for example #!/bin/sh."
        findings.append(Finding((HOOK,), values.get(HOOK), "names a file that is no script", remedy))
    if ca is not None and not _certificates(ca):
        remedy = "Write the CA's certificate there, as PEM."
        findings.append(Finding((CA,), values.get(CA), "names a file that holds no certificate", remedy))
    return findings


def _check_pair(values: Mapping[str, Any], chain: str, key: str, now: float) -> list[Finding]:
    names = [values.get("mail_hostname"), *(values.get(NAMES) or [])]
    try:
        pem = certificate.Pem(certificate.pem_of(key).keys, certificate.pem_of(chain).certificates)
        certificate.judge(pem, [name for name in names if isinstance(name, str)], now)
    except BadKey as error:
        remedy = f"Name the key that {CERTIFICATE} was made with, in PEM and without a passphrase."
        return [Finding((KEY,), values.get(KEY), f"names a file that {error}", remedy)]
    except BadCertificate as error:
        remedy = "Have one issued for all names of the server, and write it there in PEM, its chain after it."
        return [Finding((CERTIFICATE,), values.get(CERTIFICATE), f"names a certificate that {error}", remedy)]
    return []


def _certificates(text: str) -> bool:
    try:
        return bool([certificate.read(block) for block in certificate.pem_of(text).certificates])
    except BadCertificate:
        return False
