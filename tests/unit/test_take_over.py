"""What `valija apply` says and asks before it takes over the machine that it runs on."""

from __future__ import annotations

import io
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from valija import take_over
from valija.cli import cli
from valija.commands import apply
from valija.progress import TAKE_OVER, Failure, Progress, Record
from valija.runner import Outcome
from valija.take_over import TakenOver

OURS = "# Managed by Valija, role postfix: changes made here are lost.\nx\n"
STOPPED = Failure("localhost", "Validate", "Ports that it would listen on: 25 (smtp).", refused=TAKE_OVER)


def outcome(*failures: Failure, diffs: tuple[dict[str, Any], ...] = ()) -> Outcome:
    events = [{"event": "diff", "host": host, "task": "t", "diff": list(diffs)} for host in ("localhost", "elsewhere")]
    return Outcome(2 if failures else 0, 1.0, ("ansible",), Record(failures=list(failures), diffs=events))


def diff(name: str, before: str, after: str) -> dict[str, str]:
    return {"before_header": name, "after_header": name, "before": before, "after": after}


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(diff("/etc/aliases", "root: me\n", OURS), TakenOver(replaced=("/etc/aliases",)), id="replaced"),
        pytest.param(diff("/etc/x", "link to ../y\n", ""), TakenOver(removed=("/etc/x",)), id="link removed"),
        pytest.param(diff("/etc/x", "link to y\n", "link to z\n"), TakenOver(replaced=("/etc/x",)), id="link moved"),
        pytest.param(diff("/etc/postfix/main.cf", OURS, OURS + "y\n"), TakenOver(), id="Valija's own"),
        pytest.param(diff("/etc/new", "", OURS), TakenOver(), id="new"),
        pytest.param(diff("/etc/x", "mode: 0600\n", "mode: 0644\n"), TakenOver(), id="the mode alone"),
        pytest.param(diff("/srv/x", "folder\n", ""), TakenOver(), id="an empty folder"),
        pytest.param(diff("packages", "", "postfix\n"), TakenOver(), id="no path"),
        pytest.param(
            diff("services", "", "enable x.service\nstart x.service\n"),
            TakenOver(services=("enable x.service", "start x.service")),
            id="services",
        ),
    ],
)
def test_a_plan_tells_what_would_be_taken_over(one: dict[str, str], expected: TakenOver) -> None:
    assert take_over.of_plan(outcome(diffs=(one, one)), outcome(STOPPED)) == expected


def test_other_hosts_are_nothing_to_ask_about() -> None:
    changes = outcome(diffs=(diff("/etc/aliases", "root: me\n", OURS),))
    assert take_over.of_plan(changes, outcome(Failure("h", "t", "m", refused="host"))) == TakenOver()


def test_all_of_it_is_said() -> None:
    console = Console(file=io.StringIO(), width=40)
    take_over.show(console, outcome(STOPPED), TakenOver(("/etc/a", "/etc/b"), (), ("start x.service",)))
    said = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert said[0] == "Ports that it would listen on: 25 (smtp)."
    assert said[1].endswith(": /etc/a, /etc/b")
    assert said[2:] == ["Daemons: start x.service"]


class Runs:
    """In the place of ansible-playbook: a machine that is refused until it was confirmed."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, playbook: str, *, progress: Progress, **options: Any) -> Outcome:
        self.calls.append(options)
        free = options.get("check") or take_over.CONFIRMED in options["extra_vars"]
        return outcome() if free else outcome(STOPPED)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    runs = Runs()
    monkeypatch.setattr(apply, "run_playbook", runs)
    return runs


def apply_with(arguments: list[str]) -> Result:
    """The command as `__main__` calls it; what it returns is the exit code."""
    return CliRunner().invoke(cli, arguments, standalone_mode=False)


def test_without_a_terminal_nothing_is_confirmed(runs: Runs) -> None:
    result = apply_with(["apply", "-i", "site"])
    assert result.return_value == 2
    assert "Ports that it would listen on" in result.output and "--yes" in result.output
    assert [bool(call.get("check")) for call in runs.calls] == [False, True]


def test_yes_confirms_without_asking(runs: Runs) -> None:
    result = apply_with(["apply", "-i", "site", "--yes", "-e", "mail_domain=example.org"])
    assert result.return_value == 0, result.output
    assert [call["extra_vars"] for call in runs.calls] == [("mail_domain=example.org", take_over.CONFIRMED)]


@pytest.mark.parametrize(("answer", "code", "count"), [(True, 0, 3), (False, 2, 2)])
def test_a_person_decides(answer: bool, code: int, count: int, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(take_over, "has_terminal", lambda: True)
    monkeypatch.setattr(click, "confirm", lambda *_words, **_options: answer)
    result = apply_with(["apply", "-i", "site"])
    assert (result.return_value, len(runs.calls)) == (code, count), result.output


def test_json_of_a_refusal_is_one_object(runs: Runs) -> None:
    result = apply_with(["apply", "-i", "site", "--json"])
    assert result.return_value == 2
    assert '"refused": "take_over"' in result.stdout
    assert "would listen" not in result.stdout.partition("{")[0], "what is said to people goes to the error output"
