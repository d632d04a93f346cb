"""Many connections at once, and somebody else who must be served meanwhile."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from valija.checks.expect import answered
from valija.checks.site import Site
from valija.messages import _
from valija.probes.routes import Route
from valija.probes.smtp import Session

# Somebody else must be served within this time while a flood lasts; what it takes is measured.
SERVED_SECONDS = 20.0


def setting(host: Any, name: str) -> int:
    """A number of main.cf as it is on the host."""
    return int(host.run("postconf -xh %s", name).stdout.strip())


def served(smtp: Callable[..., Session], sender: str, recipient: str, family: str, route: Route | None) -> float:
    """Have somebody else write to a mailbox, up to RSET; the seconds that it took."""
    begun = time.monotonic()
    with smtp(family, route=route) as talk:
        answered(talk.greeting, 220)
        answered(talk.say_ehlo(), 250)
        answered(talk.mail_from(sender), 250)
        answered(talk.rcpt_to(recipient), 250)
        answered(talk.command("QUIT"), 221)
        seconds = time.monotonic() - begun
        talk.recorder.remark(_("served within {seconds:.2f} s").format(seconds=seconds))
    return seconds


@contextlib.contextmanager
def crowd(site: Site, family: str, routes: list[Route], port: int, count: int) -> Iterator[list[socket.socket]]:
    """So many connections at once, taken by these routes in turn; closed in the end. Those refused are left out."""
    taken: list[socket.socket] = []

    def connect(number: int) -> socket.socket | None:
        with contextlib.suppress(OSError):
            return routes[number % len(routes)].connect(site.addresses[family], port, SERVED_SECONDS)
        return None

    try:
        with ThreadPoolExecutor(16) as pool:
            taken += [one for one in pool.map(connect, range(count)) if one is not None]
        yield taken
    finally:
        for one in taken:
            one.close()
