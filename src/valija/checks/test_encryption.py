"""What the ports would agree to, asked by hellos written by hand: versions, suites, groups, and old mistakes."""

from __future__ import annotations

from collections.abc import Iterator

from valija.checks.doors import Door, at_each, doors_of, nothing_wrong
from valija.checks.marks import check, rfc
from valija.checks.site import Site
from valija.messages import N_, _
from valija.probes import handshake
from valija.probes import tls_registry as tls
from valija.probes.handshake import Hello
from valija.probes.routes import Route

SETTINGS = "postfix_main_cf_extra, courier_tls_priority"
REMEDY = N_(
    "Run `valija apply`. On the host 25, 465 and 587 take it from `postconf -n | grep tls`, 993 and 995 from "
    "TLS_PRIORITY in /etc/courier/imapd-ssl and pop3d-ssl, 443 from Apache's SSLProtocol and SSLCipherSuite."
)

OLD = (tls.SSL3, tls.TLS10, tls.TLS11)
ALL_SUITES = (*tls.INTERMEDIATE_SUITES, *tls.OTHER_SUITES)

# RFC 8422 section 5.1.1 has done away with the binary curves and the small ones.
WEAK_GROUPS = tuple(range(0x0001, 0x0017))
OWED_GROUPS = (tls.X25519, tls.P256, tls.P384)
DHE_SUITES = tuple(suite for suite in tls.INTERMEDIATE_SUITES if tls.SUITES[suite].startswith("DHE"))
ECDHE_SUITES = tuple(suite for suite in tls.INTERMEDIATE_SUITES if suite not in DHE_SUITES)
LEAST_PRIME_BITS = 2048


@check(
    "C-01",
    N_("TLS 1.2 and 1.3 are spoken at every port, and nothing older"),
    clauses=[rfc(8996, "4"), rfc(8314, "4.1"), rfc(9325, "3.1")],
    tier="quick",
    setting=SETTINGS,
    remedy=REMEDY,
    needs=["tls"],
)
def test_versions(site: Site, loopback: Route, family: str) -> None:
    def look(door: Door) -> list[str]:
        sock, recorder = door.before_tls()
        with sock:
            wrong = [_("SSL 2.0 is spoken.")] if handshake.shake_ssl2(sock, recorder) else []
        for version in OLD:
            answer = door.shake(Hello((version,), ALL_SUITES))
            if answer.agreed:
                wrong.append(_("{version} is asked for and {answer} is spoken.").format(
                    version=tls.VERSIONS[version], answer=answer
                ))  # fmt: skip
        for version in (tls.TLS12, tls.TLS13):
            answer = door.shake(Hello((version,)))
            if answer.version != version:
                wrong.append(_("{version} is not spoken: {answer}.").format(
                    version=tls.VERSIONS[version], answer=answer
                ))  # fmt: skip
        return wrong

    nothing_wrong(at_each(doors_of(site, family, loopback), look))


@check(
    "C-02",
    N_("Every suite agreed to has forward secrecy and authenticated encryption: those of Mozilla's intermediate list"),
    clauses=[rfc(9325, "4.2"), "Mozilla Server Side TLS 5.7"],
    setting=SETTINGS,
    remedy=REMEDY,
    needs=["tls"],
)
def test_suites(site: Site, family: str) -> None:
    def look(door: Door) -> list[str]:
        weak = [*agreed_one_by_one(door, tls.TLS12, tls.OTHER_SUITES)]
        weak += agreed_one_by_one(door, tls.TLS13, (0x1304, 0x1305))
        wrong = [_("{suite} is agreed to.").format(suite=tls.suite_name(suite)) for suite in weak]
        strong = {*agreed_one_by_one(door, tls.TLS12, tls.INTERMEDIATE_SUITES)}
        # One for a server whose key is RSA, one for ECDSA; every client of today has them.
        wrong += [] if strong & {0xC02F, 0xC02B} else [_("No suite ECDHE with AES-128-GCM is agreed to.")]
        modern = {*agreed_one_by_one(door, tls.TLS13, tls.TLS13_SUITES)}
        missing = [tls.suite_name(suite) for suite in tls.TLS13_SUITES if suite not in modern]
        return wrong + [_("{suite} is not agreed to.").format(suite=suite) for suite in missing]

    nothing_wrong(at_each(doors_of(site, family), look))


def agreed_one_by_one(door: Door, version: int, suites: tuple[int, ...]) -> Iterator[int]:
    """The suites that a server chooses out of these, each taken away when it was chosen."""
    left = list(suites)
    while left:
        answer = door.shake(Hello((version,), tuple(left)))
        if answer.version != version or answer.suite not in left:
            return
        yield answer.suite
        left.remove(answer.suite)


@check(
    "C-03",
    N_("Keys are agreed by X25519, P-256 or P-384, never by a small curve or a prime below 2,048 bits"),
    clauses=[rfc(9325, "4.1", "4.2.1"), rfc(8422, "5.1.1")],
    setting=SETTINGS,
    remedy=REMEDY,
    needs=["tls"],
)
def test_groups(site: Site, family: str) -> None:
    def look(door: Door) -> list[str]:
        wrong = []
        # P-256 last: a server whose key is on that curve serves no client of TLS 1.2 that does not know it.
        old = door.shake(Hello((tls.TLS12,), ECDHE_SUITES, (*WEAK_GROUPS, tls.P256)))
        new = door.shake(Hello((tls.TLS13,), groups=WEAK_GROUPS))
        for answer in (old, new):
            if answer.group in WEAK_GROUPS:
                wrong.append(_("A weak curve is agreed to: {answer}.").format(answer=answer))
        for group in OWED_GROUPS:
            answer = door.shake(Hello((tls.TLS13,), groups=(group,)))
            if answer.group != group:
                wrong.append(_("{group} is not agreed to: {answer}.").format(group=tls.GROUPS[group], answer=answer))
        answer = door.shake(Hello((tls.TLS12,), DHE_SUITES, groups=()))
        if answer.agreed and answer.dh_bits < LEAST_PRIME_BITS:
            wrong.append(_("A prime of {bits} bits is agreed to.").format(bits=answer.dh_bits))
        return wrong

    nothing_wrong(at_each(doors_of(site, family), look))


@check(
    "C-04",
    N_("No compression; the extended master secret, secure renegotiation and the guard against a fall back are there"),
    clauses=[rfc(9325, "3.3", "3.5"), rfc(7627, "5.2"), rfc(5746, "3.6"), rfc(7507, "3")],
    setting=SETTINGS,
    remedy=REMEDY,
    needs=["tls"],
)
def test_extensions(site: Site, family: str) -> None:
    def look(door: Door) -> list[str]:
        answer = door.shake(Hello((tls.TLS12,), compressions=(1, 0)))
        wrong = (
            [] if answer.agreed else [_("A client that knows compression is refused: {answer}.").format(answer=answer)]
        )
        wrong += [_("Compression is agreed to.")] if answer.compression else []
        for kind, name in (
            (tls.EXTENDED_MASTER_SECRET, "extended_master_secret"),
            (tls.RENEGOTIATION_INFO, "renegotiation_info"),
        ):
            wrong += [] if kind in answer.extensions else [_("The extension {name} is missing.").format(name=name)]
        fallen = door.shake(Hello((tls.TLS12,), (*tls.INTERMEDIATE_SUITES, tls.FALLBACK_SCSV)))
        if fallen.agreed:
            wrong.append(_("A client that fell back to TLS 1.2 is not told: {answer}.").format(answer=fallen))
        return wrong

    nothing_wrong(at_each(doors_of(site, family), look))


@check(
    "C-05",
    N_("Heartbeats are not answered, and keys are not changed before they are agreed"),
    clauses=["CVE-2014-0160", "CVE-2014-0224"],
    remedy=N_("The library is old: `apt-get upgrade` on the host, then restart the services."),
    needs=["tls"],
)
def test_known_bugs(site: Site, family: str) -> None:
    def look(door: Door) -> list[str]:
        extensions = (tls.EXTENDED_MASTER_SECRET, tls.HEARTBEAT)
        answer = door.shake(Hello((tls.TLS12,), extensions=extensions))
        wrong = (
            [] if answer.agreed else [_("A client that knows heartbeats is refused: {answer}.").format(answer=answer)]
        )
        wrong += [_("Heartbeats are agreed to.")] if tls.HEARTBEAT in answer.extensions else []
        early = door.shake(Hello((tls.TLS12,)), then=handshake.EARLY_CHANGE_CIPHER_SPEC)
        # A sound server ends the handshake, by an alert or by closing; the other goes on and waits.
        return wrong + ([_("ChangeCipherSpec is taken before its turn.")] if early.silent or early.agreed else [])

    nothing_wrong(at_each(doors_of(site, family), look))
