"""The control node's part of firewall: what it asks for, and that only a new connection confirms."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible_collections.valija.mailserver.plugins.action import firewall as action
from ansible_collections.valija.mailserver.plugins.plugin_utils.declared_listens import declared_listens


class Connection:
    """Counts how often it was made new."""

    def __init__(self, transport: str = "ssh") -> None:
        self.transport = transport
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1


class Task:
    def __init__(self, args: dict[str, Any]) -> None:
        self.args = args
        self.async_val = 0
        self.check_mode = False


class Firewall(action.ActionModule):
    """The action with a host that gives these answers, an exception among them is raised."""

    def __init__(self, answers: list[Any], args: dict[str, Any] | None = None, transport: str = "ssh") -> None:
        self._task = Task(args or {})
        self._connection = Connection(transport)
        self.answers, self.calls = answers, []

    def _listens(self, variables: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"port": 25, "address": "any", "service": "smtp", "protocol": "tcp"}]


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_module(task: Firewall, name: str, args: dict[str, Any], _variables: dict[str, Any]) -> dict[str, Any]:
        task.calls.append((args["step"], args.get("session", ""), task._connection.resets))
        answer = task.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    monkeypatch.setattr(action, "run_module", run_module)
    monkeypatch.setattr(action.ActionBase, "run", lambda *_args, **_options: {})
    clock = iter(range(0, 10000, 5))
    monkeypatch.setattr(action.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(action.time, "sleep", lambda _seconds: None)


LOADED = {"changed": True, "unconfirmed": True, "session": "192.0.2.7 50000 192.0.2.1 22"}


def test_no_change_is_one_call_and_no_new_connection() -> None:
    task = Firewall([{"changed": False}])
    assert task.run(task_vars={}) == {"changed": False}
    assert task.calls == [("settle", "", 0)]


def test_new_rules_are_confirmed_over_a_new_connection() -> None:
    task = Firewall([LOADED, {"changed": True}])
    assert task.run(task_vars={}) == {"changed": True}
    assert task.calls == [("settle", "", 0), ("confirm", LOADED["session"], 1)]


def test_a_connection_that_fails_is_tried_again_anew() -> None:
    task = Firewall([LOADED, AnsibleConnectionFailure("timed out"), {"same_connection": True}, {"changed": True}])
    assert task.run(task_vars={}) == {"changed": True}
    assert [resets for _, _, resets in task.calls] == [0, 1, 2, 3]


def test_what_the_host_says_when_the_former_rules_are_back_is_the_failure() -> None:
    task = Firewall([LOADED, AnsibleConnectionFailure("timed out"), {"failed": True, "msg": "came back"}])
    result = task.run(task_vars={})
    assert result["failed"] and result["msg"] == "came back" and result["changed"]


def test_a_host_that_is_never_reached_again_is_a_failure_after_the_return() -> None:
    task = Firewall([LOADED, *[AnsibleConnectionFailure("No route to host")] * 50], {"return_seconds": 60})
    result = task.run(task_vars={})
    assert result["failed"] and "No route to host" in result["msg"] and "60 s" in result["msg"]
    # Each look at the clock is five seconds: until 90 s have passed.
    assert 10 < len(task.calls) < 25


def test_the_machine_itself_needs_no_confirmation() -> None:
    task = Firewall([{"changed": True}], transport="ansible.builtin.local")
    assert task.run(task_vars={}) == {"changed": True}
    assert task.calls == [("at_once", "", 0)]


@pytest.mark.parametrize("args", [{"tcp_ports": ["http"]}, {"udp_ports": "53"}, {"ssh_ports": [0]}])
def test_ports_that_are_none_are_refused_without_a_call(args: dict[str, Any]) -> None:
    task = Firewall([], args)
    with pytest.raises(AnsibleActionFail):
        task.run(task_vars={})
    assert task.calls == []


def test_what_every_role_of_the_site_declares_is_let_in_and_one_webmail_counts() -> None:
    asked: list[str] = []

    def value(name: str) -> Any:
        asked.append(name)
        return {"mail_webmail": "roundcube"}.get(name, [{"port": 1}])

    declared = declared_listens(value)
    assert {"postfix", "courier", "apache"} <= set(declared)
    assert "__squirrelmail_listens" not in asked
