"""The tutorial's own way: Valija in a checkout on the machine that becomes the mail server, with no other host."""

from __future__ import annotations

import json
import os
import shlex
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.valija.mailserver.plugins.plugin_utils import squirrelmail_source

from .conftest import SERVICE_ROLES, LabHost, LabSite

ROOT = Path(__file__).parents[2]
CHECKOUT = "/opt/valija"


@dataclass(frozen=True)
class Answer:
    """What a command on the machine printed, and its exit code."""

    code: int
    output: str

    @property
    def data(self) -> dict[str, Any]:
        """The JSON object on the standard output."""
        value: dict[str, Any] = json.loads(self.output)
        return value


@dataclass(frozen=True)
class Machine:
    """The machine that a person sits at: a lab host with a checkout of Valija and an environment in it."""

    host: LabHost

    def valija(self, words: str, *, answer: str = "") -> Answer:
        """Run `valija WORDS` in the checkout; with an answer on a terminal, without one with no input at all."""
        line = f".venv/bin/valija {words} -i inventories/local -e mail_domain=tutorial.test"
        if answer:
            line = f"printf '{answer}\\n' | script --quiet --return --command {shlex.quote(line)} /dev/null"
        else:
            line += " </dev/null"
        output, _, code = self.host.sh(f"cd {CHECKOUT}; {line}; code=$?; echo; echo $code").rpartition("\n")
        return Answer(int(code), output)


@pytest.fixture(scope="module")
def machine(lab: LabSite) -> Machine:
    """The lab's host with the last commit of this checkout, and with what it would fetch from outside."""
    host = lab.host
    committed = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    host.sh(f"mkdir -p {CHECKOUT} && tar -xf - -C {CHECKOUT}", stdin=committed)
    # A lab host is not known to a proxy that this machine may sit behind: it gets its certificates and what it fetched.
    bundle = Path(
        os.environ.get("PIP_CERT") or ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    )
    host.sh("cat > /root/ca.pem", stdin=bundle.read_bytes())
    settings = yaml.safe_load((ROOT / "roles/mail/defaults/main/main.yml").read_text())
    made = squirrelmail_source.obtain(settings["mail_squirrelmail_source"]).path
    cached = sorted(path.name for path in made.parent.glob(f"{made.stem}.*"))
    archive = subprocess.run(["tar", "-cf", "-", *cached], cwd=made.parent, capture_output=True, check=True).stdout
    host.sh("mkdir -p ~/.cache/valija && tar -xf - -C ~/.cache/valija", stdin=archive)
    host.sh(
        "apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv git >/dev/null 2>&1 && "
        f"cd {CHECKOUT} && python3 -m venv .venv && PIP_CERT=/root/ca.pem .venv/bin/pip install -q ."
    )
    return Machine(host)


def test_without_a_terminal_the_machine_is_refused_untouched(machine: Machine) -> None:
    machine.host.mark()
    answer = machine.valija("apply")
    assert answer.code == 2, answer.output
    assert "25 (smtp)" in answer.output and "--yes" in answer.output
    assert "/etc/courier/imapd" in answer.output, "what would be replaced is said"
    assert "start postfix" in answer.output, "what would be started is said"
    assert machine.host.touched() == [], answer.output


def test_a_person_who_says_no_keeps_the_machine_as_it_is(machine: Machine) -> None:
    machine.host.mark()
    answer = machine.valija("apply", answer="n")
    assert answer.code == 2, answer.output
    assert "Take this machine over?" in answer.output
    assert machine.host.touched() == [], answer.output


@pytest.fixture(scope="module")
def applied(machine: Machine) -> Machine:
    """The machine after it was confirmed."""
    answer = machine.valija("apply --yes")
    assert answer.code == 0, answer.output
    return machine


def test_the_second_run_asks_nothing_and_changes_nothing(applied: Machine) -> None:
    answer = applied.valija("apply --json 2>/dev/null")
    assert answer.code == 0, answer.output
    assert answer.data["changed"] == 0
    assert answer.data["remote_calls"]["localhost"] <= 4 + SERVICE_ROLES


def test_what_was_there_is_kept(applied: Machine) -> None:
    assert "/etc/courier/imapd.before-valija" in applied.host.sh("find /etc -name '*.before-valija'").splitlines()


def test_the_machine_is_proved_from_itself_and_nothing_from_outside_is_green(applied: Machine) -> None:
    answer = applied.valija("prove --tier full --report /root/report")
    assert answer.code == 0, answer.output
    results = json.loads(applied.host.sh("cat /root/report/results.json"))
    assert results["summary"]["failed"] == 0
    assert results["summary"]["passed"] > 10
    outside = [check for check in results["checks"] if check["vantage"] == "outside"]
    assert {check["outcome"] for check in outside} == {"skipped"}
    assert all(check["reason"].startswith("no outside") for check in outside)
    green = {check["id"] for check in results["checks"] if check["outcome"] == "passed"}
    assert {"T-2", "T-3", "T-6"} <= green, "mail sent on the machine is read back, from the account's Maildir"
    assert {"T-1", "T-4", "T-5"} <= green, "a person's programs read mail on the machine itself too"
