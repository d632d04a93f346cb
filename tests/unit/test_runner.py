"""How a playbook is started, and what its end means. The command line is the seam: nothing below it is replaced."""

from __future__ import annotations

import io
import sys
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from valija import runner
from valija.errors import InputError
from valija.progress import Failure, Progress, Record

ANSIBLE = [sys.executable, "-m", "ansible", "playbook"]


def test_a_verb_is_the_collections_playbook() -> None:
    assert runner.playbook_command("site", ["mysite"]) == [*ANSIBLE, "-i", "mysite", "valija.mailserver.site"]


def test_every_option_is_passed_on_in_a_fixed_order() -> None:
    command = runner.playbook_command(
        "playbooks/site.yml",
        ["a", "b"],
        limit="mail",
        tags=("postfix", "courier"),
        extra_vars=("x=1", "@vars.yml"),
        check=True,
        diff=True,
        verbosity=3,
        vault_password_file="secret",
        ask_vault_pass=True,
    )
    assert command == [
        *ANSIBLE, "-i", "a", "-i", "b", "--limit", "mail", "--tags", "postfix,courier", "-e", "x=1", "-e", "@vars.yml",
        "--check", "--diff", "--vault-password-file", "secret", "--ask-vault-pass", "-vvv", "playbooks/site.yml",
    ]  # fmt: skip


def test_variables_given_as_a_mapping_travel_as_json() -> None:
    command = runner.playbook_command("prove", ["s"], extra_vars={"prove_only": "A-20 or B-01", "n": 1})
    assert command[-3:] == ["-e", '{"prove_only": "A-20 or B-01", "n": 1}', "valija.mailserver.prove"]


@pytest.mark.parametrize("name", ["playbooks/site.yml", "site.yaml", "a.b.c", "./site"])
def test_a_path_or_a_full_name_stays_as_it_is(name: str) -> None:
    assert runner.playbook_name(name) == name


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "hosts.yml").write_text("mail: {hosts: {h: {}}}\n")
    (tmp_path / "ansible.cfg").write_text("[defaults]\ncallbacks_enabled = timer, profile_tasks\n")
    return tmp_path


@pytest.mark.parametrize("given", [".", "hosts.yml"])
def test_the_sites_own_settings_are_honoured(site: Path, given: str) -> None:
    environment = runner.playbook_environment([str(site / given)], Path("e"), environment={"PATH": "/bin"})
    assert environment["ANSIBLE_CONFIG"] == str(site / "ansible.cfg")


def test_settings_chosen_by_the_user_win_over_the_sites(site: Path) -> None:
    environment = runner.playbook_environment([str(site)], Path("e"), environment={"ANSIBLE_CONFIG": "/mine"})
    assert environment["ANSIBLE_CONFIG"] == "/mine"


def test_the_interpreters_programs_come_first_and_our_callback_keeps_the_output_free() -> None:
    environment = runner.playbook_environment(["h,"], Path("/x/events"), environment={"PATH": "/bin"})
    assert environment == {
        "PATH": f"{Path(sys.executable).parent}:/bin",
        "ANSIBLE_STDOUT_CALLBACK": "valija.mailserver.events",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        "ANSIBLE_INVENTORY_IGNORE_REGEX": runner.TABLES,
        "PYTHONUNBUFFERED": "1",
        "VALIJA_EVENTS": "/x/events",
    }


def test_with_v_ansibles_own_output_stays_and_the_sites_callbacks_too(site: Path) -> None:
    environment = runner.playbook_environment([str(site)], Path("e"), verbosity=1, environment={})
    assert "ANSIBLE_STDOUT_CALLBACK" not in environment
    assert environment["ANSIBLE_CALLBACKS_ENABLED"] == "timer,profile_tasks,valija.mailserver.events"


def test_the_command_shown_can_be_pasted_into_a_shell() -> None:
    shown = runner.shown_command(["python", "-e", "a b"], {"ANSIBLE_CONFIG": "/my site/ansible.cfg"})
    assert shown == "ANSIBLE_CONFIG='/my site/ansible.cfg' python -e 'a b'"


def test_an_inventory_that_is_not_there_is_wrong_input() -> None:
    with pytest.raises(InputError, match="/nonexistent: the inventory does not exist"):
        runner.run_playbook("site", ["/nonexistent"])


def record(
    *failures: Failure, changed: int = 0, hosts: int = 1, empty: int = 0, called: tuple[str, ...] = ()
) -> Record:
    tallies = {f"h{number}": Counter(ok=1, changed=changed) for number in range(hosts)}
    calls = [{"event": "call", "host": host} for host in called]
    return Record(tallies=tallies, failures=list(failures), empty_plays=empty, calls=calls)


REFUSED = Failure("h0", "t", "m", refused="inventory")
NOT_CONFIRMED = Failure("h0", "t", "m", refused="take_over")
REFUSED_HOST = Failure("h0", "t", "m", refused="host")
FAILED = Failure("h0", "t", "m")


@pytest.mark.parametrize(
    ("code", "seen", "expected"),
    [
        pytest.param(0, record(), 0, id="done"),
        pytest.param(2, record(FAILED), 1, id="a host failed"),
        pytest.param(4, record(FAILED), 1, id="a host was not reached"),
        pytest.param(2, record(REFUSED), 2, id="the inventory was refused"),
        pytest.param(2, record(NOT_CONFIRMED), 2, id="nobody confirmed that this machine may be taken over"),
        pytest.param(2, record(REFUSED, changed=1), 1, id="refused, but something had changed before"),
        pytest.param(2, record(REFUSED, FAILED), 1, id="one refused, one failed"),
        pytest.param(2, record(REFUSED_HOST), 1, id="the host was refused"),
        pytest.param(4, record(hosts=0), 2, id="ansible could not read its input"),
        pytest.param(0, record(hosts=0, empty=1), 2, id="no host matched"),
        pytest.param(-9, record(hosts=0), 1, id="killed in its first task"),
        pytest.param(-9, record(REFUSED), 1, id="killed after one host was refused"),
        pytest.param(250, record(hosts=0, called=("h0",)), 1, id="died while a host was called"),
        pytest.param(250, record(REFUSED, called=("h1",)), 1, id="died while another host was called"),
        pytest.param(2, record(NOT_CONFIRMED, called=("h0",)), 2, id="looked at, and refused"),
    ],
)
def test_the_exit_code_tells_wrong_input_from_a_failed_host(code: int, seen: Record, expected: int) -> None:
    assert runner.verdict(code, seen) == expected


def test_a_table_of_accounts_beside_the_hosts_is_no_inventory(site: Path) -> None:
    (site / "accounts.csv").write_text("name,password\nalice,secret words\n")
    (site / "ansible.cfg").write_text("[defaults]\ninventory_ignore_patterns = old\n")
    environment = runner.playbook_environment([str(site)], Path("e"), environment={})
    assert environment["ANSIBLE_INVENTORY_IGNORE_REGEX"] == rf"old,{runner.TABLES}"


def test_a_run_that_is_killed_is_told_and_is_no_wrong_input(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    monkeypatch.setattr(runner.early_child, "command", lambda _words: killed)
    console = Console(file=io.StringIO(), width=200)
    outcome = runner.run_playbook("site", [str(site)], progress=Progress(console))
    assert outcome.exit_code == 1
    assert "killed by signal 9" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "locale"), [("xx_YY.UTF-8", "C.UTF-8"), ("C.UTF-8", None)])
def test_a_locale_that_is_not_installed_does_not_keep_ansible_from_starting(
    name: str, locale: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LC_ALL", raising=False)
    for variable in ("LANG", "LC_CTYPE"):
        monkeypatch.setenv(variable, name)
    assert runner.playbook_environment([], Path("events"), environment={}).get("LC_ALL") == locale
