"""Hellos written by hand: what they say on the wire, and what is read out of a server's answer."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import trustme

from valija.probes import handshake
from valija.probes import tls_registry as tls
from valija.probes.handshake import Answer, Hello, read_answer
from valija.probes.tls_watch import watch
from valija.probes.transcript import Recorder

AUTHORITY = trustme.CA(key_type=trustme.KeyType.ECDSA)
CERTIFICATE = AUTHORITY.issue_cert("mail.example.org", key_type=trustme.KeyType.ECDSA)

Configure = Callable[[ssl.SSLContext], None]


@contextmanager
def server(configure: Configure = lambda context: None) -> Iterator[socket.socket]:
    """A connection to a real server of this machine's library, which does one handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CERTIFICATE.configure_cert(context)
    configure(context)
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with context.wrap_socket(theirs, server_side=True) as secure:
                secure.recv(1)
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    with ours:
        yield ours
    thread.join()


def shaken(hello: Hello, configure: Configure = lambda context: None, then: bytes = b"") -> Answer:
    with server(configure) as sock:
        return handshake.shake(sock, hello, Recorder("imap"), then=then)


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def server_hello(
    version: int, suite: int, *, compression: int = 0, extensions: bytes = b"", random: bytes = b"r" * 32
) -> bytes:
    body = struct.pack(">H32sBHB", version, random, 0, suite, compression)
    return message(2, body + (struct.pack(">H", len(extensions)) + extensions if extensions else b""))


def test_a_server_of_tls_1_2_tells_its_suite_its_group_and_its_certificate() -> None:
    answer = shaken(Hello((tls.TLS12,)))
    assert (answer.version, answer.group) == (tls.TLS12, tls.X25519)
    assert tls.suite_name(answer.suite).startswith("TLS_ECDHE_ECDSA")
    assert answer.certificates[0] == ssl.PEM_cert_to_DER_cert(CERTIFICATE.cert_chain_pems[0].bytes().decode())
    assert not answer.asks_for_certificate and tls.EXTENDED_MASTER_SECRET in answer.extensions


@pytest.mark.parametrize("group", [tls.X25519, tls.P256, tls.P384])
def test_a_server_of_tls_1_3_asks_for_the_one_group_that_is_offered(group: int) -> None:
    answer = shaken(Hello((tls.TLS13,), groups=(group,)))
    assert (answer.version, answer.group, answer.suite in tls.TLS13_SUITES) == (tls.TLS13, group, True)


@pytest.mark.parametrize("version", [tls.SSL3, tls.TLS10, tls.TLS11])
def test_an_old_version_is_refused_by_an_alert(version: int) -> None:
    answer = shaken(Hello((version,), (*tls.INTERMEDIATE_SUITES, *tls.OTHER_SUITES)))
    assert not answer.agreed and answer.alert is not None


def test_ssl_2_is_not_taken_for_spoken() -> None:
    with server() as sock:
        assert not handshake.shake_ssl2(sock, Recorder("imap"))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"\x80\x05\x04\x00\x01")
        assert handshake.shake_ssl2(ours, Recorder("imap"))


def test_a_weak_suite_that_the_server_allows_is_agreed_to() -> None:
    def weaken(context: ssl.SSLContext) -> None:
        context.set_ciphers("ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")

    answer = shaken(Hello((tls.TLS12,), tls.OTHER_SUITES), weaken)
    assert tls.suite_name(answer.suite) == "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"
    assert not shaken(Hello((tls.TLS12,), tls.INTERMEDIATE_SUITES), weaken).agreed


def test_a_server_that_wants_a_certificate_is_noticed_in_both_versions() -> None:
    def want(context: ssl.SSLContext) -> None:
        context.verify_mode = ssl.CERT_OPTIONAL
        AUTHORITY.configure_trust(context)

    assert shaken(Hello((tls.TLS12,)), want).asks_for_certificate
    client = ssl.create_default_context()
    AUTHORITY.configure_trust(client)
    heard = watch(client)
    with server(want) as sock, client.wrap_socket(sock, server_hostname="mail.example.org") as secure:
        secure.sendall(b"x")
        assert secure.recv(1) == b""
    assert heard.asks_for_certificate and heard.tickets == 2 and not heard.allows_early_data


def test_a_key_change_before_its_turn_ends_the_handshake() -> None:
    answer = shaken(Hello((tls.TLS12,)), then=handshake.EARLY_CHANGE_CIPHER_SPEC)
    assert not answer.agreed and not answer.silent


def test_who_falls_back_is_told() -> None:
    hello = Hello((tls.TLS12,), (*tls.INTERMEDIATE_SUITES, tls.FALLBACK_SCSV))
    assert shaken(hello).alert == next(
        number for number, name in tls.ALERTS.items() if name == "inappropriate_fallback"
    )


def test_a_flight_in_pieces_is_put_together() -> None:
    certificate = message(11, b"\0\0\7\0\0\4DERs")
    prime = (1 << 1023 | 1).to_bytes(128, "big")
    key_exchange = message(12, struct.pack(">H", len(prime)) + prime + b"\0\1\2\0\1\3")
    flight = server_hello(tls.TLS10, 0x0033) + certificate + key_exchange + message(13, b"") + message(14, b"")
    answer = read_answer((22, flight[at : at + 7]) for at in range(0, len(flight), 7))
    assert answer == Answer(
        tls.TLS10, 0x0033, dh_bits=1024, certificates=(b"DERs",), asks_for_certificate=True
    )  # fmt: skip
    assert str(answer) == "TLS 1.0 TLS_DHE_RSA_WITH_AES_128_CBC_SHA DH 1024"


def test_a_warning_is_not_the_end_and_an_end_is() -> None:
    hello = (22, server_hello(tls.TLS12, 0x009C, compression=1) + message(14, b""))
    assert read_answer([(21, b"\1\x70"), hello]).compression == 1
    assert read_answer([(21, b"\1\0"), hello]) == Answer(alert=0)
    assert read_answer([(21, b"\2\x28")]) == Answer(alert=40)
    assert read_answer([]) == Answer() and str(Answer()) == "connection closed"
    assert read_answer([(22, server_hello(tls.TLS12, 0x009C))]) == Answer(), (
        "a flight without its end agrees to nothing"
    )


def test_a_retry_of_tls_1_3_names_version_and_group() -> None:
    extensions = struct.pack(">HHHHHH", tls.SUPPORTED_VERSIONS, 2, tls.TLS13, tls.KEY_SHARE, 2, tls.P384)
    hello = server_hello(tls.TLS12, 0x1301, extensions=extensions, random=handshake._RETRY)
    assert str(read_answer([(22, hello)])) == "TLS 1.3 TLS_AES_128_GCM_SHA256 P-384"


def test_the_weak_suites_leave_out_the_signals() -> None:
    assert not {tls.EMPTY_RENEGOTIATION_INFO_SCSV, tls.FALLBACK_SCSV} & {*tls.OTHER_SUITES}
    assert not {*tls.INTERMEDIATE_SUITES} & {*tls.OTHER_SUITES} and len(tls.OTHER_SUITES) > 300
