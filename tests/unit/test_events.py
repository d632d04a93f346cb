"""The callback, run by a real ansible-playbook on the connection `local`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from valija.progress import PlainProgress, Progress
from valija.runner import Outcome, run_playbook

PLAYBOOK = """
- name: Try the events
  hosts: all
  gather_facts: false
  vars:
    word: hunter2
  tasks:
    - name: first | Answer
      ansible.builtin.ping:
    - name: Write a file
      ansible.builtin.copy:
        content: "user: a\\npassword: {{ word }}\\nhash: $6$abcdefgh$0123456789abcdef\\n"
        dest: "{{ target }}"
        mode: "0600"
      tags: [write]
    - name: Pass over
      ansible.builtin.debug:
        msg: never
      when: false
    - name: Be refused
      ansible.builtin.fail:
        msg: "a.yml:3: mail_domain: is wrong\\nb: password=hunter2"
      when: broken | default(false)
"""


class Quiet(Progress):
    """Shows nothing, remembers the events and what Ansible displayed."""

    def __init__(self) -> None:
        super().__init__(Console(quiet=True))
        self.events: list[dict[str, Any]] = []
        self.lines: list[str] = []

    def event(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    def output(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "play.yml").write_text(PLAYBOOK)
    values = "ansible_connection: local\n    ansible_python_interpreter: /usr/bin/python3\n"
    (tmp_path / "hosts.yml").write_text(f"all:\n  hosts: {{one: {{}}, two: {{}}}}\n  vars:\n    {values}")
    (tmp_path / "ansible.cfg").write_text("[connection]\npipelining = true\n")
    return tmp_path


def run(folder: Path, progress: Progress | None = None, **options: Any) -> Outcome:
    variables = {"target": str(folder / "{{ inventory_hostname }}.txt"), **options.pop("extra_vars", {})}
    return run_playbook(
        str(folder / "play.yml"), [str(folder / "hosts.yml")], extra_vars=variables, progress=progress or Quiet(),
        **options,
    )  # fmt: skip


def test_a_run_is_told_whole_and_secrets_are_masked_in_differences(folder: Path) -> None:
    quiet = Quiet()
    outcome = run(folder, quiet, diff=True)
    assert outcome.exit_code == 0
    play = next(event for event in quiet.events if event["event"] == "play")
    assert (play["name"], play["hosts"], play["tasks"]) == ("Try the events", ["one", "two"], 4)
    assert [event["name"] for event in quiet.events if event["event"] == "task"] == [
        "first | Answer", "Write a file", "Pass over", "Be refused",
    ]  # fmt: skip
    assert outcome.record.tallies["one"] == {"ok": 2, "skipped": 2, "changed": 1}
    assert {event["diff"][0]["after"] for event in outcome.record.diffs} == {
        "user: a\npassword: ********\nhash: ********\n"
    }
    assert quiet.lines == []


def test_a_pipelined_module_is_one_remote_call(folder: Path) -> None:
    outcome = run(folder, tags=["none_of_these"])
    assert outcome.remote_calls == {}
    (folder / "play.yml").write_text(PLAYBOOK.partition("    - name: Write a file")[0])
    outcome = run(folder)
    assert outcome.remote_calls == {"one": 1, "two": 1}
    assert {(call["kind"], call["transport"]) for call in outcome.record.calls} == {("exec_command", "local")}


def test_a_copied_file_costs_every_call_that_it_takes(folder: Path) -> None:
    outcome = run(folder, tags=["write"], limit="one")
    kinds = [call["kind"] for call in outcome.record.calls]
    assert kinds.count("put_file") == 1
    assert outcome.remote_calls["one"] > 3


def test_a_failure_carries_its_whole_message_and_no_password(folder: Path) -> None:
    outcome = run(folder, extra_vars={"broken": True}, limit="two")
    assert outcome.exit_code == 1
    assert [(one.host, one.task, one.message) for one in outcome.failures] == [
        ("two", "Be refused", "a.yml:3: mail_domain: is wrong\nb: password=********")
    ]


@pytest.mark.parametrize(
    "playbook", ["- hosts: all\n  tasks: {", "- hosts: nobody\n  tasks: []\n"], ids=["not YAML", "no host"]
)
def test_what_ansible_cannot_use_is_wrong_input_and_is_shown(folder: Path, playbook: str) -> None:
    (folder / "play.yml").write_text(playbook)
    console = Console(width=200)
    with console.capture() as shown:
        outcome = run(folder, PlainProgress(console))
    assert outcome.exit_code == 2
    assert shown.get().strip()


def test_a_limit_that_matches_no_host_is_wrong_input(folder: Path) -> None:
    assert run(folder, limit="three").exit_code == 2


@pytest.fixture(scope="module")
def events() -> Any:
    path = Path(__file__).parents[2] / "plugins" / "callback" / "events.py"
    spec = importlib.util.spec_from_file_location("events_callback", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("smtp_password: s3cret", "smtp_password: ********"),
        ("'password' = \"two words\",", "'password' = ********,"),
        ("tls_key: [a]", "tls_key: [a]"),
        ("smtp_tls_key_file = /etc/key.pem", "smtp_tls_key_file = /etc/key.pem"),
        ("alice:$y$j9T$abcdefgh$0123456789:1", "alice:********:1"),
        ("password:\nnext: line", "password:\nnext: line"),
    ],
)
def test_secrets_in_differences_are_masked(events: Any, text: str, masked: str) -> None:
    assert events.mask(text) == masked


def test_in_a_sentence_a_colon_gives_nothing_away(events: Any) -> None:
    told = "mail.yml:3: mail_accounts[1].password: is too short. Write password=longer"
    assert events.mask(told, sentence=True) == (
        "mail.yml:3: mail_accounts[1].password: is too short. Write password=********"
    )
