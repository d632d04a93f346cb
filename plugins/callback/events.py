# Copyright: The Valija developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Callback that writes what a play does as JSON lines; `valija` reads them for its progress and its verdict."""

from __future__ import annotations

DOCUMENTATION = """
name: events
type: notification
short_description: Writes what a play does as JSON lines
version_added: 0.1.0
author: The Valija developers
description:
  - Appends one JSON object a line to a file. Every object has C(event) and C(at) (seconds since the epoch).
  - C(play) has C(name), C(hosts) and C(tasks) (how many tasks the play holds with these tags, handlers not counted).
  - C(no_hosts) says that a play matched no host of the inventory.
  - C(task) has C(name), C(role), C(action), C(handler) and C(where) (file and line of the playbook).
  - C(start) has C(host) and C(task), and is written when a host begins a task.
  - >-
    C(result) has C(host), C(task), C(status) (C(ok), C(failed), C(skipped) or C(unreachable)), C(changed), C(ignored),
    C(msg), C(refused) (the result's C(valija_refused): C(inventory), C(host) or C(take_over)) and the lists C(paths),
    C(restarted), C(reloaded) and C(started).
  - >-
    C(diff) has C(host), C(task) and C(diff), a list of objects with C(before), C(after), C(before_header),
    C(after_header) or C(prepared); written when Ansible runs with C(--diff).
  - >-
    C(call) is one remote call: one command, upload or download that Ansible's connection plugin was asked for, seen at
    the connection itself, whatever its outcome. With pipelining a module is exactly one; without it, a module is
    several. Has C(host), C(task), C(kind) (C(exec_command), C(put_file) or C(fetch_file)) and C(transport) (C(ssh),
    C(local) ...).
  - C(stats) has C(hosts), the counts of Ansible's recap for each host, and ends a run.
  - Passwords, keys and password hashes in messages and diffs are masked, beside what Ansible's C(no_log) hides.
  - As C(ANSIBLE_STDOUT_CALLBACK) it keeps the standard output free for what plugins display on purpose.
options:
  file:
    description: The file to append to. The callback does nothing when it is not set.
    type: path
    env: [{name: VALIJA_EVENTS}]
    ini: [{section: callback_valija_events, key: file}]
requirements:
  - enable it in C(callbacks_enabled), or name it as the stdout callback
"""

import functools
import json
import os
import re
import time
import typing as t

from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import connection_loader

# What our modules say of their work beside `changed`.
LISTS = ("paths", "restarted", "reloaded", "started")

CONNECTION_CALLS = ("exec_command", "put_file", "fetch_file")

# crypt(5) hashes, wherever they stand.
_HASH = re.compile(r"\$(?:y|gy|7|6|5|2[aby]|1)\$[./A-Za-z0-9$=,]{8,}")
# A value with a secret's name before it: `x_password: value`, `"token" = 'value'`. Not a list, a mapping or nothing.
_NAMED = re.compile(
    r"""((?:password|passwd|secret|token|_key)["']?[ \t]*[:=][ \t]*)(?![\[{]|[ \t]*$)("[^"]*"|'[^']*'|\S+)""",
    re.IGNORECASE | re.MULTILINE,
)
_ASSIGNED = re.compile(_NAMED.pattern.replace("[:=]", "="), _NAMED.flags)


def mask(text: str, *, sentence: bool = False) -> str:
    """The text without passwords, keys and hashes: a second net under `no_log`.

    In a sentence (`mail.yml:3: smtp_password: is too short`) a colon gives no value away, so that only `=` counts.
    """
    named = _ASSIGNED if sentence else _NAMED
    return named.sub(r"\1********", _HASH.sub("********", text))


class CallbackModule(CallbackBase):
    """Writes the events; the shape of each is in DOCUMENTATION."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "valija.mailserver.events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._descriptor = -1

    def set_options(self, task_keys: t.Any = None, var_options: t.Any = None, direct: t.Any = None) -> None:
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        path = self.get_option("file")
        if not path:
            self.disabled = True
            return
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        count_connection_calls(self._write)

    def _write(self, event: str, **fields: t.Any) -> None:
        """Append one line in one write, so that lines of forked workers never mix (write(2) with O_APPEND)."""
        line = json.dumps({"event": event, "at": round(time.time(), 3), **fields}, ensure_ascii=False, default=str)
        os.write(self._descriptor, line.encode("utf-8", "replace") + b"\n")

    # -- the play ------------------------------------------------------------------------------------------------------

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        hosts: list[str] = []
        if (variables := play.get_variable_manager()) is not None and variables._inventory is not None:
            hosts = [host.get_name() for host in variables._inventory.get_hosts(play.hosts, order=play.order)]
        self._write("play", name=play.get_name(), hosts=hosts, tasks=count_tasks(play))

    def v2_playbook_on_no_hosts_matched(self) -> None:
        self._write("no_hosts")

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        self._task(task, handler=False)

    def v2_playbook_on_handler_task_start(self, task: t.Any) -> None:
        self._task(task, handler=True)

    def _task(self, task: t.Any, handler: bool) -> None:
        role = task._role.get_name() if task._role else None
        name, where = task.name or task.action, task.get_path()
        self._write("task", name=name, role=role, action=task.action, handler=handler, where=where)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        self._write("stats", hosts={host: stats.summarize(host) for host in sorted(stats.processed)})

    # -- the hosts -----------------------------------------------------------------------------------------------------

    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        self._write("start", host=host.get_name(), task=task.name or task.action)

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._result(result, "ok")

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._result(result, "failed", ignored=bool(ignore_errors))

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        self._result(result, "skipped")

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._result(result, "unreachable")

    def v2_on_file_diff(self, result: t.Any) -> None:
        values = result.result
        parts = [item for item in values.get("results", []) if isinstance(item, dict)] or [values]
        diffs = [one for part in parts if part.get("changed") for one in as_list(part.get("diff"))]
        if diffs:
            masked = [
                {key: mask(text) if isinstance(text, str) else text for key, text in one.items()} for one in diffs
            ]
            self._write("diff", host=result.host.get_name(), task=result.task_name, diff=masked)

    def _result(self, result: t.Any, status: str, ignored: bool = False) -> None:
        values = result.result
        lists = {name: values[name] for name in LISTS if isinstance(values.get(name), list)}
        self._write(
            "result",
            host=result.host.get_name(),
            task=result.task_name,
            status=status,
            changed=bool(values.get("changed")),
            ignored=ignored,
            msg=mask(message(values), sentence=True) if status in ("failed", "unreachable") else "",
            refused=values.get("valija_refused"),
            **lists,
        )


def message(values: t.Mapping[str, t.Any]) -> str:
    """What a failed result says: the messages of its failed items, else its own, else the last words of its program."""
    items = [item for item in values.get("results", []) if isinstance(item, dict) and item.get("failed")]
    if items:
        return "\n".join(message(item) for item in items)
    words = str(values.get("msg") or "").strip()
    details = [str(values.get(key) or "").strip() for key in ("stderr", "module_stderr", "module_stdout")]
    if not words or words in ("non-zero return code", "MODULE FAILURE\nSee stdout/stderr for the exact error"):
        words = "\n".join(part for part in [words, *details] if part)
    return words


def as_list(diff: t.Any) -> list[dict[str, t.Any]]:
    """The parts of a result's diff, which is one object or a list of them."""
    return [one for one in (diff if isinstance(diff, list) else [diff]) if isinstance(one, dict) and one]


def count_tasks(play: t.Any) -> int:
    """How many tasks the play will go through with its tags, for a progress bar; 0 when it cannot be known.

    A role that several others depend on is run once, so that a task counts once. Ansible may still validate its
    arguments more often: the number is for a bar, not for a bill.
    """
    try:
        return len({task for block in play.compile() for task in _tasks(block, play)})
    except Exception:  # a bar without a length is better than no run
        return 0


def _tasks(item: t.Any, play: t.Any) -> t.Iterator[t.Hashable]:
    if hasattr(item, "block"):
        for part in (*item.block, *item.always):
            yield from _tasks(part, play)
    elif item.action not in ("meta", "ansible.builtin.meta") and item.evaluate_tags(play.only_tags, play.skip_tags, {}):
        yield (item._role.get_name(), item.name, item.get_path()) if item._role else item._uuid


def count_connection_calls(write: t.Callable[..., None]) -> None:
    """Have every connection made from now on report its calls; workers are forked later and inherit it."""
    original = connection_loader.get_with_context

    @functools.wraps(original)
    def get_with_context(*args: t.Any, **kwargs: t.Any) -> t.Any:
        result = original(*args, **kwargs)
        if result.object is not None and not kwargs.get("class_only"):
            for kind in CONNECTION_CALLS:
                _report_calls(result.object, kind, write)
        return result

    connection_loader.get_with_context = get_with_context


def _report_calls(connection: t.Any, kind: str, write: t.Callable[..., None]) -> None:
    method = getattr(connection, kind)

    @functools.wraps(method)
    def reported(*args: t.Any, **kwargs: t.Any) -> t.Any:
        host, task = _where(connection)
        write("call", host=host, task=task, kind=kind, transport=connection.transport)
        return method(*args, **kwargs)

    setattr(connection, kind, reported)


def _where(connection: t.Any) -> tuple[str, str]:
    """The host and the task that the worker process works for."""
    from ansible.executor.process import worker

    current = worker.current_worker
    if current is None:
        return str(connection._play_context.remote_addr), ""
    return current._host.get_name(), current._task.get_name()
