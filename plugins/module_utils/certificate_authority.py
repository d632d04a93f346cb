"""A small certificate authority on a host, for a site that no public one has signed (RFC 5280).

Its root is what people import in their mail programs. A root that comes to its end is signed anew with the same key, so
that certificates verify by the old one and the new one alike while both are valid.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.valija.mailserver.plugins.module_utils import certificate, landing
from ansible_collections.valija.mailserver.plugins.module_utils.certificate import BadCertificate, openssl

DAY_SECONDS = 86400

ROOT_DAYS = 3650
# A root that ends sooner is signed anew: people have more than a year to import it.
ROOT_RENEWED_DAYS = 800
# Mail programs and browsers take 398 at most, and Mozilla's intermediate profile wants less than 366.
LEAF_DAYS = 365
# A certificate is good for clocks that are slow by this much.
BACKDATED_SECONDS = 3600

# The longest common name (RFC 5280 appendix A.1, ub-common-name).
LONGEST_COMMON_NAME = 64

_CONFIGURATION = """
[ca]
default_ca = site
[site]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = policy
unique_subject = no
[policy]
commonName = supplied
[req]
distinguished_name = name
prompt = no
[name]
[root]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
"""


@dataclass(frozen=True)
class Authority:
    """Where a site's own authority lives: its key, for root alone, and its root certificate, for everybody."""

    key: Path
    root: Path

    def root_text(self) -> str:
        """The root certificate as PEM; empty when there is none."""
        try:
            return self.root.read_text()
        except OSError:
            return ""

    def signed(self, leaf: str) -> bool:
        """Whether a certificate (a PEM block) is of this authority."""
        said = openssl("verify", "-no_check_time", "-CAfile", str(self.root), "/dev/stdin", stdin=leaf)
        return said.ok

    def needs_root(self, now: float) -> bool:
        """Whether the root is to be made, or signed anew."""
        try:
            found = certificate.read(self.root_text())
            mine = certificate.public_key(self.key.read_text())
        except (BadCertificate, OSError):
            return True
        return found.public_key != mine or found.ends < now + ROOT_RENEWED_DAYS * DAY_SECONDS

    def ensure_root(self, hostname: str, now: float) -> bool:
        """Have a root that lasts; true when it was made, or signed anew with its key."""
        if not self.needs_root(now):
            return False
        try:
            key = self.key.read_text()
            certificate.public_key(key)
        except (BadCertificate, OSError):
            key = new_key()
            landing.write_file(str(self.key), key.encode(), os.geteuid(), os.getegid(), 0o600)
        name = f"Valija CA of {hostname}"[:LONGEST_COMMON_NAME]
        root = _sign(key, name, "root", now, ROOT_DAYS, issuer_key=key)
        landing.write_file(str(self.root), root.encode(), os.geteuid(), os.getegid(), 0o644)
        return True

    def issue(self, names: Sequence[str], now: float) -> str:
        """A fresh key and a certificate for the names, the first one the main, as one PEM text."""
        key = new_key()
        name = names[0] if len(names[0]) <= LONGEST_COMMON_NAME else "Valija mail server"
        leaf = _sign(
            key, name, "leaf", now, LEAF_DAYS, issuer_key=self.key.read_text(), issuer=self.root_text(), names=names
        )
        return key + leaf


def new_key() -> str:
    """A private key on the curve P-256, as PEM."""
    made = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    if not made.ok:
        raise BadCertificate(f"cannot be made, for openssl makes no key: {made.last_words(2)}")
    return made.out


def _sign(
    key: str,
    name: str,
    kind: str,
    now: float,
    days: int,
    *,
    issuer_key: str,
    issuer: str = "",
    names: Sequence[str] = (),
) -> str:
    """A certificate of a kind (root, leaf) for a key; without an issuer it signs itself. Keys go by a pipe alone."""
    with tempfile.TemporaryDirectory(prefix="valija-") as folder:  # 0700
        request, configuration, root = (Path(folder, part) for part in ("request", "configuration", "root"))
        Path(folder, "index").touch()
        listed = ",".join(f"DNS:{each}" for each in names) or "DNS:localhost"
        configuration.write_text(_CONFIGURATION.format(folder=folder, names=listed))
        asked = openssl(
            *("req", "-new", "-config", str(configuration), "-key", "/dev/stdin", "-subj", f"/CN={name}"), stdin=key
        )
        request.write_text(asked.out)
        root.write_text(issuer)
        made = openssl(
            *("ca", "-batch", "-notext", "-config", str(configuration), "-extensions", kind, "-in", str(request)),
            *("-startdate", _moment(now - BACKDATED_SECONDS), "-enddate", _moment(now + days * DAY_SECONDS)),
            *("-keyfile", "/dev/stdin", *(["-cert", str(root)] if issuer else ["-selfsign"])),
            stdin=issuer_key,
        )
    if not asked.ok or not made.ok:
        raise BadCertificate(f"cannot be made: {(made if asked.ok else asked).last_words(4)}")
    return certificate.pem_of(made.out).text


def _moment(seconds: float) -> str:
    """A time as ASN.1 writes it (X.690, GeneralizedTime), UTC."""
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(seconds))
