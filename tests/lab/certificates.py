"""Certificates for the lab's tests: made here, good or broken on purpose, and looked at where they are served."""

from __future__ import annotations

import smtplib
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# Ports at which TLS begins at once, and those at which a client asks for it.
IMPLICIT, STARTTLS = (443, 465, 993, 995), (25, 587)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str

    @property
    def serial(self) -> str:
        return serial_of(x509.load_pem_x509_certificate(self.certificate.encode()))

    @property
    def key_lines(self) -> list[str]:
        """The lines of the key that nobody may ever read in a log."""
        return [line for line in self.key.splitlines() if line and "-----" not in line]


def serial_of(certificate: x509.Certificate) -> str:
    """The serial number in the form of `openssl x509 -serial`."""
    text = f"{certificate.serial_number:X}"
    return text if len(text) % 2 == 0 else f"0{text}"


def make(
    *names: str, begins_days: float = -1, ends_days: float = 90, passphrase: str = "", subject: bool = True
) -> Pair:
    """A certificate that has signed itself, from and to so many days from now."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])] if subject else [])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now + timedelta(days=begins_days))
        .not_valid_after(now + timedelta(days=ends_days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption(),
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode())


def served(address: str, hostname: str, ca_pem: str | None = None) -> dict[int, str]:
    """The serial number of the certificate at each TLS port; with a CA, it must be of this CA, for the name, valid.

    Raises ssl.SSLError where it is not, and OSError where nobody answers.
    """
    context = ssl.create_default_context(cadata=ca_pem)
    if ca_pem is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    found = {}
    for port in IMPLICIT:
        with (
            socket.create_connection((address, port), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname=hostname) as secure,
        ):
            found[port] = _serial(secure)
    for port in STARTTLS:
        with smtplib.SMTP(address, port, timeout=30) as talk:
            talk._host = hostname  # type: ignore[attr-defined]  # the name that the certificate is checked against
            talk.starttls(context=context)
            assert isinstance(talk.sock, ssl.SSLSocket)
            found[port] = _serial(talk.sock)
    return found


def _serial(secure: ssl.SSLSocket) -> str:
    return serial_of(x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b""))
