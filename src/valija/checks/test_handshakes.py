"""What happens around a handshake: resumption, early data, renegotiation, and who is asked for a certificate."""

from __future__ import annotations

import contextlib
import os
import shutil
import ssl
import subprocess
from typing import Any

import pytest

from valija.checks.doors import Door, at_each, doors_of, nothing_wrong
from valija.checks.marks import check, rfc
from valija.checks.site import Site
from valija.messages import N_, _
from valija.probes import tls, transcript, wait
from valija.probes import tls_registry as registry
from valija.probes.handshake import Hello
from valija.probes.routes import Route, join
from valija.probes.tls_watch import watch
from valija.probes.transcript import Recorder

# What makes each server answer and close, so that the tickets of TLS 1.3, which come behind the handshake, are read.
FAREWELL = {
    "smtp": b"QUIT\r\n",
    "imap": b"a LOGOUT\r\n",
    "pop3": b"QUIT\r\n",
    "http": b"HEAD / HTTP/1.0\r\n\r\n",
}
RENEGOTIATION_SECONDS = 5.0


def context_of(site: Site, version: ssl.TLSVersion) -> ssl.SSLContext:
    """A verifying context that speaks one version alone."""
    assert site.tls is not None
    context = tls.verifying(site.tls.ca_pem)
    context.minimum_version = context.maximum_version = version
    return context


def leave(secure: ssl.SSLSocket, protocol: str) -> None:
    """Take leave in the protocol's words and read to the end."""
    with contextlib.suppress(OSError):
        secure.sendall(FAREWELL[protocol])
        while secure.recv(4096):
            pass


@check(
    "C-18",
    N_("No server asks a client for a certificate"),
    clauses=[rfc(8446, "4.3.2"), rfc(5246, "7.4.4")],
    setting="postfix_main_cf_extra, courier_imapd_extra",
    remedy=N_(
        "Mail programs show a puzzling window: take smtpd_tls_ask_ccert, TLS_VERIFYPEER and SSLVerifyClient out."
    ),
    needs=["tls"],
)
def test_no_client_certificate(site: Site, family: str) -> None:
    def look(door: Door) -> list[str]:
        wrong = []
        if door.shake(Hello((registry.TLS12,))).asks_for_certificate:
            wrong.append(_("{version}: the server asks for a certificate.").format(version="TLS 1.2"))
        context = context_of(site, ssl.TLSVersion.TLSv1_3)
        heard = watch(context)
        with door.secured(context) as secure:
            leave(secure, door.protocol)
        assert heard.messages, _("Nothing of the handshake was seen.")
        if heard.asks_for_certificate:
            wrong.append(_("{version}: the server asks for a certificate.").format(version="TLS 1.3"))
        return wrong

    nothing_wrong(at_each(doors_of(site, family), look))


@check(
    "C-04",
    N_("Nothing is taken before the handshake is done: no ticket allows early data"),
    clauses=[rfc(8446, "8", "E.5")],
    setting="postfix_main_cf_extra",
    remedy=N_("Early data can be played again by whoever saw it: switch it off where it was switched on."),
    needs=["tls"],
)
def test_no_early_data(site: Site, family: str) -> None:
    def look(door: Door) -> list[str]:
        context = context_of(site, ssl.TLSVersion.TLSv1_3)
        heard = watch(context)
        with door.secured(context) as secure:
            leave(secure, door.protocol)
        return [_("A ticket allows early data.")] if heard.allows_early_data else []

    nothing_wrong(at_each(doors_of(site, family), look))


@check(
    "C-16",
    N_("A second connection goes on with the session of the first, in TLS 1.2 and 1.3"),
    clauses=[rfc(5077, "3.1"), rfc(8446, "2.2", "4.6.1")],
    setting="postfix_main_cf_extra",
    remedy=N_("Without it every connection costs a whole handshake: look at the settings of tickets and caches."),
    needs=["tls"],
)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS-1.2", "TLS-1.3"])
def test_resumption(site: Site, loopback: Route, main_family: str, version: ssl.TLSVersion) -> None:
    def look(door: Door) -> list[str]:
        context = context_of(site, version)
        heard = watch(context)
        with door.secured(context) as first:
            leave(first, door.protocol)
            session = first.session
        if session is None or not (session.has_ticket or session.id):
            # Courier gives no tickets of TLS 1.3: each connection is a handshake of its own.
            return [] if door.protocol in ("imap", "pop3") else [_("No session is given to go on with.")]
        sock, recorder = door.before_tls()
        with context.wrap_socket(sock, server_hostname=door.name, session=session) as second:
            resumed = second.session_reused
            recorder.tls = second.version()
            recorder.remark(_("resumed") if resumed else _("not resumed"))
            leave(second, door.protocol)
        return [] if resumed or not heard.tickets else [_("A ticket was given and is not taken.")]

    nothing_wrong(at_each(doors_of(site, main_family, loopback), look))


@check(
    "C-04",
    N_("A client that asks Postfix or Apache to begin the handshake anew within a connection is not heard"),
    clauses=[rfc(9325, "3.5"), "CVE-2011-1473"],
    setting="postfix_main_cf_extra",
    remedy=N_(
        "A client could keep the processor busy with one connection: tls_ssl_options = NO_RENEGOTIATION in Postfix."
    ),
    needs=["tls"],
)
def test_renegotiation(site: Site, main_family: str) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip(_("no openssl: apt-get install openssl on the machine that runs the checks"))
    # couriertls does it anew, and GnuTLS has no setting against it: SECURITY.md says so.
    doors = [door for door in doors_of(site, main_family) if door.protocol in ("smtp", "http")]
    nothing_wrong(at_each(doors, lambda door: renegotiated(door, openssl)))


def renegotiated(door: Door, openssl: str) -> list[str]:
    """Ask for a new handshake by `R`, a command of openssl-s_client(1); a handshake done tells the chain once more."""
    starttls = ["-starttls", door.protocol] if door.starttls else []
    command = [openssl, "s_client", "-connect", join(door.address, door.port), "-tls1_2", "-legacy_renegotiation"]
    recorder = Recorder(door.protocol, join(door.address, door.port))
    transcript.on_conversation(recorder)
    process: subprocess.Popen[bytes] = subprocess.Popen(
        [*command, *starttls], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdin is not None and process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    said = bytearray()

    def hears(*words: bytes) -> Any:
        said.extend(process.stdout.read() or b"")  # type: ignore[union-attr]
        return process.poll() is not None or any(word in said for word in words)

    try:
        wait.until(lambda: hears(b"Verify return code"), RENEGOTIATION_SECONDS, _("the handshake of openssl s_client"))
        before = said.count(b"depth=")
        assert before, said.decode("utf-8", "replace")
        recorder.remark(_("openssl s_client: R, a new handshake"))
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(b"R\n")
            process.stdin.flush()
        with contextlib.suppress(wait.TooLateError):  # a server that keeps silent has not heard either
            wait.until(lambda: said.count(b"depth=") > before or hears(b":error:"), RENEGOTIATION_SECONDS, "")
        hears()
        for line in said.decode("utf-8", "replace").splitlines():
            if "RENEGOTIATING" in line or "error" in line:
                recorder.remark(line)
        assert b"RENEGOTIATING" in said, said.decode("utf-8", "replace")[-400:]
        return [_("The handshake was done anew.")] if said.count(b"depth=") > before else []
    finally:
        process.kill()
        process.communicate()


@check(
    "C-16",
    N_("Nobody but the services reads the sessions that they keep"),
    vantage="host",
    remedy=N_("chmod o-rwx the file: whoever reads it can read what those sessions said."),
    needs=["tls"],
)
def test_caches_are_closed(host: Any) -> None:
    said = host.run(
        "find /var/lib/courier /var/lib/postfix /run/apache2 /var/cache/apache2 -type f "
        "\\( -name '*ssl*cache*' -o -name '*smtp*_scache*' -o -name 'ssl_scache*' \\) -printf '%m %p\\n' 2>/dev/null"
    )
    kept = said.stdout.splitlines()
    assert kept, _("No service keeps sessions in a file: nothing is proved.")
    wrong = [line for line in kept if int(line.split()[0], 8) & 0o007]
    assert not wrong, "\n".join(wrong)
