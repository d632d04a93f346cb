"""What is said about results at the end of a run."""

from __future__ import annotations

import io
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from valija import evidence, runner
from valija.cli import cli
from valija.progress import Failure, Record
from valija.runner import Outcome

DATA = Path(__file__).parent / "data" / "results.json"
OUTCOME = Outcome(1, 12.3, ("x",), Record())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    shutil.copy(DATA, tmp_path / "results.json")
    return tmp_path


def test_the_summary_names_counts_reasons_failures_and_the_report(directory: Path) -> None:
    out = io.StringIO()
    evidence.show(Console(file=out, width=200, highlight=False), OUTCOME, directory, evidence.load(directory))
    text = out.getvalue()
    assert ["debian-13", "10", "1", "6", "1"] in [line.split() for line in text.splitlines()]
    assert text.splitlines()[-1] == f"Report {directory / 'report.html'}"
    assert "waiting A-104, B-31, B-45: mail authentication and DNS" in text
    assert "skipped B-30: no peer: this site has no prove_peer" in text
    assert "debian-13 B-01 Mail from outside for elsewhere is refused (IPv6) [ipv6] (RFC 5321 section 7.9)" in text
    assert "  RCPT TO:<victim@remote.test> was answered 250 2.1.5 Ok; expected 554 5.7.1\n" in text
    assert "  What to do: Take the network of this client out of mynetworks" in text


def test_what_a_passed_check_has_to_say_is_a_warning(directory: Path) -> None:
    results = evidence.load(directory)
    [one] = results.values()
    passed = next(check for check in one["checks"] if check["outcome"] == "passed")
    passed["reason"] = "The certificate ends in 20 days."
    out = io.StringIO()
    evidence.show(Console(file=out, width=200, highlight=False), OUTCOME, directory, results)
    assert out.getvalue().count("warning") == 1
    assert f"warning debian-13 {passed['id']}: The certificate ends in 20 days." in out.getvalue()


def test_each_host_of_a_site_has_a_folder_of_its_own(tmp_path: Path) -> None:
    for name in ("debian-12", "debian-13"):
        (tmp_path / name).mkdir()
        shutil.copy(DATA, tmp_path / name / "results.json")
    results = evidence.load(tmp_path)
    assert [path.name for path in results] == ["debian-12", "debian-13"]
    assert evidence.totals(results) == {"passed": 20, "failed": 2, "waiting": 12, "skipped": 2}


def test_results_of_an_earlier_run_in_the_same_folder_are_not_this_ones(directory: Path) -> None:
    written = (directory / "results.json").stat().st_mtime
    assert evidence.load(directory, since=written)
    assert evidence.load(directory, since=written + 1) == {}


def test_a_host_that_failed_before_its_checks_is_told_beside_the_results_of_another(directory: Path) -> None:
    record = Record(failures=[Failure("down", "Validate", "no route to host", unreachable=True)])
    out = io.StringIO()
    console = Console(file=out, width=200, highlight=False)
    evidence.show(console, Outcome(1, 12.3, ("x",), record), directory, evidence.load(directory))
    assert "A host failed after 0:12" in out.getvalue()
    assert out.getvalue().splitlines()[-1] == f"Report {directory / 'report.html'}"


def test_programs_get_the_results_without_transcripts(directory: Path) -> None:
    data = json.loads(evidence.as_json(OUTCOME, directory, evidence.load(directory)))
    assert data["exit_code"] == 1
    assert data["summary"] == {"passed": 10, "failed": 1, "waiting": 6, "skipped": 1}
    assert data["sites"][0]["report"] == str(directory / "report.html")
    assert "transcripts" not in data["sites"][0]["checks"][0]


@pytest.mark.parametrize(("folder", "name"), [("mysite", "mysite"), ("labs/demo/site", "demo"), ("absent,", "hosts")])
def test_a_report_nobody_named_goes_to_the_state_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str, name: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    if "," not in folder:
        Path(folder).mkdir(parents=True)
    moment = datetime(2026, 11, 23, 5, 41, 7, tzinfo=UTC)
    expected = tmp_path / "valija" / "reports" / name / "2026-11-23T05-41-07Z"
    assert evidence.new_folder([folder], moment) == expected


def invoke(monkeypatch: pytest.MonkeyPatch, *arguments: str, code: int = 0) -> tuple[dict[str, Any], Any]:
    """Run the command line with the start of the playbook replaced; what it was asked, and the result."""
    asked: dict[str, Any] = {}

    def fake(playbook: str, inventory: tuple[str, ...], **options: Any) -> Outcome:
        asked.update(options, playbook=playbook, inventory=inventory)
        return Outcome(code, 1.0, ("x",), Record())

    for verb in ("apply", "plan", "prove"):
        monkeypatch.setattr(f"valija.commands.{verb}.run_playbook", fake)
    return asked, CliRunner().invoke(cli, arguments, standalone_mode=False)


def test_apply_passes_every_option_on(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "apply -i s --limit h --tags a --tags b,c -e x=1 -vv --vault-password-file f --ask-vault-pass"
    asked, result = invoke(monkeypatch, *words.split(), code=1)
    del asked["progress"]
    assert asked == {
        "playbook": "site", "inventory": ("s",), "limit": "h", "tags": ("a", "b,c"), "extra_vars": ("x=1",),
        "verbosity": 2, "vault_password_file": "f", "ask_vault_pass": True,
    }  # fmt: skip
    assert result.return_value == 1


def test_plan_is_check_and_diff(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, result = invoke(monkeypatch, "plan", "-i", "s")
    assert (asked["playbook"], asked["check"], asked["diff"]) == ("site", True, True)
    assert "Nothing to change." in result.output


def test_prove_hands_tier_selection_and_folder_to_the_playbook(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    words = ["prove", "-i", "s", "--tier", "slow", "--only", "A-20", "--report", str(tmp_path / "r"), "-e", "x=1"]
    asked, result = invoke(monkeypatch, *words, "--json")
    assert asked["playbook"] == "prove"
    assert asked["extra_vars"][0] == "x=1"
    assert json.loads(asked["extra_vars"][1]) == {
        "prove_tier": "slow", "prove_only": "A-20", "prove_report_dir": str(tmp_path / "r"),
    }  # fmt: skip
    assert json.loads(result.stdout)["summary"]["passed"] == 0


def test_wrong_options_are_wrong_input() -> None:
    result = CliRunner().invoke(cli, ["prove", "-i", "s", "--tier", "huge"])
    assert result.exit_code == 2


def test_runner_is_the_only_starter_of_playbooks() -> None:
    package = Path(runner.__file__).parent
    starters = [path for path in package.rglob("*.py") if '"ansible", "playbook"' in path.read_text("utf-8")]
    assert starters == [Path(runner.__file__)]
