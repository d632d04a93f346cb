"""Certificates and keys as PEM (RFC 7468): what they say, and whether a daemon may be given them.

The reading is done by the openssl command, so that the library needs nothing but Python's own; private keys are handed
to it on standard input alone.
"""

from __future__ import annotations

import itertools
import re
import ssl
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.valija.mailserver.plugins.module_utils.command import Done, run

TIMEOUT_SECONDS = 30.0

# The clocks of a host and of a CA differ: a certificate that begins so soon is taken for one that has begun.
CLOCK_SECONDS = 300

_BLOCK = re.compile(r"-----BEGIN (?P<label>[A-Z0-9 ]+)-----\s.*?-----END (?P=label)-----", re.DOTALL)


class BadCertificate(Exception):  # noqa: N818 - a verdict, not an error of ours
    """A certificate or key that no daemon may be given; the text goes on after what it is about: "has expired"."""


class BadKey(BadCertificate):
    """A private key that is none, is not the certificate's, or is not there."""


@dataclass(frozen=True)
class Pem:
    """The blocks of PEM texts, each once: private keys, and certificates in the order in which they stand."""

    keys: tuple[str, ...]
    certificates: tuple[str, ...]

    @property
    def text(self) -> str:
        """Key, certificate and chain as one text, in the order in which Postfix, Courier and Apache read them."""
        return "".join(f"{block}\n" for block in (*self.keys, *self.certificates))


@dataclass(frozen=True)
class Certificate:
    """What one certificate says. ``names`` are its DNS names; the times are seconds since 1970."""

    names: tuple[str, ...]
    subject: str
    issuer: str
    serial: str
    begins: float
    ends: float
    public_key: str

    @property
    def is_root(self) -> bool:
        """Whether it is issued by itself, as far as the names tell."""
        return self.subject == self.issuer


def pem_of(*texts: str) -> Pem:
    """The blocks of the texts; words around them are left out. BadCertificate for a block that is cut short."""
    keys: list[str] = []
    certificates: list[str] = []
    for text in texts:
        text = text.replace("\r\n", "\n")
        if text.count("-----BEGIN ") != len(_BLOCK.findall(text)):
            raise BadCertificate("holds a PEM block that is cut short")
        for match in _BLOCK.finditer(text):
            if match["label"].endswith("PRIVATE KEY"):
                keys.append(match[0])
            elif match["label"] in ("CERTIFICATE", "X509 CERTIFICATE"):
                certificates.append(match[0])
    return Pem(tuple(dict.fromkeys(keys)), tuple(dict.fromkeys(certificates)))


def openssl(*words: str, stdin: str = "") -> Done:
    """Run the openssl command."""
    return run(["openssl", *words], stdin=stdin, timeout_seconds=TIMEOUT_SECONDS)


def read(certificate: str) -> Certificate:
    """What one certificate (a PEM block) says. BadCertificate when it is none."""
    wanted = ("-subject", "-issuer", "-serial", "-dates", "-ext", "subjectAltName", "-pubkey", "-nameopt", "RFC2253")
    said = openssl("x509", "-noout", *wanted, stdin=certificate)
    fields = dict(re.findall(r"^(subject|issuer|serial|notBefore|notAfter)=[ ]*(.*)$", said.out, re.MULTILINE))
    key = _BLOCK.search(said.out)
    if not said.ok or len(fields) != 5 or key is None:
        raise BadCertificate(f"cannot be read as a certificate ({said.last_words(1)})")
    return Certificate(
        names=tuple(name.lower() for name in re.findall(r"\bDNS:([^,\s]+)", said.out)),
        subject=fields["subject"],
        issuer=fields["issuer"],
        serial=fields["serial"],
        begins=float(ssl.cert_time_to_seconds(fields["notBefore"])),
        ends=float(ssl.cert_time_to_seconds(fields["notAfter"])),
        public_key=key[0],
    )


def public_key(key: str) -> str:
    """The public half of a private key (a PEM block). BadKey when it is none, or asks for a passphrase."""
    if "ENCRYPTED" in key:
        raise BadKey("is a private key with a passphrase, which no daemon can give")
    said = openssl("pkey", "-pubout", "-passin", "pass:", stdin=key)
    found = _BLOCK.search(said.out)
    if not said.ok or found is None:
        raise BadKey("holds a private key that cannot be read")
    return found[0]


def covers(pattern: str, name: str) -> bool:
    """Whether a name of a certificate is good for a host name; a star stands for one whole label (RFC 9525)."""
    pattern, name = pattern.lower(), name.lower()
    if pattern.startswith("*."):
        return pattern[2:] == name.partition(".")[2]
    return pattern == name


def uncovered(certificate: Certificate, names: Iterable[str]) -> list[str]:
    """Those of the names that the certificate is not good for."""
    return [name for name in names if not any(covers(pattern, name) for pattern in certificate.names)]


def judge(pem: Pem, names: Sequence[str], now: float) -> Certificate:
    """The first certificate, when daemons may be given it with its key and its chain; BadCertificate when not."""
    if not pem.certificates:
        raise BadCertificate("holds no certificate")
    chain = [read(block) for block in pem.certificates]
    leaf = chain[0]
    judge_key(pem.keys, leaf)
    judge_time(leaf, now)
    missing = uncovered(leaf, names)
    if missing:
        raise BadCertificate(f"is not for {', '.join(missing)}, but for {', '.join(leaf.names) or 'no DNS name'}")
    judge_chain(pem.certificates, chain, now)
    return leaf


def judge_key(keys: Sequence[str], leaf: Certificate) -> None:
    """BadKey unless there is one key, the certificate's."""
    if len(keys) != 1:
        raise BadKey("holds more than one private key" if keys else "holds no private key")
    if public_key(keys[0]) != leaf.public_key:
        raise BadKey("holds the private key of another certificate")


def judge_time(leaf: Certificate, now: float) -> None:
    """BadCertificate when it has ended, or will not have begun by any clock."""
    if leaf.ends <= now:
        raise BadCertificate(f"expired on {day(leaf.ends)}")
    if leaf.begins > now + CLOCK_SECONDS:
        raise BadCertificate(f"is not valid before {day(leaf.begins)}")


def judge_chain(blocks: Sequence[str], chain: Sequence[Certificate], now: float) -> None:
    """BadCertificate unless each certificate is signed by the next, as far as they are there (RFC 8446 4.4.2)."""
    for place, (lower, upper) in enumerate(itertools.pairwise(chain), 1):
        if lower.issuer != upper.subject:
            raise BadCertificate(
                f"has a chain in the wrong order: certificate {place} is issued by {lower.issuer}, "
                f"and {upper.subject} stands after it"
            )
    verified = _verify(blocks, max(now, *(each.begins for each in chain if each.begins <= now + CLOCK_SECONDS)))
    if verified:
        raise BadCertificate(f"has a chain that does not verify ({verified})")


def _verify(blocks: Sequence[str], now: float) -> str:
    """What openssl says against the chain, its last certificate trusted; empty when nothing."""
    with tempfile.TemporaryDirectory(prefix="valija-") as folder:
        trusted, others, first = (Path(folder, name) for name in ("trusted", "others", "first"))
        trusted.write_text(blocks[-1] + "\n")
        others.write_text("".join(f"{block}\n" for block in blocks[1:]))
        first.write_text(blocks[0] + "\n")
        options = ["-partial_chain", "-attime", str(int(now)), "-purpose", "sslserver", "-trusted", str(trusted)]
        if len(blocks) > 1:
            options += ["-untrusted", str(others)]
        said = openssl("verify", *options, str(first))
    if said.ok:
        return ""
    reasons = re.findall(r"error \d+ at \d+ depth lookup: (.*)", said.out + said.err)
    return reasons[0] if reasons else said.last_words(1)


def day(seconds: float) -> str:
    """A day as people write it in all languages, UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
