"""The demo's decisions; that it works is shown by running it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from valija.cli import cli
from valija.commands import demo
from valija.progress import Failure, Record
from valija.runner import Outcome

# What scripts/demo sets.
SCRIPT = {"VALIJA_DEMO_NAME": "demo-a1b2c3", "VALIJA_DEMO_COMMAND": "./scripts/demo"}

SOURCE = "mail_squirrelmail_source: https://example.net/s.git cannot be reached. Set it to another."


def outcome(code: int = 0, *failures: Failure) -> Outcome:
    return Outcome(code, 1.0, ("x",), Record(failures=list(failures)))


class FakeLab:
    """A lab in a folder: what the demo asks of it is remembered."""

    def __init__(self, folder: Path) -> None:
        self.name = "demo"
        self.record = SimpleNamespace(settings={}, releases=[], profile="internet")
        self.place = SimpleNamespace(directory=folder)
        self.site_dir = folder / "site"
        self.passwords = {"alice": "s3cret"}
        self.hosts = [SimpleNamespace(domain="example.test")]
        self.ups: list[dict[str, Any]] = []

    def up(self, releases: tuple[str, ...] = (), **options: Any) -> None:
        self.ups.append({"releases": releases, **{key: value for key, value in options.items() if key != "progress"}})


@pytest.fixture
def lab(tmp_path: Path) -> FakeLab:
    return FakeLab(tmp_path)


@pytest.fixture
def console() -> Console:
    return Console(width=100, record=True, quiet=False, file=None, highlight=False)


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        ([Failure("h", "t", SOURCE, "inventory")], True),
        ([Failure("h", "t", SOURCE)], False),
        ([Failure("h", "t", SOURCE, "inventory"), Failure("g", "t", "port 25 is taken", "host")], False),
        ([], False),
    ],
)
def test_only_a_missing_source_lets_the_demo_go_on(failures: list[Failure], expected: bool) -> None:
    assert demo.source_out_of_reach(outcome(2, *failures)) is expected


def test_without_the_source_the_demo_goes_on_with_roundcube_and_says_so(
    monkeypatch: pytest.MonkeyPatch, lab: Any, console: Console
) -> None:
    lab.record.settings = {"mail_message_size_mib": 5}
    outcomes = [outcome(2, Failure("h", "t", SOURCE, "inventory")), outcome(0)]
    monkeypatch.setattr(demo, "run_playbook", lambda *args, **options: outcomes.pop(0))
    result, another = demo.apply(console, lab, 0)
    assert (result.exit_code, another) == (0, True)
    assert lab.ups == [{"releases": (), "settings": {"mail_message_size_mib": 5, "mail_webmail": "roundcube"}}]
    assert "goes on with Roundcube" in console.export_text()


def test_the_next_demo_tries_the_webmail_again(lab: Any, console: Console) -> None:
    lab.record.settings = {"mail_webmail": "roundcube", "mail_message_size_mib": 5}
    (lab.place.directory / demo.MISSED).touch()
    demo.bring_up(console, lab, ("debian-12",), "tutorial")
    demo.bring_up(console, lab, (), None)
    assert lab.ups == [
        {"releases": ("debian-12",), "profile": "tutorial", "settings": {"mail_message_size_mib": 5}},
        {"releases": (), "profile": None, "settings": None},
    ]


def test_a_demo_that_is_there_says_what_it_keeps(lab: Any, console: Console) -> None:
    demo.say_what_stays(console, lab, (), None)
    assert console.export_text() == "", "a new one keeps nothing"
    lab.record.releases = ["debian-12"]
    demo.say_what_stays(console, lab, ("debian-13",), "tutorial")
    assert console.export_text() == "", "nothing is kept that was asked for"
    demo.say_what_stays(console, lab, (), None)
    said = console.export_text()
    assert "keeps its release, debian-12" in said
    assert "keeps its profile, internet" in said


@pytest.mark.parametrize(
    ("environment", "lab_name", "command"),
    [
        ({}, "demo", "valija demo --down"),
        ({}, "mine", "valija demo --name mine --down"),
        (SCRIPT, "demo-a1b2c3", "./scripts/demo --down"),
        (SCRIPT, "mine", "./scripts/demo --name mine --down"),
    ],
)
def test_the_command_that_takes_it_down_is_the_one_that_was_typed(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], lab_name: str, command: str
) -> None:
    for name in SCRIPT:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert demo.command_for_down(lab_name) == command


def test_passwords_are_shown_once(lab: Any, console: Console) -> None:
    demo.show_accounts(console, lab)
    first = console.export_text()
    demo.show_accounts(console, lab)
    second = console.export_text()
    assert "s3cret" in first
    assert "s3cret" not in second
    assert "secrets.yml" in " ".join(second.split())


def test_quick_is_enough_while_nothing_changed_since_a_full_proof(lab: Any, console: Console) -> None:
    unchanged = outcome()
    assert demo.tier_for(console, lab, unchanged) == "full"
    (lab.place.directory / demo.PROVED).touch()
    assert demo.tier_for(console, lab, unchanged) == "quick"
    changed = outcome()
    changed.record.tallies["h"] = {"changed": 1}  # type: ignore[assignment]
    assert demo.tier_for(console, lab, changed) == "full"
    assert demo.tier_for(console, lab, unchanged) == "full"


def test_no_webmail_is_said() -> None:
    line = demo.webmail_line({"webmail": "none", "addresses": {"ipv4": "198.51.100.10"}}, another=False)
    assert line.plain == "Webmail none"


def test_another_webmail_says_why() -> None:
    line = demo.webmail_line({"webmail": "roundcube", "addresses": {"ipv4": "198.51.100.10"}}, another=True)
    assert line.plain.startswith("Webmail http://198.51.100.10/webmail/ Roundcube: ")
    assert "mail_squirrelmail_source" in line.plain


def test_the_webmail_has_an_address() -> None:
    site = {"webmail": "squirrelmail", "addresses": {"ipv4": "198.51.100.10"}}
    assert demo.webmail_line(site, another=False).plain == "Webmail http://198.51.100.10/webmail/"


@pytest.mark.parametrize(("given", "name"), [("bookworm", "debian-12"), ("debian-13", "debian-13")])
def test_a_release_has_two_names(given: str, name: str) -> None:
    assert demo.ReleaseName().convert(given, None, None) == name


def test_an_unknown_release_is_wrong_input() -> None:
    result = CliRunner().invoke(cli, ["demo", "--distro", "slackware"])
    assert result.exit_code == 2
    assert "There is no release slackware; there are: debian-13" in result.output
