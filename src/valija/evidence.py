"""What the checks left behind: the folders of a report, its results, and their summary for people and programs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from valija import summary
from valija.messages import N_, _
from valija.runner import Outcome

Results = dict[Path, dict[str, Any]]

OUTCOMES = {"passed": N_("passed"), "failed": N_("failed"), "waiting": N_("waiting"), "skipped": N_("skipped")}
STYLES = {"passed": "green", "failed": "bold red", "waiting": "yellow", "skipped": "cyan"}


def new_folder(inventory: Sequence[str], now: datetime | None = None) -> Path:
    """The folder of a report nobody named: reports/SITE/TIME in the user's state folder (XDG_STATE_HOME)."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    first = Path(inventory[0]).resolve()
    folder = first if first.is_dir() else first.parent
    name = folder.parent.name if folder.name == "site" else folder.name
    site = name if first.exists() else "hosts"
    moment = (now or datetime.now(UTC)).strftime("%Y-%m-%dT%H-%M-%SZ")
    return state / "valija" / "reports" / site / moment


def load(directory: Path, since: float = 0.0) -> Results:
    """The results in a report folder, by the folder that holds them: its own, or one for each host.

    Those written before `since`, a time of the clock in seconds, are another run's and are left out.
    """
    found = sorted({*directory.glob("results.json"), *directory.glob("*/results.json")})
    fresh = [path for path in found if path.stat().st_mtime >= since]
    return {path.parent: json.loads(path.read_text(encoding="utf-8")) for path in fresh}


def totals(results: Results) -> dict[str, int]:
    """How many checks had each outcome, over all hosts."""
    return {name: sum(int(one["summary"].get(name, 0)) for one in results.values()) for name in OUTCOMES}


def as_json(outcome: Outcome, directory: Path, results: Results) -> str:
    """The run and the results as one JSON object, transcripts left out (they are in results.json)."""
    sites = []
    for folder, one in results.items():
        checks = [{key: value for key, value in check.items() if key != "transcripts"} for check in one["checks"]]
        sites.append({**one, "checks": checks, "directory": str(folder), "report": str(folder / "report.html")})
    data = summary.outcome_data(outcome) | {"directory": str(directory), "summary": totals(results), "sites": sites}
    return json.dumps(data, indent=2, ensure_ascii=False)


def show(console: Console, outcome: Outcome, directory: Path, results: Results) -> None:
    """What failed and what to do; then the table of outcomes, why checks did not run, and where the reports are.

    Hosts that failed before their checks began have none: the table of the run stands before the others' results.
    """
    told = {one["site"]["name"] for one in results.values()}
    if outcome.exit_code and (not told or any(failure.host not in told for failure in outcome.failures)):
        summary.show_outcome(console, outcome)
    if results:
        show_failures(console, results)
        show_counts(console, results)


def show_failures(console: Console, results: Results) -> None:
    """The failed checks of all hosts."""
    for one in results.values():
        for check in one["checks"]:
            if check["outcome"] == "failed":
                show_failed(console, str(one["site"]["name"]), check)


def show_counts(console: Console, results: Results) -> None:
    """The table of outcomes, why checks did not run, and the paths of the reports."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column(_("checks"), style="bold")
    for name, word in OUTCOMES.items():
        table.add_column(_(word), justify="right", style=STYLES[name])
    for one in results.values():
        table.add_row(str(one["site"]["name"]), *[str(one["summary"].get(name, 0)) for name in OUTCOMES])
    console.print(table)
    show_warnings(console, results)
    for name in ("waiting", "skipped"):
        show_reasons(console, name, results)
    for folder in results:
        console.print(Text.assemble((_("Report") + " ", "bold"), str(folder / "report.html")), soft_wrap=True)


def show_warnings(console: Console, results: Results) -> None:
    """What passed checks have to say: a certificate that ends soon."""
    said = dict.fromkeys(
        (str(one["site"]["name"]), str(check["id"]), str(check["reason"]))
        for one in results.values()
        for check in one["checks"]
        if check["outcome"] == "passed" and check.get("reason")
    )
    for site, id, text in said:
        console.print(Text.assemble((f"{_('warning')} ", "yellow"), (f"{site} {id}: ", "bold"), text), soft_wrap=True)


def show_reasons(console: Console, name: str, results: Results) -> None:
    """Why checks are waiting or were skipped: each reason once, with the ids of its checks."""
    reasons: dict[str, list[str]] = {}
    for one in results.values():
        for check in one["checks"]:
            if check["outcome"] == name:
                ids = reasons.setdefault(check["reason"] or _("no reason given"), [])
                if check["id"] not in ids:
                    ids.append(check["id"])
    for reason, ids in reasons.items():
        shown = ", ".join(ids[:8]) + (f" … ({len(ids)})" if len(ids) > 8 else "")
        line = Text.assemble((f"{_(OUTCOMES[name])} ", STYLES[name]), (f"{shown}: ", "bold"), reason)
        console.print(line, soft_wrap=True)


def show_failed(console: Console, site: str, check: dict[str, Any]) -> None:
    """A failed check: what it shows, what happened, the setting behind it and what to do."""
    variant = str(check["nodeid"]).partition("[")[2].rstrip("]")
    head = Text.assemble((f"{site} ", "bold"), (f"{check['id']} ", "bold red"), check["title"])
    if variant:
        head.append(f" [{variant}]")
    clauses = ", ".join(check.get("clauses") or [])
    if clauses:
        head.append(f" ({clauses})", "dim")
    console.print(head, soft_wrap=True)
    for line in str(check.get("message") or "").splitlines():
        console.print(Text(f"  {line}"), soft_wrap=True)
    for word, key in ((_("Setting"), "setting"), (_("What to do"), "remedy")):
        if check.get(key):
            console.print(Text.assemble((f"  {word}: ", "bold"), str(check[key])), soft_wrap=True)
