"""The certificate as it is served, and the keys on the host."""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from valija.checks.doors import Door, at_each, doors_of, nothing_wrong
from valija.checks.marks import check, rfc
from valija.checks.site import Site
from valija.messages import N_, _
from valija.probes import tls
from valija.probes import tls_registry as registry
from valija.probes.handshake import Hello
from valija.probes.routes import Route

REMEDY = N_("Run `valija apply --tags tls`; `journalctl -u certbot` on the host tells of a renewal that fails.")
SETTINGS = "mail_tls_source, mail_tls_certificate_file, mail_tls_names"

# A renewal is tried from 30 days before the end on: at 21 it has failed for more than a week.
RED_DAYS, REMARK_DAYS = 14, 21

CERTIFICATE_FILE = "/etc/valija/tls/mail.pem"
# The certificates of a PEM file; its key stays where it is.
ONLY_CERTIFICATES = "sed -n '/^-----BEGIN CERTIFICATE-----/,/^-----END CERTIFICATE-----/p' "

LEAST_BITS = {"RSA": 2048, "EC": 256}
STRONG_HASHES = ("sha256", "sha384", "sha512")

# What packages bring or make: a name of nobody, a key that others have or that was made when nobody looked.
OTHERS_CERTIFICATES = (
    "/etc/ssl/certs/ssl-cert-snakeoil.pem",
    "/etc/courier/*.pem",
    "/usr/lib/courier/*.pem",
    "/usr/share/courier/*.pem",
    "/etc/postfix/*.pem",
)

# Who may have and read a key, beside root: Courier's own user and group, and Debian's group of keys.
KEY_OWNERS = ("root", "courier")
KEY_GROUPS = ("root", "courier", "ssl-cert")
KEYS = (
    "find /etc /usr/local /srv /opt /var/lib /var/backups /var/log /var/spool /var/www /var/tmp /tmp /root "
    "-xdev -type f -size -1024k -exec grep -lIE -- '-----BEGIN ([A-Z]+ )*PRIVATE KEY-----' {} + 2>/dev/null | "
    "xargs -r -d '\\n' stat -c '%a %U %G %n'"
)


def served(door: Door, server_name: str = "") -> list[x509.Certificate]:
    """The chain as the server sends it, its own certificate first."""
    answer = door.shake(Hello((registry.TLS12,), server_name=server_name))
    assert answer.certificates, _("No certificate is sent: {answer}.").format(answer=answer)
    return [x509.load_der_x509_certificate(one) for one in answer.certificates]


@check(
    "C-06",
    N_("The chain is whole, in order, without its root, trusted, strong, and has days to go"),
    clauses=[rfc(5280, "4.1", "6.1"), rfc(8446, "4.4.2")],
    tier="quick",
    setting=SETTINGS,
    remedy=REMEDY,
    needs=["tls"],
)
def test_chain(site: Site, loopback: Route, family: str, request: pytest.FixtureRequest) -> None:
    now = datetime.now(UTC)

    def look(door: Door) -> tuple[list[str], datetime]:
        chain = served(door)
        wrong = [problem for one in chain for problem in weaknesses(one)] + order_problems(chain)
        ends = min(one.not_valid_after_utc for one in chain)
        if ends - now < timedelta(days=RED_DAYS):
            wrong.append(_("The certificate ends on {date}.").format(date=f"{ends:%Y-%m-%d %H:%M} UTC"))
        assert site.tls is not None
        with door.secured(tls.verifying(site.tls.ca_pem)):  # a chain that this machine's own library trusts, too
            return wrong, ends

    seen = at_each(doors_of(site, family, loopback), look)
    first_end = min(ends for _wrong, ends in seen.values())
    if first_end - now < timedelta(days=REMARK_DAYS):
        words = _("The certificate ends in {days} days, on {date}: its renewal has failed.")
        request.node.user_properties.append(
            ("remark", words.format(days=(first_end - now).days, date=f"{first_end:%Y-%m-%d}"))
        )
    nothing_wrong({door: wrong for door, (wrong, _ends) in seen.items()})


def weaknesses(certificate: x509.Certificate) -> list[str]:
    """A key that is too small, or a signature by a hash that can be forged."""
    key, name = certificate.public_key(), certificate.subject.rfc4514_string() or f"#{certificate.serial_number:x}"
    wrong = []
    if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        kind = "RSA" if isinstance(key, rsa.RSAPublicKey) else "EC"
        if key.key_size < LEAST_BITS[kind]:
            wrong.append(_("{name}: a key {kind} of {bits} bits.").format(name=name, kind=kind, bits=key.key_size))
    elif not isinstance(key, ed25519.Ed25519PublicKey):
        wrong.append(_("{name}: a key of an unusual kind.").format(name=name))
    algorithm = certificate.signature_hash_algorithm
    if algorithm is not None and algorithm.name not in STRONG_HASHES:
        wrong.append(_("{name}: signed with {hash}.").format(name=name, hash=algorithm.name))
    return wrong


def order_problems(chain: list[x509.Certificate]) -> list[str]:
    """Each certificate is followed by its issuer's; the root, which a client has, is not sent (RFC 8446 4.4.2)."""
    wrong = []
    for one, issuer in pairwise(chain):
        try:
            one.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            wrong.append(
                _("{name} is not signed by {issuer}, which follows it.").format(
                    name=one.subject.rfc4514_string(), issuer=issuer.subject.rfc4514_string()
                )
            )
    wrong += [
        _("The root is sent: {name}.").format(name=one.subject.rfc4514_string())
        for one in chain
        if one.issuer == one.subject
    ]
    return wrong


@check(
    "C-07",
    N_("The certificate bears every published name; who asks for another gets the same and no error"),
    clauses=[rfc(9525, "6.3"), rfc(6066, "3")],
    setting="mail_hostname, mail_tls_names",
    remedy=REMEDY,
    needs=["tls"],
)
def test_names(site: Site, family: str) -> None:
    assert site.tls is not None
    owed = sorted({site.hostname, *site.tls.names, *(site.mail.get("mail_tls_names") or [])})

    def look(door: Door) -> list[str]:
        [certificate, *_others] = usual = served(door, site.hostname)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        has = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
        wrong = [
            _("{name} is not among the names of the certificate: {names}.").format(name=name, names=", ".join(has))
            for name in owed
            if not any(matches(name.lower(), pattern) for pattern in has)
        ]
        for unknown in ("", "unknown.invalid", "x" * 63 + ".invalid"):
            if served(door, unknown)[0] != usual[0]:
                wrong.append(_("Who asks for {name!r} gets another certificate.").format(name=unknown))
        return wrong

    nothing_wrong(at_each(doors_of(site, family), look))


def matches(name: str, pattern: str) -> bool:
    """Whether a certificate's name is this one; a star stands for one whole label at the left (RFC 9525 6.3)."""
    return name == pattern or (pattern.startswith("*.") and name.partition(".")[2] == pattern[2:])


@check(
    "C-08",
    N_("Every port serves the certificate that lies in the file of the host"),
    tier="quick",
    setting=SETTINGS,
    remedy=N_("A service has an older one in memory: run `valija apply --tags tls`, which reloads what is behind."),
    needs=["tls"],
)
def test_same_certificate_everywhere(site: Site, loopback: Route, host: Any, family: str) -> None:
    text = host.run(ONLY_CERTIFICATES + CERTIFICATE_FILE).stdout
    lying = x509.load_pem_x509_certificates(text.encode())

    def look(door: Door) -> list[str]:
        chain = served(door, site.hostname)
        if chain == lying:
            return []
        words = _("serves {served}, the file holds {lying}.")
        return [words.format(served=described(chain), lying=described(lying))]

    nothing_wrong(at_each(doors_of(site, family, loopback), look))


def described(chain: list[x509.Certificate]) -> str:
    """Serial number and end of the first, and how many follow."""
    return f"{chain[0].serial_number:x} ({chain[0].not_valid_after_utc:%Y-%m-%d}) + {len(chain) - 1}"


@check(
    "C-09",
    N_("Private keys belong to root and are read by nobody but the services that need them; no log holds one"),
    clauses=["CIS Debian Benchmark 6.1"],
    vantage="host",
    remedy=N_("chmod 0600 the file and chown it to root; a key that others could read is to be made anew."),
    needs=["tls"],
)
def test_key_files(host: Any) -> None:
    found = [line.split(" ", 3) for line in host.run(KEYS).stdout.splitlines()]
    assert any(path == CERTIFICATE_FILE for _mode, _owner, _group, path in found), found
    wrong = [
        f"{path}: {mode} {owner}:{group}"
        for mode, owner, group, path in found
        if int(mode, 8) & 0o137 or owner not in KEY_OWNERS or (int(mode, 8) & 0o040 and group not in KEY_GROUPS)
    ]
    logged = host.run("journalctl --no-pager -q -o cat | grep -cE -- '-----BEGIN ([A-Z]+ )*PRIVATE KEY-----'").stdout
    assert logged.strip() == "0", _("The journal holds a private key.")
    assert not wrong, "\n".join(wrong)


@check(
    "C-22",
    N_("No port serves a certificate or a key that a package brought"),
    setting="mail_tls_source",
    remedy=REMEDY,
    needs=["tls"],
)
def test_nobodys_certificate(site: Site, loopback: Route, host: Any, main_family: str) -> None:
    looked = " ".join(shlex.quote(path).replace("'", "") for path in OTHERS_CERTIFICATES)
    text = host.run(f'for file in {looked}; do [ -e "$file" ] && {ONLY_CERTIFICATES} "$file"; done; true').stdout
    found = re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", text, re.S)
    others = {public_key(x509.load_pem_x509_certificate(one.encode())) for one in found}

    def look(door: Door) -> list[str]:
        own, *_chain = served(door)
        wrong = [_("Its key is that of a package's certificate.")] if public_key(own) in others else []
        return wrong + ([_("It has signed itself.")] if own.issuer == own.subject else [])

    nothing_wrong(at_each(doors_of(site, main_family, loopback), look))


def public_key(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
