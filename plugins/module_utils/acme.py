"""The certificate of an ACME CA (RFC 8555), through certbot, which also renews it.

Certbot keeps what it obtains under a name of ours, beside the certificates of others on the same host. Its own timer
renews; `valija-certificate renew`, its deploy hook, delivers.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils import certificate
from ansible_collections.valija.mailserver.plugins.module_utils.certificate import BadCertificate, Pem
from ansible_collections.valija.mailserver.plugins.module_utils.command import run

NAME = "valija"
CERTBOT = Path("/etc/letsencrypt")
DELIVER = "/usr/local/sbin/valija-certificate renew"

# A CA may take minutes, and a hook waits until its record is seen everywhere.
TIMEOUT_SECONDS = 900.0

# How much of certbot's words a person is told: the reason stands some lines before their end.
TOLD_LINES = 30


@dataclass(frozen=True)
class Acme:
    """How the names are proved, and to whom. ``ca`` is a PEM file for a CA whose own certificate is not public."""

    directory: str
    challenge: str = "http-01"
    email: str = ""
    webroot: str = ""
    hook: str = ""
    ca: str = ""

    @property
    def authenticator(self) -> str:
        """Certbot's word for the challenge."""
        return "manual" if self.challenge == "dns-01" else "webroot"


def acme_of(data: Mapping[str, Any]) -> Acme:
    """The settings from plain values."""
    return Acme(**{name: str(value or "") for name, value in data.items()})


def is_there(folder: Path = CERTBOT) -> bool:
    """Whether certbot has obtained a certificate for us."""
    return (folder / "live" / NAME).exists()


def lineage(folder: Path = CERTBOT) -> Pem:
    """What certbot has obtained for us. BadCertificate when it cannot be read."""
    live = folder / "live" / NAME
    try:
        return certificate.pem_of((live / "privkey.pem").read_text(), (live / "fullchain.pem").read_text())
    except OSError as error:
        raise BadCertificate(f"of certbot cannot be read ({error.strerror}: {error.filename})") from error


def why_issue(acme: Acme, names: Sequence[str], now: float, folder: Path = CERTBOT) -> str:
    """Why a certificate is to be obtained; empty when certbot has one of this CA for these names, and renews it."""
    try:
        pem = lineage(folder)
        leaf = certificate.judge(pem, names, now)
    except BadCertificate as error:
        return f"what there is {error}" if is_there(folder) else "there is none yet"
    if set(leaf.names) != set(names):
        return "the names have changed"
    renewal = _renewal(folder)
    if renewal.get("server") != acme.directory:
        return "the CA has changed"
    if renewal.get("authenticator") != acme.authenticator:
        return "the way in which the names are proved has changed"
    return ""


def _renewal(folder: Path) -> dict[str, str]:
    """What certbot keeps in mind for the renewals (a file of ini form, with settings before its first section)."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string("[first]\n" + (folder / "renewal" / f"{NAME}.conf").read_text())
    except (OSError, configparser.Error):
        return {}
    return dict(parser["renewalparams"]) if parser.has_section("renewalparams") else {}


def command(acme: Acme, names: Sequence[str]) -> list[str]:
    """The command line of certbot. What it is told here it also keeps for the renewals."""
    words = ["certbot", "certonly", "--non-interactive", "--agree-tos", "--cert-name", NAME, "--server", acme.directory]
    words += ["--email", acme.email] if acme.email else ["--register-unsafely-without-email"]
    words += ["--key-type", "ecdsa", "--elliptic-curve", "secp256r1"]
    # It is asked only when a new one is needed, whatever the age of the present one.
    words += ["--force-renewal", "--renew-with-new-domains", "--deploy-hook", DELIVER]
    if acme.challenge == "dns-01":
        words += ["--manual", "--preferred-challenges", "dns"]
        words += ["--manual-auth-hook", f"{acme.hook} set", "--manual-cleanup-hook", f"{acme.hook} clear"]
    else:
        words += ["--webroot", "--webroot-path", acme.webroot]
    return [*words, *(word for name in names for word in ("--domain", name))]


def obtain(acme: Acme, names: Sequence[str]) -> None:
    """Have certbot obtain a certificate. Raises BadCertificate with certbot's words."""
    environment = {"REQUESTS_CA_BUNDLE": acme.ca} if acme.ca else {}
    said = run(command(acme, names), environment=environment, timeout_seconds=TIMEOUT_SECONDS)
    if not said.ok:
        words = "\n".join(line for line in [*said.out.splitlines(), *said.err.splitlines()] if line.strip())
        raise BadCertificate(
            f"was not given by the CA. {_remedy(acme)} The services go on with the one they have. certbot says:\n"
            + "\n".join(words.splitlines()[-TOLD_LINES:])
        )


def _remedy(acme: Acme) -> str:
    if acme.challenge == "dns-01":
        return "The program of mail_tls_acme_dns_hook must set the TXT record, and end when the CA can see it."
    return "Every name must lead to this host, and port 80 must be open to the whole Internet."
