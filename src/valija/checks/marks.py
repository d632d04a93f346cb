"""The marker `check`: what a check proves, by which clause, from where, and what to do when it is red."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from valija.messages import N_

Tier = Literal["quick", "full", "slow"]
# `client` is a person's program: outside where the checks run on another machine, and on the host itself no worse.
Vantage = Literal["outside", "stranger", "loopback", "host", "client"]

# Remedies that many checks share.
PLAN = N_(
    "Run `valija plan`: it shows, file by file, what on the host is not as the site asks; `valija apply` mends it."
)
APPLY = N_("Run `valija apply --tags postfix`, then look at `postconf -n` on the host for a setting of your own.")
LOOK = N_("Look at `mailq` and `journalctl SYSLOG_FACILITY=2` on the host: they say where the message is and why.")

TIERS: tuple[Tier, ...] = ("quick", "full", "slow")


@dataclass(frozen=True)
class Check:
    """What the marker says. `title` and `remedy` are texts of the message catalogue, not yet translated.

    `id` is the catalogue's; T-1 to T-6 are the tutorial's steps, T-7 its list of commands, T-8 mail to elsewhere, T-9
    the host's protections, T-10 what a run leaves behind. `needs` names what a site may lack: `peer`, `webmail`, `tls`,
    `direct` (mail to elsewhere goes straight to its MX). `last` puts a check after all others: it judges what the
    whole run has left behind.
    """

    id: str
    title: str
    clauses: tuple[str, ...] = ()
    vantage: Vantage = "outside"
    tier: Tier = "full"
    mutates: bool = False
    step: int | None = None
    setting: str = ""
    remedy: str = ""
    needs: tuple[str, ...] = ()
    last: bool = False


def check(
    id: str,
    title: str,
    *,
    clauses: Sequence[str] = (),
    vantage: Vantage = "outside",
    tier: Tier = "full",
    mutates: bool = False,
    step: int | None = None,
    setting: str = "",
    remedy: str = PLAN,
    needs: Sequence[str] = (),
    last: bool = False,
) -> pytest.MarkDecorator:
    """Mark a test as one row of the catalogue (see `Check`)."""
    return pytest.mark.check(
        Check(id, title, tuple(clauses), vantage, tier, mutates, step, setting, remedy, tuple(needs), last)
    )


def of(item: Any) -> Check | None:
    """The check of a pytest item, or None."""
    marker = item.get_closest_marker("check")
    return marker.args[0] if marker else None


def rfc(number: int, *sections: str) -> str:
    """`RFC 5321 sections 3.3, 4.1.1`."""
    if not sections:
        return f"RFC {number}"
    return f"RFC {number} section{'s' if len(sections) > 1 else ''} {', '.join(sections)}"
