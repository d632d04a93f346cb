"""`valija accounts`, as a person types it; the run of Ansible is the only thing that is replaced."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.valija.mailserver.plugins.module_utils.hashing import verify_password
from click.testing import CliRunner, Result

from valija import inventory_files, runner
from valija.commands import accounts
from valija.errors import InputError
from valija.skeleton import SiteHost, write_site


@dataclass
class Runs:
    """The runs of Ansible that were asked for, and the exit code that they end with."""

    asked: list[dict[str, Any]] = field(default_factory=list)
    code: int = 0
    meanwhile: Callable[[], None] = lambda: None

    def __call__(self, playbook: str, inventory: tuple[str, ...], **given: Any) -> runner.Outcome:
        self.asked.append({"playbook": playbook, "inventory": inventory, **given})
        self.meanwhile()
        return runner.Outcome(self.code, 0.1, ("ansible-playbook",))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    write_site(
        tmp_path,
        domain="example.org",
        hosts=[SiteHost("mail1"), SiteHost("mail2", variables={"mail_domain": "example.net"})],
        accounts=[
            {"name": "alice", "password": "one two three", "full_name": "Alice"},
            {"name": "bob", "state": "disabled"},
        ],
        postmaster="alice",
    )
    return tmp_path


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    instead = Runs()
    monkeypatch.setattr(runner, "run_playbook", instead)
    return instead


def valija(*arguments: str, text: str = "") -> Result:
    return CliRunner().invoke(accounts.command, arguments, input=text, standalone_mode=False)


def account(site: Path, name: str) -> dict[str, Any]:
    listed = yaml.safe_load((site / "group_vars/all/mail.yml").read_text())["mail_accounts"]
    found: dict[str, Any] = next(item for item in listed if item["name"] == name)
    return found


def test_a_new_account_is_written_as_a_hash_and_applied_alone(site: Path, runs: Runs) -> None:
    done = valija("add", "erin", "-i", str(site), "--stdin", "--full-name", "Erin", "--cost", "1", text="long enough\n")
    assert done.return_value == 0, done.output
    erin = account(site, "erin")
    assert erin.keys() == {"name", "full_name", "password_hash"}
    assert verify_password("long enough", erin["password_hash"])
    assert "long enough" not in done.output
    assert [run["playbook"] for run in runs.asked] == ["accounts"]
    assert json.loads(runs.asked[0]["extra_vars"][-1]) == {"accounts_only": ["erin"], "accounts_enforce": ["erin"]}


def test_a_password_is_asked_for_twice_and_changed(site: Path, runs: Runs) -> None:
    done = valija("password", "alice", "-i", str(site), "--cost", "1", text="new and long\nnew and long\n")
    assert done.return_value == 0, done.output
    assert "password" not in account(site, "alice")
    assert verify_password("new and long", account(site, "alice")["password_hash"])
    assert "new and long" not in done.output
    assert len(runs.asked) == 1


def test_a_generated_password_is_shown_and_is_the_one_that_is_hashed(site: Path, runs: Runs) -> None:
    done = valija("password", "bob", "-i", str(site), "--generate", "--no-apply", "--json", "--cost", "1")
    shown = json.loads(done.output)
    assert verify_password(shown["password"], account(site, "bob")["password_hash"])
    assert not runs.asked


def test_an_inventory_that_is_refused_is_put_back(site: Path, runs: Runs) -> None:
    runs.code = 2
    before = (site / "group_vars/all/mail.yml").read_text()
    done = valija("add", "erin", "-i", str(site), "--generate", "--cost", "1")
    assert done.return_value == 2
    assert (site / "group_vars/all/mail.yml").read_text() == before
    assert "is as it was" in done.output


def test_an_edit_made_meanwhile_is_not_lost(site: Path, runs: Runs) -> None:
    file = site / "group_vars/all/mail.yml"
    runs.code = 2

    def edit() -> None:
        file.write_text(file.read_text() + "mail_message_size_mib: 5\n")

    runs.meanwhile = edit
    done = valija("add", "erin", "-i", str(site), "--generate", "--cost", "1")
    assert "mail_message_size_mib: 5" in file.read_text()
    assert "was edited meanwhile" in done.output


def test_an_edit_waits_for_the_one_before_it(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    replace = inventory_files.replace

    def writing(path: Path, text: str) -> None:
        descriptor = os.open(site, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            seen.append("free")
        except BlockingIOError:
            seen.append("locked")
        finally:
            os.close(descriptor)
        replace(path, text)

    monkeypatch.setattr(inventory_files, "replace", writing)
    for arguments in (["add", "erin"], ["password", "bob"]):
        done = valija(*arguments, "-i", str(site), "--generate", "--no-apply", "--cost", "1")
        assert done.return_value == 0, done.output
    assert seen == ["locked", "locked"]


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_generated_password_is_told_even_when_the_run_is_interrupted(
    options: list[str], site: Path, runs: Runs
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    runs.meanwhile = interrupt
    done = valija("add", "erin", "-i", str(site), "--generate", "--cost", "1", *options)
    if options:
        shown = json.loads(done.stdout.strip())["password"]
    else:
        shown = done.stdout.partition("Password of erin: ")[2].split()[0]
    assert verify_password(shown, account(site, "erin")["password_hash"])


@pytest.mark.parametrize(
    ("arguments", "text", "words"),
    [
        (["add", "alice", "--stdin"], "long enough\n", "is in .* already"),
        (["add", "root", "--stdin"], "long enough\n", "name of the system"),
        (["add", "Erin", "--stdin"], "long enough\n", "lower case"),
        (["add", "erin", "--stdin"], "short\n", "shorter than 8"),
        (["add", "erin", "--stdin"], "", "is empty"),
        (["add", "erin", "--full-name", "a:b", "--stdin"], "long enough\n", "colon"),
        (["add", "erin", "--stdin", "--generate"], "", "not both"),
        (["add", "erin", "--generate", "--cost", "12"], "", "1 to 11"),
        (["password", "erin", "--stdin"], "long enough\n", "not in mail_accounts"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    arguments: list[str], text: str, words: str, site: Path, runs: Runs
) -> None:
    before = (site / "group_vars/all/mail.yml").read_text()
    done = valija(*arguments, "-i", str(site), text=text)
    assert isinstance(done.exception, InputError)
    with pytest.raises(InputError, match=words):
        raise done.exception
    assert (site / "group_vars/all/mail.yml").read_text() == before
    assert not runs.asked


def test_a_hash_is_printed_alone() -> None:
    done = valija("hash", "--stdin", "--scheme", "sha512", "--cost", "1000", text="long enough\n")
    assert verify_password("long enough", done.stdout.strip())


def test_the_accounts_of_all_hosts_are_listed_without_a_secret(site: Path) -> None:
    done = valija("list", "-i", str(site), "--json")
    listed = json.loads(done.output)
    assert [(one["name"], one["state"], one["hosts"]) for one in listed] == [
        ("alice", "present", ["mail1", "mail2"]),
        ("bob", "disabled", ["mail1", "mail2"]),
    ]
    assert "vault" not in done.output
    table = valija("list", "-i", str(site))
    assert "Alice" in table.output


@pytest.fixture
def filed(site: Path) -> Path:
    """The site with a table of accounts beside its list."""
    (site / "accounts.csv").write_text("name,password_hash,full_name,password\ndave,,Dave,hunter22\n")
    with (site / "group_vars/all/mail.yml").open("a") as stream:
        stream.write("mail_accounts_file: accounts.csv\n")
    return site


def test_accounts_of_the_table_are_listed_without_their_secrets(filed: Path) -> None:
    done = valija("list", "-i", str(filed), "--json")
    assert [one["name"] for one in json.loads(done.output)] == ["alice", "bob", "dave"]
    assert "hunter22" not in done.output


def test_a_new_account_goes_into_the_table_where_there_is_one(filed: Path, runs: Runs) -> None:
    before = (filed / "group_vars/all/mail.yml").read_text()
    done = valija("add", "erin", "-i", str(filed), "--stdin", "--cost", "1", text="long enough\n")
    assert done.return_value == 0, done.output
    rows = (filed / "accounts.csv").read_text().splitlines()
    assert rows[1] == "dave,,Dave,hunter22"
    assert rows[2].startswith("erin,$y$")
    assert (filed / "group_vars/all/mail.yml").read_text() == before


@pytest.mark.parametrize(("name", "file"), [("alice", "mail.yml"), ("dave", "accounts.csv")])
def test_a_password_is_changed_where_the_account_stands(name: str, file: str, filed: Path, runs: Runs) -> None:
    done = valija("password", name, "-i", str(filed), "--stdin", "--cost", "1", text="new and long\n")
    assert done.return_value == 0, done.output
    assert file in done.output


def test_a_name_that_stands_in_the_list_is_not_added_to_the_table(filed: Path, runs: Runs) -> None:
    done = valija("add", "alice", "-i", str(filed), "--generate")
    assert isinstance(done.exception, InputError)
    assert "mail.yml" in str(done.exception)
