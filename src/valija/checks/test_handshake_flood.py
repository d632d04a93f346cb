"""Many handshakes at once: who is in no hurry to finish them does not keep others out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from valija.checks.doors import Door, doors_of
from valija.checks.expect import answered
from valija.checks.marks import check
from valija.checks.site import Site
from valija.messages import N_, _
from valija.probes import handshake, transcript
from valija.probes import tls_registry as tls
from valija.probes.handshake import Hello
from valija.probes.routes import Route
from valija.probes.transcript import Recorder

# Hellos that make the server compute and are never finished: so many in all, from so many strangers at once, for no
# longer than this. They are written by hand, so that they cost this machine next to nothing.
HANDSHAKES, STRANGERS, AT_MOST_SECONDS = 3000, 12, 60.0
OTHERS_WAIT_SECONDS = 20.0


@check(
    "C-17",
    N_("While strangers begin thousands of handshakes, others send and read their mail"),
    vantage="stranger",
    tier="slow",
    clauses=["CWE-400", "Postfix TLS_README"],
    setting="postfix_main_cf_extra: smtpd_client_new_tls_session_rate_limit",
    remedy=N_("Look at the load of the host: more processor, or a limit for each address, is what helps."),
    needs=["tls", "peer"],
)
@pytest.mark.parametrize("service", ["smtp", "imaps"])
def test_handshake_flood(
    site: Site,
    smtp: Callable[..., Any],
    imap: Callable[..., Any],
    stranger: Callable[..., Route],
    main_family: str,
    service: str,
) -> None:
    [door] = [one for one in doors_of(site, main_family) if one.service == service]
    seen = transcript.on_conversation
    recorder = Recorder(door.protocol, str(door))
    seen(recorder)
    begun, ends = [0] * STRANGERS, time.monotonic() + AT_MOST_SECONDS
    enough = threading.Event()

    def flood(number: int) -> None:
        theirs = Door(door.service, door.port, door.address, door.name, stranger(main_family, 14 + number))
        while not enough.is_set() and time.monotonic() < ends and sum(begun) < HANDSHAKES:
            try:
                sock, talk = theirs.before_tls()
            except (AssertionError, OSError, EOFError):
                continue  # refused for a while: that is a limit at work
            with sock:
                begun[number] += handshake.shake(sock, Hello((tls.TLS12,)), talk).agreed

    transcript.on_conversation = lambda _recorder: None  # thousands of conversations are no evidence that anybody reads
    threads = [threading.Thread(target=flood, args=(number,), daemon=True) for number in range(STRANGERS)]
    try:
        for thread in threads:
            thread.start()
        served, slowest = 0, 0.0
        while any(thread.is_alive() for thread in threads):
            began = time.monotonic()
            with imap() as box:
                assert box.select()[0] == "OK"
            with smtp() as talk:
                answered(talk.say_ehlo(), 250)
            served, slowest = served + 1, max(slowest, time.monotonic() - began)
    finally:
        enough.set()
        for thread in threads:
            thread.join(30)
        transcript.on_conversation = seen
    words = _("{count} handshakes begun; {served} others were served meanwhile, the slowest in {seconds:.2f} s")
    recorder.remark(words.format(count=sum(begun), served=served, seconds=slowest))
    assert sum(begun) >= STRANGERS and served, _("No handshake was begun: nothing is proved.")
    assert slowest < OTHERS_WAIT_SECONDS, words.format(count=sum(begun), served=served, seconds=slowest)
