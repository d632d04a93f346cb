"""The ways into the mail server for somebody without a login: port 25 and the submission ports, clear and under TLS."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from valija.checks.expect import answered
from valija.checks.site import Site
from valija.probes.routes import Route
from valija.probes.smtp import Session


@dataclass(frozen=True)
class Way:
    """A port, and how TLS begins there: `` (not at all), `starttls` or `implicit` (RFC 8314 section 3)."""

    port: int
    tls: str = ""

    def __str__(self) -> str:
        return f"{self.port}{' ' + self.tls if self.tls else ''}"


# Strangers with a part of their own, so that no check spoils another: a crowd from one address, who guesses passwords
# until the ban, four who are slow, and who speaks before its turn (postscreen does not look again at whom it has let in
# that day). The first eight are everybody's.
CROWD, GUESSER, SLOW, HASTY = 8, 9, 15, 19

# The declared service that stands behind each way.
WAYS = {
    Way(25): "smtp",
    Way(25, "starttls"): "smtp",
    Way(587, "starttls"): "submission",
    Way(465, "implicit"): "submissions",
}


def ways(site: Site) -> list[Way]:
    """The ways that this site has: those of its declared services, and TLS where it has a certificate."""
    return [way for way, service in WAYS.items() if site.listens_on(service) and (site.tls or not way.tls)]


def enter(
    smtp: Callable[..., Session], way: Way, family: str, route: Route | None, context: ssl.SSLContext | None
) -> Session:
    """A session by this way, after EHLO and, where the way has it, under TLS; not logged in."""
    talk = smtp(family, route=route, port=way.port, implicit_tls=way.tls == "implicit")
    answered(talk.say_ehlo(), 250)
    if way.tls == "starttls":
        assert context is not None
        answered(talk.starttls(context), 220)
        answered(talk.say_ehlo(), 250)
    return talk
