"""How our action plugins call our modules: as the owner of the host's lock."""

from __future__ import annotations

import functools
import getpass
import multiprocessing
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.valija.mailserver.plugins.plugin_utils.memory import uncollected

COLLECTION = "valija.mailserver"

# How long one call waits for the lock. The first is short, so that a person soon reads why nothing happens.
FIRST_WAIT_SECONDS = 2
WAIT_SECONDS = 20

display = Display()


def _started(pid: int) -> str:
    """When a process began, in clock ticks since boot (proc_pid_stat(5), field 22).

    Empty where there is no /proc, and for a process that ended and waits for its parent.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if state == "Z" else fields[18]
    except (OSError, ValueError, IndexError):
        return ""


@functools.cache
def process_space() -> str:
    """Names this kernel and process namespace: two processes with equal spaces see each other's process numbers."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _controller() -> int:
    """The number of the ansible-playbook process: the one that forked this worker, or this one where nobody did."""
    parent = multiprocessing.parent_process()
    return parent.pid if parent and parent.pid else os.getpid()


@functools.cache
def lock_owner() -> dict[str, Any]:
    """This controller, for the module parameter ``_lock_owner``: the ansible-playbook process, parent of every worker.

    Its id is derived from the process alone, so that every worker of a run computes the same.
    """
    pid = _controller()
    started = _started(pid)
    return {
        "id": f"{process_space()}/{pid}/{started}",
        "node": socket.gethostname(),
        "space": process_space(),
        "user": _user(),
        "pid": pid,
        "since": _since(started),
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user number without a name
        return str(os.getuid())


def _since(started: str) -> str:
    """When the process began, ISO 8601 in UTC."""
    seconds = time.time()
    if started:
        seconds -= time.clock_gettime(time.CLOCK_BOOTTIME) - int(started) / os.sysconf("SC_CLK_TCK")
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def is_gone(holder: Mapping[str, Any]) -> bool:
    """Whether the holder of a lock was a process of this control node that has ended."""
    if holder.get("space") != process_space():
        return False
    pid = int(holder["pid"])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return str(holder["id"]) != f"{process_space()}/{pid}/{_started(pid)}"


def run_module(action: ActionBase, name: str, args: Mapping[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
    """Call the module ``name`` of this collection on the host, with the lock's owner; one remote call.

    A worker whose controller was killed makes no call any more: the next run may have begun.
    """
    owner = lock_owner()
    if owner["pid"] not in (os.getppid(), os.getpid()):
        raise AnsibleActionFail("This run was killed; its last task ends here.")
    known = task_vars.get("ansible_facts", {}).get("valija") or {}
    with uncollected():  # Ansible parses some sixty files into trees to build a module
        result: dict[str, Any] = action._execute_module(
            module_name=f"{COLLECTION}.{name}",
            module_args={**args, "_lock_owner": {**owner, "continues": known.get("run") == owner["id"]}},
            task_vars=task_vars,
        )
    return result


def run_when_free(
    action: ActionBase, name: str, args: Mapping[str, Any], task_vars: dict[str, Any], *, patience_seconds: int = 900
) -> dict[str, Any]:
    """Call a module that takes the lock, again and again while another controller has it, and say so to the person.

    Such a module has the options ``wait_seconds`` and ``gone``, and answers ``held_by`` when it did not get the lock.
    After ``patience_seconds`` the result is a refusal of the host.
    """
    deadline = time.monotonic() + patience_seconds
    wait, gone = FIRST_WAIT_SECONDS, ""
    while True:
        wait = max(0, min(wait, int(deadline - time.monotonic())))
        answer = run_module(action, name, {**args, "wait_seconds": wait, "gone": gone}, task_vars)
        if "held_by" not in answer:
            return answer
        holder = answer["held_by"] or {}
        if holder and holder["id"] != gone and is_gone(holder):
            gone = str(holder["id"])  # only its last call may still run
        elif time.monotonic() >= deadline:
            msg = f"{answer['msg']}, and was for {patience_seconds} s. Wait for it to end, or end it."
            return {"failed": True, "msg": msg, "valija_refused": "host"}
        elif wait == FIRST_WAIT_SECONDS:
            display.display(f"{task_vars.get('inventory_hostname', '')}: waiting, for {answer['msg']}", color="yellow")
            wait = WAIT_SECONDS
