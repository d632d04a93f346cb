"""`scripts/demo` as a person runs it: in a fresh clone, twice, with its options, and down again.

The clone is of the last commit; it makes an environment of its own, and its labs are kept in a folder of their own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from valija.lab.engine import MAKER_LABEL, STATE_LABEL, docker, labelled
from valija.lab.state import Place, state_home

from .conftest import Run

ROOT = Path(__file__).parents[2]
STRANGER = "valija-stranger"

# What the README shows, and this module runs as it stands there; some with words after it that keep the run short.
CLONE = "git clone https://github.com/valija/valija && cd valija"
DEMO = "./scripts/demo"
BOOKWORM = "./scripts/demo --distro bookworm"
TUTORIAL = "./scripts/demo --profile tutorial"
DOWN = "./scripts/demo --down"
TEST = "./scripts/test"
COMMANDS = (CLONE, DEMO, BOOKWORM, TUTORIAL, DOWN, TEST)


@dataclass(frozen=True)
class Clone:
    """A clone of this checkout; its demo's lab is kept in a folder of its own."""

    path: Path

    def run(self, command: str) -> Run:
        """Run a line of the shell in the clone, without a terminal; both streams together."""
        return shell(command, self.path, {})

    @property
    def place(self) -> Place:
        """The only lab of that folder."""
        (record,) = state_home().glob("*/lab.json")
        return Place(record.parent.name)


def shell(line: str, folder: Path, environment: dict[str, str]) -> Run:
    """Run a line of the shell as somebody who has just logged in, and wait for it."""
    ours = ("VALIJA_", "ANSIBLE_", "VIRTUAL_ENV", "PYTEST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=folder,
        env={**kept, "LANGUAGE": "C", "LC_ALL": "C.UTF-8", "COLUMNS": "200", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    return Run(done.returncode, done.stdout)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    folder = tmp_path_factory.mktemp("clone")
    address = CLONE.split()[2]
    here = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{ROOT}.insteadOf",
        "GIT_CONFIG_VALUE_0": address,
    }
    cloned = shell(f"{CLONE} && git rev-parse --show-toplevel", folder, here)
    assert cloned.code == 0, cloned.output
    made = Clone(folder / "valija")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        try:
            yield made
        finally:
            made.run(DOWN)


@pytest.fixture(scope="module")
def strangers() -> Iterator[list[tuple[str, str]]]:
    """A container, a network, an image and a volume of somebody else, made from nothing: kind and name."""
    made = [(kind, STRANGER) for kind in ("container", "network", "image", "volume")]
    remove_strangers()
    docker("import", "--change", 'CMD ["/true"]', "-", STRANGER, stdin=bytes(1024))
    docker("create", "--name", STRANGER, STRANGER)
    docker("network", "create", "--internal", STRANGER)
    docker("volume", "create", STRANGER)
    try:
        yield made
    finally:
        remove_strangers()


def remove_strangers() -> None:
    for command in (("rm", "--force"), ("network", "rm"), ("rmi",), ("volume", "rm")):
        subprocess.run(["docker", *command, STRANGER], capture_output=True, check=False)


@pytest.fixture(scope="module")
def first(clone: Clone, strangers: list[tuple[str, str]]) -> Run:
    """The first run."""
    return clone.run(DEMO)


def report_of(run: Run) -> Path:
    """The report that a run says it has written."""
    found = re.search(r"(/\S+/report\.html)", run.output)
    assert found, run.output
    return Path(found[1])


def counts(run: Run) -> dict[str, int]:
    """How many checks had each outcome, as the report's data say."""
    found: dict[str, int] = json.loads(report_of(run).with_name("results.json").read_text())["summary"]
    return found


def test_the_first_run_ends_with_all_that_a_person_needs(clone: Clone, first: Run) -> None:
    assert first.code == 0, first.output
    words = " ".join(first.output.split())
    for service in ("smtp", "submissions", "submission", "imaps", "pop3s", "http", "https"):
        assert re.search(rf"│ {service} +│ 198\.51\.100\.\d+, 2001:db8:\S+ +│ \d+ ", words), first.output
    assert re.search(r"Webmail https://198\.51\.100\.\d+/webmail/", words)
    passwords = json.loads((clone.place.directory / "lab.json").read_text())["passwords"]
    assert set(passwords) == {"alice", "bob"} and set(passwords.values()) <= set(words.split())
    assert counts(first)["passed"] > 50 and counts(first)["failed"] == 0
    assert report_of(first).read_text().startswith("<!DOCTYPE html>")
    assert f"Take it down: {DOWN}" in words


def test_only_the_person_reads_the_secrets(clone: Clone, first: Run) -> None:
    place = clone.place
    private = [place.directory / "lab.json", place.site / "group_vars" / "all" / "secrets.yml", place.key]
    assert {path: oct(path.stat().st_mode & 0o777) for path in private} == dict.fromkeys(private, "0o600")


def test_the_second_run_changes_nothing_and_proves_it_again(clone: Clone, first: Run) -> None:
    started = time.monotonic()
    second = clone.run(DEMO)
    assert second.code == 0, second.output
    assert "Nothing has changed" in second.output
    assert "The demo keeps its release, debian-13" in second.output
    assert counts(second)["passed"] > 10
    assert report_of(second).exists() and report_of(second) != report_of(first)
    assert time.monotonic() - started < 120


def test_a_profile_that_is_asked_for_is_kept_with_the_release(clone: Clone, first: Run) -> None:
    run = clone.run(f"{TUTORIAL} --tier quick")
    assert run.code == 0, run.output
    assert "The demo keeps its release, debian-13" in run.output
    (host,) = [name for name in labelled("container", clone.place.labels) if name.endswith("debian-13")]
    assert docker("exec", host, "postconf", "-h", "inet_protocols") == "ipv4"


@pytest.mark.slow
def test_another_release_takes_the_place_of_the_host(clone: Clone, first: Run) -> None:
    run = clone.run(f"{BOOKWORM} --tier quick")
    assert run.code == 0, run.output
    assert "debian-12 ·" in run.output
    assert "The demo keeps its profile" in run.output
    hosts = labelled("container", clone.place.labels)
    assert any("debian-12" in host for host in hosts) and not any("debian-13" in host for host in hosts)


def test_the_tests_of_a_clone_run(clone: Clone, first: Run) -> None:
    run = clone.run(f"{TEST} tests/repo/test_versions.py")
    assert run.code == 0, run.output
    assert re.search(r"\d+ passed", run.output.splitlines()[-1])


def test_down_leaves_nothing_of_its_own_and_all_of_others(
    clone: Clone, first: Run, strangers: list[tuple[str, str]]
) -> None:
    place = clone.place
    run = clone.run(DOWN)
    assert run.code == 0, run.output
    ours = f"label={STATE_LABEL}={place.identity}"
    assert docker("ps", "--all", "--quiet", "--filter", ours) == ""
    assert docker("network", "ls", "--quiet", "--filter", ours) == ""
    assert not place.directory.exists()
    # An image that a host of another lab stands on stays, and is named.
    left = docker("images", "--filter", f"label={MAKER_LABEL}={place.identity}", "--format", "{{.Repository}}:{{.Tag}}")
    assert all(f"{image} stays" in run.output for image in left.split()), run.output
    for kind, name in strangers:
        docker(kind, "inspect", name)
