"""Clients that hold a server up by saying little: they are cut, and others are served meanwhile. Minutes, by nature."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from valija.checks.crowds import SERVED_SECONDS, crowd, served
from valija.checks.expect import answered
from valija.checks.marks import APPLY, check, rfc
from valija.checks.site import Account, Site
from valija.checks.ways import SLOW
from valija.messages import N_, _
from valija.probes import wait
from valija.probes.routes import Route
from valija.probes.smtp import Session

Smtp = Callable[..., Session]
Stranger = Callable[..., Route]

# More than Postfix has processes for port 25 (default_process_limit, 100), from strangers below their own limit.
CONNECTIONS = 150
STRANGERS = 4
# The flood ends by itself after this time; each connection says an octet in so many seconds.
FLOOD_SECONDS = 45.0
OCTET_SECONDS = 2.0

# What each third of them never comes to the end of, after what was answered before.
BEGINNINGS = (
    ((), b"EHLO " + b"a" * 200),
    (("EHLO slow.probe.invalid", "MAIL FROM:<{sender}>", "RCPT TO:<{alice}>", "DATA"), b"Subject: " + b"a" * 200),
    (("EHLO slow.probe.invalid", "STARTTLS"), b"\x16\x03\x01\x02\x00" + b"\x01\x00\x01\xfc\x03\x03" * 40),
)


def begin(sock: socket.socket, lines: tuple[str, ...], values: dict[str, str]) -> bool:
    """Say the lines that come before; whether the server answered them all, within a time."""
    sock.settimeout(SERVED_SECONDS)
    try:
        stream = sock.makefile("rb")
        for line in (None, *lines):
            if line is not None:
                sock.sendall(line.format_map(values).encode() + b"\r\n")
            while (reply := stream.readline())[3:4] == b"-":
                pass
            if reply[:1] not in (b"2", b"3"):
                return False
    except OSError:
        return False
    return True


def trickle(socks: list[tuple[socket.socket, bytes]], ended: threading.Event) -> int:
    """An octet on each connection now and then until the end; how many of them the server has closed."""
    closed = set()
    octet = 0
    while not ended.wait(OCTET_SECONDS):
        for number, (sock, text) in enumerate(socks):
            if number in closed:
                continue
            try:
                sock.settimeout(0.01)
                sock.sendall(text[octet : octet + 1])
                with contextlib.suppress(TimeoutError):
                    if sock.recv(512)[:3] in (b"", b"421"):
                        closed.add(number)
            except OSError:
                closed.add(number)
        octet += 1
    return len(closed)


@check(
    "B-52",
    N_("A hundred connections that say an octet now and then keep nobody else out, at any point of the session"),
    tier="slow",
    vantage="stranger",
    needs=["peer", "tls"],
    clauses=[rfc(5321, "4.5.3.2"), "STRESS_README"],
    setting="postfix_main_cf_extra: smtpd_timeout, smtpd_per_request_deadline",
    remedy=APPLY,
)
def test_slow_clients_keep_nobody_out(
    smtp: Smtp, site: Site, stranger: Stranger, sender: str, alice: Account, main_family: str
) -> None:
    values = {"sender": sender, "alice": alice.address}
    routes = [stranger(main_family, SLOW + number) for number in range(STRANGERS)]
    waits = []
    with crowd(site, main_family, routes, 25, CONNECTIONS) as taken:
        plans = [(sock, *BEGINNINGS[number % len(BEGINNINGS)]) for number, sock in enumerate(taken)]
        with ThreadPoolExecutor(24) as pool:
            begun = list(pool.map(lambda plan: begin(plan[0], plan[1], values), plans))
        holding = [(sock, text) for (sock, _lines, text), fine in zip(plans, begun, strict=True) if fine]
        ended = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            flood = pool.submit(trickle, holding, ended)
            try:
                last = time.monotonic() + FLOOD_SECONDS
                while time.monotonic() < last:
                    waits.append(served(smtp, sender, alice.address, main_family, stranger(main_family)))
                    ended.wait(OCTET_SECONDS)
            finally:
                ended.set()
            cut = flood.result()
    with smtp(main_family) as talk:
        words = _("{held} connections were held, {cut} of them cut; somebody else waited {seconds:.1f} s at most")
        talk.recorder.remark(words.format(held=len(holding), cut=cut, seconds=max(waits)))
    assert len(holding) > 0.9 * CONNECTIONS, _("Only {count} connections were held.").format(count=len(holding))
    assert max(waits) < SERVED_SECONDS, _("Somebody else waited {seconds:.0f} s.").format(seconds=max(waits))


@check(
    "B-55",
    N_("Who sends a message, a chunk or a command an octet at a time is cut within the time for one request"),
    tier="slow",
    needs=["tls"],
    clauses=[rfc(5321, "4.5.3.2")],
    setting="postfix_main_cf_extra: smtpd_timeout, smtpd_per_request_deadline, smtpd_min_data_rate",
    remedy=APPLY,
)
def test_trickles_are_cut(smtp: Smtp, host: Any, sender: str, alice: Account, main_family: str) -> None:
    limit = setting_seconds(host, "smtpd_timeout")
    if not host.run("postconf -H smtpd_per_request_deadline").stdout.strip():
        pytest.skip(_("no setting: the Postfix of this release has no smtpd_per_request_deadline"))

    def trickle_one(before: str, text: bytes) -> tuple[str, float]:
        with smtp(main_family) as talk:
            talk.say_ehlo()
            answered(talk.mail_from(sender), 250)
            answered(talk.rcpt_to(alice.address), 250)
            if before == "DATA":
                answered(talk.command("DATA"), 354)
            elif before:
                talk.raw_bytes(before.encode() + b"\r\n")
            begun = time.monotonic()
            sent = iter(text)

            def cut() -> bool:
                with contextlib.suppress(OSError):
                    assert talk.sock is not None
                    talk.sock.sendall(bytes([next(sent)]))
                return talk.answers_within(1.0)

            wait.until(cut, limit + 60, _("the server to cut {what}").format(what=before or "RCPT"))
            reply = talk.read_reply()
            talk.recorder.remark(_("cut after {seconds:.0f} s").format(seconds=time.monotonic() - begun))
            return f"{before or 'RCPT'}: {reply}", time.monotonic() - begun

    plans = {"DATA": b"x" * 2000, "BDAT 2000 LAST": b"x" * 1999, "": b"RCPT TO:<" + b"x" * 1990}
    with ThreadPoolExecutor(len(plans)) as pool:
        ends = list(pool.map(trickle_one, plans, plans.values()))
    for said, seconds in ends:
        assert ": 421 4.4.2" in said or "connection closed" in said, said
        assert seconds < limit + 30, (said, seconds)


def setting_seconds(host: Any, name: str) -> float:
    """A time of main.cf in seconds, as it is when there is no stress."""
    said = host.run("postconf -xh %s", name).stdout.strip()
    return float(said.removesuffix("s"))
