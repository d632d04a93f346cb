"""Mail programs as they come, with their own TLS: they work with our certificate, and refuse another CA's."""

from __future__ import annotations

import imaplib
import poplib
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from valija.checks.mailbox import Mailbox
from valija.checks.marks import check, rfc
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import message, tls, transcript
from valija.probes.transcript import Recorder

TRUST = N_("The program is to be given the site's root: `certificates/HOST.pem` beside the inventory.")

# What curl leaves with when the certificate is not to be trusted (EXIT CODES in curl(1)).
UNTRUSTED = 60


@pytest.fixture(scope="module")
def nobodys_ca() -> str:
    """The certificate of a CA that has signed nothing here, PEM."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), 1, now - timedelta(hours=1), now + timedelta(days=1)
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@pytest.fixture
def curl(
    site: Site, tmp_path: Path, main_family: str, nobodys_ca: str
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run curl(1) with the site's CA, or nobody's; the password does not stand on its command line."""
    program = shutil.which("curl")
    if program is None:
        pytest.skip(_("no curl: apt-get install curl on the machine that runs the checks"))
    assert site.tls is not None
    (tmp_path / "nobody.pem").write_text(nobodys_ca)
    (tmp_path / "site.pem").write_text(site.tls.ca_pem)

    def run(url: str, account: Account, *options: str, trusted: bool = True) -> subprocess.CompletedProcess[str]:
        own = ["--cacert", str(tmp_path / "site.pem")] if site.tls and site.tls.ca_pem else []
        address = site.addresses[main_family]
        at = f"[{address}]" if ":" in address else address
        command = [
            str(program),
            "--silent",
            "--show-error",
            "--max-time",
            "30",
            "--ssl-reqd",
            "--connect-to",
            f"::{at}:",
        ]
        command += own if trusted else ["--cacert", str(tmp_path / "nobody.pem")]
        done = subprocess.run(
            [*command, *options, "--config", "-", url],
            input=f'user = "{account.name}:{account.password}"\n',
            capture_output=True,
            text=True,
            check=False,
        )
        recorder = Recorder("curl", url)
        transcript.on_conversation(recorder)
        recorder.client_says(" ".join(["curl", "--ssl-reqd", *options, url]))
        recorder.remark(_("exit code {code}: {text}").format(code=done.returncode, text=done.stderr.strip()))
        return done

    return run


@check(
    "D-45",
    N_("curl sends by smtps and STARTTLS, lists and fetches by imaps and pop3s, and refuses another CA's certificate"),
    vantage="client",
    clauses=[rfc(8314, "3"), "curl(1)"],
    setting="mail_tls_source",
    remedy=TRUST,
    needs=["tls"],
    mutates=True,
)
def test_curl(
    site: Site,
    curl: Callable[..., subprocess.CompletedProcess[str]],
    mailbox: Mailbox,
    tmp_path: Path,
    alice: Account,
) -> None:
    name = site.hostname
    for url in (f"smtps://{name}:465", f"smtp://{name}:587"):
        sent = message.new(alice.address, alice.address)
        (tmp_path / "message.eml").write_bytes(sent.content)
        envelope = ["--mail-from", alice.address, "--mail-rcpt", alice.address, "-T", str(tmp_path / "message.eml")]
        done = curl(url, alice, *envelope)
        assert done.returncode == 0, done.stderr
        mailbox.arrived(sent)
        assert curl(url, alice, *envelope, trusted=False).returncode == UNTRUSTED
    found = curl(f"imaps://{name}/INBOX?HEADER%20X-Test-Id%20{sent.test_id}", alice)
    listed = curl(f"pop3s://{name}/", alice)
    for done in (found, listed):
        assert done.returncode == 0 and re.search(r"\d", done.stdout), done.stderr or done.stdout
    numbers = {"imaps": found.stdout.split()[-1:], "pop3s": listed.stdout.split()[-2::-2]}
    for scheme, tried in numbers.items():
        urls = [
            f"imaps://{name}/INBOX/;MAILINDEX={one}" if scheme == "imaps" else f"pop3s://{name}/{one}" for one in tried
        ]
        assert any(sent.test_id in curl(url, alice).stdout for url in urls), _(
            "{scheme} does not give the message."
        ).format(scheme=scheme)
        assert curl(f"{scheme}://{name}/", alice, trusted=False).returncode == UNTRUSTED


@pytest.fixture
def name_leads_to_host(site: Site, main_family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's name leads to the address that is proved, whatever DNS says: a program is given the name alone."""
    usual = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        return usual(site.addresses[main_family] if host == site.hostname else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture
def programs(
    name_leads_to_host: None, site: Site, alice: Account
) -> Iterator[dict[str, Callable[[ssl.SSLContext], str]]]:
    """Python's own clients as its manual shows them; each logs in and says what the server answered last."""

    def by_imap(context: ssl.SSLContext) -> str:
        with imaplib.IMAP4_SSL(site.hostname, ssl_context=context) as box:
            box.login(alice.name, alice.password)
            return str(box.select()[0])

    def by_pop3(context: ssl.SSLContext) -> str:
        drop = poplib.POP3_SSL(site.hostname, context=context)
        drop.user(alice.name)
        drop.pass_(alice.password)
        return "OK" if drop.quit().startswith(b"+OK") else ""

    def by_smtps(context: ssl.SSLContext) -> str:
        with smtplib.SMTP_SSL(site.hostname, context=context) as talk:
            return "OK" if talk.login(alice.name, alice.password)[0] == 235 else ""

    def by_starttls(context: ssl.SSLContext) -> str:
        with smtplib.SMTP(site.hostname, 587) as talk:
            talk.starttls(context=context)
            return "OK" if talk.login(alice.name, alice.password)[0] == 235 else ""

    yield {"imaplib": by_imap, "poplib": by_pop3, "smtplib 465": by_smtps, "smtplib 587": by_starttls}


@check(
    "D-47",
    N_("Python's imaplib, poplib and smtplib log in with verification on, and refuse another CA's certificate"),
    vantage="client",
    clauses=[rfc(8314, "3"), rfc(9525, "6")],
    setting="mail_tls_source",
    remedy=TRUST,
    needs=["tls"],
)
def test_python(programs: dict[str, Callable[[ssl.SSLContext], str]], site: Site, nobodys_ca: str) -> None:
    assert site.tls is not None
    for name, log_in in programs.items():
        assert log_in(tls.verifying(site.tls.ca_pem)) == "OK", name
        with pytest.raises(ssl.SSLCertVerificationError):
            log_in(ssl.create_default_context(cadata=nobodys_ca))
