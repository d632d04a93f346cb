"""The report as one HTML page: what the template needs, decided here, so that the template only lays it out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from valija.messages import N_, _, ngettext
from valija.report.clauses import Clause, links
from valija.report.explain import Said, annotate

OUTCOMES = ("passed", "failed", "waiting", "skipped")
WORDS = {"passed": N_("passed"), "failed": N_("failed"), "waiting": N_("waiting"), "skipped": N_("skipped")}
MARKS = {"passed": "✓", "failed": "✗", "waiting": "…", "skipped": "\N{EN DASH}"}

# The tutorial that the product starts from, step by step.
STEPS = {
    1: N_("Apache serves the site, and /webmail"),
    2: N_("mailutils: mail from the command line"),
    3: N_("Postfix takes mail and puts it into the Maildir"),
    4: N_("courier-pop and courier-imap serve the Maildir"),
    5: N_("SquirrelMail reads and sends in the browser"),
    6: N_("adduser and maildirmake: the accounts"),
}

VANTAGES = {
    "outside": N_("from outside"),
    "stranger": N_("as a stranger"),
    "loopback": N_("from the host itself"),
    "host": N_("on the host"),
    "client": N_("as a person's program"),
}

# The suite's behaviours, one file each, as headings.
BEHAVIOURS = (
    N_("Backscatter"),
    N_("Battery"),
    N_("Certificates"),
    N_("Clear text"),
    N_("Commands"),
    N_("Content"),
    N_("Encryption"),
    N_("Firewall"),
    N_("Floods"),
    N_("Forgery"),
    N_("Greeting"),
    N_("Guessing"),
    N_("Handshake flood"),
    N_("Handshakes"),
    N_("Host"),
    N_("Idle"),
    N_("Injection"),
    N_("Journey"),
    N_("Login"),
    N_("Mail programs"),
    N_("Mailbox limits"),
    N_("Mailbox privacy"),
    N_("Mailboxes"),
    N_("Outage"),
    N_("Outbound"),
    N_("Passwords"),
    N_("Relay"),
    N_("Screening"),
    N_("Session"),
    N_("Slow clients"),
    N_("Smuggling"),
    N_("Smuggling out"),
    N_("Submission"),
    N_("Submitted"),
    N_("Transaction"),
    N_("Trust"),
    N_("Tutorial"),
    N_("Web encryption"),
    N_("Webmail"),
)


@dataclass(frozen=True)
class Talk:
    """One conversation, understood line by line."""

    protocol: str
    server: str
    client: str
    time: str
    lines: list[Said]


@dataclass(frozen=True)
class Row:
    """One check as the page shows it; `anchor` is unique in the page, `variant` is pytest's parameter (`ipv6`)."""

    anchor: str
    variant: str
    check: Mapping[str, Any]
    mark: str
    word: str
    vantage: str
    clauses: list[list[Clause]] = field(default_factory=list)
    talks: list[Talk] = field(default_factory=list)


def page(results: Mapping[str, Any], drawing: str = "") -> str:
    """The whole page, styles and drawing within."""
    rows = [_row(number, check) for number, check in enumerate(results["checks"], 1)]
    run = [row for row in rows if row.check["outcome"] != "waiting"]
    failed = [row for row in rows if row.check["outcome"] == "failed"]
    return _environment().get_template("report.html.j2").render(
        results=results,
        site=results["site"],
        summary=_summary(results["summary"]),
        verdict=_verdict(results["summary"]),
        date=_date(results["started"]),
        seconds=_seconds(results["started"], results["finished"]),
        drawing=drawing,
        failed=failed,
        steps=[
            (number, _(title), _groups([row for row in run if row.check.get("step") == number], "title"))
            for number, title in STEPS.items()
        ],
        behaviours=_groups(run, "behaviour"),
        waiting=_groups([row for row in rows if row.check["outcome"] == "waiting"], "reason"),
        skipped=_groups([row for row in rows if row.check["outcome"] == "skipped"], "reason"),
    )  # fmt: skip


def templates() -> Path:
    """The folder with the page's templates, in the checkout and in an installed wheel."""
    return Path(str(resources.files("valija") / "templates" / "report"))


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(templates()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        _, ngettext, newstyle=True
    )
    environment.filters["prose"] = prose
    environment.filters["behaviour"] = behaviour
    environment.filters["clock"] = lambda seconds: f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    return environment


def behaviour(name: str) -> str:
    """The name of one of the suite's files, without `test_`, as a heading."""
    return _(name.replace("_", " ").capitalize())


def prose(text: str) -> Markup:
    """Text of a sentence; what stands between backticks is code."""
    parts = str(text).split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    marked = (
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in enumerate(parts)
    )
    return Markup("").join(marked)


def _row(number: int, check: Mapping[str, Any]) -> Row:
    outcome, vantage = str(check["outcome"]), str(check["vantage"])
    return Row(
        anchor=f"check-{number}",
        variant=found[1] if (found := re.search(r"\[(.+)\]$", str(check["nodeid"]))) else "",
        check=check,
        mark=MARKS[outcome],
        word=_(WORDS[outcome]),
        vantage=_(VANTAGES[vantage]) if vantage in VANTAGES else vantage,
        clauses=[links(clause) for clause in check["clauses"]],
        talks=[_talk(transcript) for transcript in check["transcripts"]],
    )


def _talk(transcript: Mapping[str, Any]) -> Talk:
    return Talk(
        protocol=str(transcript["protocol"]).upper(),
        server=str(transcript["server"]),
        client=str(transcript["client"]),
        time=str(transcript["started"])[11:19],
        lines=annotate(transcript),
    )


def _groups(rows: Sequence[Row], key: str) -> list[tuple[str, list[Row]]]:
    """The rows by a field, in the order in which its values first come."""
    order = list(dict.fromkeys(str(row.check[key]) for row in rows))
    ordered = sorted(rows, key=lambda row: order.index(str(row.check[key])))
    return [(name, list(group)) for name, group in groupby(ordered, key=lambda row: str(row.check[key]))]


def _summary(counts: Mapping[str, int]) -> list[tuple[str, str, int]]:
    return [(name, _(WORDS[name]), int(counts.get(name, 0))) for name in OUTCOMES]


def _verdict(counts: Mapping[str, int]) -> str:
    passed, failed = int(counts.get("passed", 0)), int(counts.get("failed", 0))
    if failed:
        words = ngettext("{failed} of {run} checks failed.", "{failed} of {run} checks failed.", failed)
        return words.format(failed=failed, run=passed + failed)
    if not passed:
        return _("No check was run.")
    return _("Every check that ran passed: {count}.").format(count=passed)


def _date(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _seconds(started: str, finished: str) -> int:
    return round((datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds())
