"""The pytest side of the suite: which checks run, what a red one says, and the results that stay behind."""

from __future__ import annotations

import importlib
import json
from collections.abc import Generator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from valija import __version__
from valija.checks import marks
from valija.checks import site as sites
from valija.messages import _
from valija.probes import transcript
from valija.probes.browser import chromium
from valija.probes.transcript import Recorder

SITE = pytest.StashKey[sites.Site]()
CONVERSATIONS = pytest.StashKey[list[Recorder]]()
RESULTS = pytest.StashKey["Results"]()

WAITING_FILE = Path(__file__).with_name("waiting.json")
SHOWN_LINES = 24
COUNTS = ("passed", "failed", "waiting", "skipped")


class Results:
    """What has come out so far, in the shape of results.json."""

    def __init__(self, site: sites.Site, tier: str) -> None:
        self.site = site
        self.tier = tier
        self.started = _now()
        self.checks: dict[str, dict[str, Any]] = {}

    def summary(self) -> dict[str, int]:
        outcomes = [entry["outcome"] for entry in self.checks.values()]
        return {name: outcomes.count(name) for name in COUNTS}

    def to_json(self) -> dict[str, Any]:
        site = self.site
        return {
            "schema": 1,
            "site": {
                "name": site.name,
                "release": site.release,
                "domain": site.domain,
                "hostname": site.hostname,
                "addresses": {family: site.addresses[family] for family in site.families},
                "webmail": site.webmail,
                "listens": [asdict(listener) for listener in site.listens],
            },
            "valija": __version__,
            "started": self.started,
            "finished": _now(),
            "tier": self.tier,
            "summary": self.summary(),
            "checks": list(self.checks.values()),
        }


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("valija")
    group.addoption("--site", type=Path, help=_("the site file that `prove` wrote (JSON)"))
    group.addoption("--report-dir", type=Path, help=_("where results.json and the report go"))
    group.addoption(
        "--tier", choices=marks.TIERS, default="quick", help=_("run the checks of this tier and the quicker ones")
    )
    group.addoption(
        "--check", action="append", default=[], metavar="ID", help=_("run only this check; may be given again")
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "check(check): one row of the catalogue, see valija.checks.marks")
    path = config.getoption("--site")
    if path is None:
        raise pytest.UsageError(_("--site is missing: the suite is run by `valija prove` or playbooks/prove.yml"))
    try:
        site = sites.load(path)
    except Exception as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[SITE] = site
    config.stash[RESULTS] = Results(site, config.getoption("--tier"))


def pytest_report_header(config: pytest.Config) -> str:
    site = config.stash[SITE]
    addresses = ", ".join(site.addresses.values())
    words = _("site: {name} ({hostname}, {addresses}), {release}, tier {tier}")
    return words.format(
        name=site.name,
        hostname=site.hostname,
        addresses=addresses,
        release=site.release,
        tier=config.getoption("--tier"),
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A check that takes `family` runs once for each IP protocol that the site listens on."""
    if "family" in metafunc.fixturenames:
        metafunc.parametrize("family", metafunc.config.stash[SITE].families)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the asked tier and ids; checks that judge the whole run go last, and a repeated run keeps its order."""
    allowed = marks.TIERS[: marks.TIERS.index(config.getoption("--tier")) + 1]
    wanted = set(config.getoption("--check"))
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        check = marks.of(item)
        if check is None:
            raise pytest.UsageError(_("{name} has no check marker").format(name=item.nodeid))
        keep = check.id in wanted if wanted else check.tier in allowed
        (kept if keep else dropped).append(item)
    unknown = wanted - {check.id for item in kept if (check := marks.of(item))}
    if unknown:
        raise pytest.UsageError(_("No check has the id {ids}.").format(ids=", ".join(sorted(unknown))))
    if dropped:
        config.hook.pytest_deselected(items=dropped)
    items[:] = sorted(kept, key=lambda item: bool((check := marks.of(item)) and check.last))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Every conversation that begins while a test runs belongs to that test."""
    conversations: list[Recorder] = []
    item.stash[CONVERSATIONS] = conversations
    transcript.on_conversation = conversations.append
    return (yield)


def pytest_runtest_setup(item: pytest.Item) -> None:
    check, site = marks.of(item), item.config.stash[SITE]
    assert check is not None
    item.user_properties += [("id", check.id), ("clauses", "; ".join(check.clauses)), ("vantage", check.vantage)]
    if check.vantage == "outside" and not site.outside:
        pytest.skip(_("no outside: the checks run on the host itself, where nothing comes from elsewhere"))
    if "peer" in check.needs and site.peer is None:
        pytest.skip(_("no peer: this site has no prove_peer, the rest of the Internet as the lab plays it"))
    if "direct" in check.needs and site.mail.get("mail_relayhost"):
        pytest.skip(_("no MX look-up: mail goes through mail_relayhost"))
    if "webmail" in check.needs and site.webmail == "none":
        pytest.skip(_("no webmail: mail_webmail is none"))
    if "tls" in check.needs and site.tls is None:
        pytest.skip(_("no TLS: mail_tls_source is none"))
    if "browser" in check.needs and (why := chromium.missing()):
        pytest.skip(why)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """A red check says what was said, by which clause it is wrong, which setting causes it and what to do."""
    report = yield
    check = marks.of(item)
    report.check = check
    report.conversations = [recorder.transcript() for recorder in item.stash.get(CONVERSATIONS, [])]
    if report.failed and check is not None and call.excinfo is not None:
        error = call.excinfo.value
        report.message = str(error).split("\nassert ")[0] or type(error).__name__
        talk = "\n\n".join(_shortened(str(one)) for one in report.conversations[-2:])
        lines = [f"{check.id} {_(check.title)}", "", report.message, ""]
        if talk:
            lines += [talk, ""]
        lines += [
            f"{name}: {text}"
            for name, text in (
                (_("clause"), "; ".join(check.clauses)),
                (_("setting"), check.setting),
                (_("what to do"), _(check.remedy) if check.remedy else ""),
            )
            if text
        ]
        if not isinstance(error, AssertionError | OSError):
            lines += ["", str(report.longrepr)]
        report.longrepr = "\n".join(lines)
    return report


def _shortened(talk: str) -> str:
    """The head of a conversation and its last lines; the report has it whole."""
    head, *lines = talk.splitlines()
    left_out = len(lines) - SHOWN_LINES
    return "\n".join(
        [head, *([_("... {count} lines before").format(count=left_out)] if left_out > 0 else []), *lines[-SHOWN_LINES:]]
    )


@pytest.hookimpl
def pytest_runtest_logreport(report: Any) -> None:
    if _results is not None:
        _collect(_results, report)


_results: Results | None = None


def pytest_sessionstart(session: pytest.Session) -> None:
    global _results
    _results = session.config.stash[RESULTS]


def _collect(results: Results, report: Any) -> None:
    check: marks.Check = report.check
    entry = results.checks.setdefault(
        report.nodeid,
        {
            "id": check.id,
            "nodeid": report.nodeid,
            "title": _(check.title),
            "behaviour": _behaviour(report.nodeid),
            "step": check.step,
            "clauses": list(check.clauses),
            "vantage": check.vantage,
            "tier": check.tier,
            "mutates": check.mutates,
            "outcome": "passed",
            "reason": "",
            "message": "",
            "setting": check.setting,
            "remedy": _(check.remedy) if check.remedy else "",
            "seconds": 0.0,
            "transcripts": [],
        },
    )
    entry["seconds"] = round(entry["seconds"] + report.duration, 3)
    entry["transcripts"] = [one.to_json() for one in report.conversations]
    if report.skipped:
        entry["outcome"] = "skipped"
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        entry["reason"] = reason.removeprefix("Skipped: ")
    elif report.failed:
        entry["outcome"] = "failed"
        entry["message"] = getattr(report, "message", str(report.longrepr))
    else:  # a check that passed may have something to say: user_properties, "remark"
        entry["reason"] = entry["reason"] or " ".join(
            str(text) for name, text in report.user_properties if name == "remark"
        )


def waiting() -> list[dict[str, Any]]:
    """The catalogue's rows that nobody has built yet, with what they wait for."""
    rows: list[dict[str, Any]] = json.loads(WAITING_FILE.read_text("utf-8"))["rows"]
    return rows


def _add_waiting(results: Results) -> None:
    for row in waiting():
        title, reason = row["title"], row["waits_for"]
        results.checks[f"waiting::{row['id']}"] = {
            "id": row["id"],
            "nodeid": "",
            "title": _(title),
            "behaviour": "waiting",
            "step": None,
            "clauses": [],
            "vantage": "",
            "tier": "",
            "mutates": False,
            "outcome": "waiting",
            "reason": _(reason),
            "message": "",
            "setting": "",
            "remedy": "",
            "seconds": 0.0,
            "transcripts": [],
        }


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write results.json, and the report for people beside it."""
    results, directory = session.config.stash[RESULTS], session.config.getoption("--report-dir")
    if session.config.getoption("--collect-only"):
        return
    if session.exitstatus == pytest.ExitCode.OK and not results.summary()["passed"]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED  # where every check was skipped, nothing is proved
    if not session.config.getoption("--check"):
        _add_waiting(results)
    if directory is None:
        return
    directory.mkdir(parents=True, exist_ok=True)
    data = results.to_json()
    (directory / "results.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", "utf-8")
    try:
        report = importlib.import_module("valija.report")
    except ModuleNotFoundError as error:
        if error.name != "valija.report":
            raise
        return
    report.write(data, directory)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    counts = config.stash[RESULTS].summary()
    terminalreporter.write_line(
        _("checks: {passed} passed, {failed} failed, {skipped} skipped, {waiting} waiting").format(**counts)
    )
    reasons: dict[str, int] = {}
    for entry in config.stash[RESULTS].checks.values():
        if entry["outcome"] == "passed" and entry["reason"]:
            terminalreporter.write_line(_("warning: {id}: {text}").format(id=entry["id"], text=entry["reason"]))
        if entry["outcome"] == "skipped":
            reasons[entry["reason"]] = reasons.get(entry["reason"], 0) + 1
    if reasons and not config.stash[RESULTS].summary()["passed"]:
        terminalreporter.write_line(_("No check was passed: nothing is proved."))
    for reason, count in reasons.items():
        terminalreporter.write_line(_("skipped {count}: {reason}").format(count=count, reason=reason))
    directory = config.getoption("--report-dir")
    if directory is not None:
        terminalreporter.write_line(_("report: {path}").format(path=directory))


def _behaviour(nodeid: str) -> str:
    return nodeid.partition("::")[0].rpartition("/")[2].removeprefix("test_").removesuffix(".py")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
