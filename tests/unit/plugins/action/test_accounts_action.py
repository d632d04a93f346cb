"""The control node's part of accounts: a wrong list is refused before any host is called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.valija.mailserver.plugins.action import accounts as action


def play(folder: Path, task: dict[str, Any], *options: str) -> subprocess.CompletedProcess[str]:
    """Run one task against a host that cannot be reached: any remote call fails as unreachable."""
    path = folder / "play.yml"
    path.write_text(
        yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [{"valija.mailserver.accounts": task}]}])
    )
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "nowhere,", "-e", "ansible_port=1", str(path)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return subprocess.run(
        [*command, "-e", "ansible_host=127.0.0.1", *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_all_that_is_wrong_is_said_without_a_remote_call_and_without_a_secret(tmp_path: Path) -> None:
    wrong = [{"name": "alice", "password": "hunter2\n", "quota": 1}, {"name": "bob", "purge": True}]
    done = play(tmp_path, {"accounts": wrong})
    assert done.returncode == 2, done.stderr
    assert "mail_accounts: alice: unknown key 'quota'" in done.stdout + done.stderr
    assert "mail_accounts: bob: purge with state present" in done.stdout + done.stderr
    assert '"valija_refused": "inventory"' in done.stdout
    assert "unreachable=0" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "task", [{"accounts": "alice"}, {"accounts": [], "colour": "red"}, {}, {"of_the_site": True, "accounts": []}]
)
def test_what_the_task_itself_has_wrong_is_refused(task: dict[str, Any], tmp_path: Path) -> None:
    done = play(tmp_path, task)
    assert done.returncode == 2
    assert "unreachable=0" in done.stdout


def test_the_task_alone_takes_from_the_site_what_the_role_passes() -> None:
    roles = Path(action.__file__).parents[2] / "roles"
    (task,) = yaml.safe_load((roles / "accounts/tasks/configure.yml").read_text())
    passed = {name: value.strip("{} ") for name, value in task["valija.mailserver.accounts"].items()}
    assert passed == {**action.OF_THE_SITE, "release_lock": "__accounts_alone"}


def test_a_site_is_judged_as_a_whole_before_its_accounts_are_sent(tmp_path: Path) -> None:
    table = tmp_path / "accounts.csv"
    table.write_text("name,password_hash\nalice,$y$j9T$abc$def\nAlice,hunter2\n")
    site = {"mail_domain": "example.org", "mail_postmaster": "nobody-here", "mail_accounts_file": str(table)}
    done = play(tmp_path, {"of_the_site": True}, "-e", json.dumps(site))
    assert "accounts.csv:3: name:" in done.stdout, done.stdout + done.stderr
    assert "accounts.csv:3: password_hash: is not a password hash" in done.stdout
    assert "mail_postmaster" in done.stdout
    assert '"valija_refused": "inventory"' in done.stdout
    assert "unreachable=0" in done.stdout
    assert "hunter2" not in done.stdout


def test_a_good_site_is_sent(tmp_path: Path) -> None:
    accounts = [{"name": "alice", "password": "correct horse"}]
    site = {"mail_domain": "example.org", "mail_postmaster": "alice", "mail_accounts": accounts}
    done = play(tmp_path, {"of_the_site": True}, "-e", json.dumps(site))
    assert "unreachable=1" in done.stdout, done.stdout + done.stderr


# Nobody's account is not Valija's, so that even a host that may be changed refuses this and stays as it is.
HARMLESS = [{"name": "nobody", "password": "long enough"}]
LOCAL = ("-e", "ansible_connection=local", "-e", f"ansible_python_interpreter={sys.executable}")


@pytest.mark.skipif(Path("/var/lib/valija").exists(), reason="this machine is a mail server of Valija's")
@pytest.mark.parametrize(
    ("accounts", "options", "asked"),
    [
        pytest.param(HARMLESS, (), True, id="nobody has confirmed"),
        pytest.param(HARMLESS, ("-e", "mail_take_over_confirmed=true"), False, id="confirmed"),
        pytest.param(HARMLESS, ("--check",), False, id="check mode"),
        pytest.param([{"name": "nobody", "state": "absent"}], (), False, id="taken away only"),
    ],
)
def test_the_machine_itself_gets_no_account_before_it_is_confirmed(
    accounts: list[dict[str, str]], options: tuple[str, ...], asked: bool, tmp_path: Path
) -> None:
    done = play(tmp_path, {"accounts": accounts, "release_lock": True}, *LOCAL, *options)
    assert ("nobody has confirmed" in done.stdout) == asked, done.stdout
    assert ("mail_take_over_confirmed: true" in done.stdout) == asked
    assert '"valija_refused": "host"' in done.stdout
    assert "unreachable=0" in done.stdout


@pytest.mark.skipif(Path("/var/lib/valija").exists(), reason="this machine is a mail server of Valija's")
def test_a_run_about_one_account_judges_all_and_sends_that_one(tmp_path: Path) -> None:
    others = [{"name": "daemon", "password": "long enough"}]
    done = play(tmp_path, {"accounts": [*HARMLESS, *others], "only": ["daemon"]}, *LOCAL, "--check")
    assert "daemon: the host has an account of this name that Valija did not make" in done.stdout, done.stdout
    assert "nobody: the host" not in done.stdout
    wrong = [{"name": "nobody", "password": ""}]
    done = play(tmp_path, {"accounts": [*wrong, *others], "only": ["daemon"]}, *LOCAL, "--check")
    assert "nobody: the password is empty" in done.stdout
    assert '"valija_refused": "inventory"' in done.stdout
