"""B2: a run that changes nothing."""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import Any

from ground import PEERS, ROOT, Ground, Unfit
from measure import interleaved, timed

from parts.first import put_script, run_script, run_tasks
from parts.plan import PASSWORD, Plan, at_least, at_most, named, report, table

TITLE = "a run that changes nothing"
TEN, MANY = "valija apply, 10 accounts", "valija apply, 10,000 accounts"
INTERNET = "valija apply, 10 accounts, profile internet"
SHELL, TASKS, MITOGEN = "the tutorial's shell script again", "playbook of tasks", "playbook of tasks, Mitogen"
ACCOUNTS = 10


def measure(plan: Plan) -> dict[str, Any]:
    notes = [
        "Each way has a host of its own, converged before; ours and the playbook must say that nothing had to change. "
        "Profile tutorial, which is what the script and the playbook build. Profile internet has more services: its "
        "rounds come after the others'.",
    ]
    cases = {}
    calls: dict[str, int] = {}
    if plan.wants(TEN):
        ten = Ground("ten", plan.release)
        ten.fresh("packages")
        ten.set_values("zz_bench", {"mail_accounts": named(ACCOUNTS), "mail_profile": "tutorial"})
        cases[TEN] = _ours(ten, calls, "tutorial")
    if plan.wants(MANY):
        many = Ground("many", plan.release)
        many.fresh("packages")
        (many.site / "accounts.csv").write_text(table(10_000))
        values = {"mail_accounts": named(1), "mail_accounts_file": "accounts.csv", "mail_profile": "tutorial"}
        many.set_values("zz_bench", values)
        cases[MANY] = _ours(many, calls, "tutorial")
    if plan.wants(SHELL):
        cases[SHELL] = _shell(plan.release)
    if plan.wants(TASKS) or plan.wants(MITOGEN):
        tasks = Ground("tasks", plan.release)
        tasks.fresh()
        run_tasks(tasks, ACCOUNTS)
        tasks.converses("alice", PASSWORD)
        cases |= plan.chosen({TASKS: _tasks(tasks)})
    if plan.wants(MITOGEN):
        environment, why = _mitogen(tasks)
        if environment:
            cases[MITOGEN] = _tasks(tasks, environment)
        else:
            notes.append(f"Mitogen was not measured: {why}")
    seconds = interleaved(cases, plan.rounds or 5)
    if plan.wants(INTERNET):
        internet = Ground("ten", plan.release)
        internet.fresh("packages")
        internet.set_values("zz_bench", {"mail_accounts": named(ACCOUNTS), "mail_profile": "internet"})
        seconds |= interleaved({INTERNET: _ours(internet, calls, "internet")}, plan.rounds or 5)
    return _report(seconds, notes, {"a run that changes nothing": calls})


def _ours(ground: Ground, calls: dict[str, int], profile: str) -> Any:
    ground.valija("apply")
    ground.converses("alice", PASSWORD)

    def run() -> None:
        done = ground.run("apply")
        if done["changed"]:
            raise Unfit(f"{ground.name}: a second run changed something")
        calls[profile] = sum(done["remote_calls"].values())

    return lambda: timed(run)


def _tasks(ground: Ground, environment: dict[str, str] | None = None) -> Any:
    def run() -> None:
        if "changed=0 " not in run_tasks(ground, ACCOUNTS, environment):
            raise Unfit(f"{ground.name}: the playbook of tasks changed something in its second run")

    return lambda: timed(run)


def _shell(release: str) -> Any:
    ground = Ground("shell", release)
    ground.fresh()
    put_script(ground)
    run_script(ground, ACCOUNTS)
    ground.converses("alice", "alice")
    return lambda: timed(lambda: run_script(ground, ACCOUNTS))


def _mitogen(ground: Ground) -> tuple[dict[str, str], str]:
    """Settings with which Ansible runs by Mitogen, or why it does not. It goes into a folder of its own."""
    folder = ROOT / "build" / "mitogen"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--upgrade",
        "--target",
        str(folder),
        "mitogen",
    ]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return {}, "pip does not get it."
    environment = {
        "PYTHONPATH": str(folder),
        "ANSIBLE_STRATEGY_PLUGINS": str(folder / "ansible_mitogen/plugins/strategy"),
        "ANSIBLE_STRATEGY": "mitogen_linear",
    }
    try:
        ground.playbook(PEERS / "one_call.yml", environment=environment, seconds=60)
        run_tasks(ground, ACCOUNTS, environment)
    except Unfit as reason:
        return {}, f"a playbook fails or hangs with it ({str(reason).splitlines()[-1][:160]})"
    return environment, ""


def _report(seconds: dict[str, list[float]], notes: list[str], calls: dict[str, dict[str, int]]) -> dict[str, Any]:
    median = {name: statistics.median(found) for name, found in seconds.items()}
    lines = [at_most(name, median[name], limit, " s") for name, limit in ((TEN, 6), (MANY, 8)) if name in median]
    if TEN in median and TASKS in median:
        lines.append(at_least("the playbook of tasks beside valija apply", median[TASKS] / median[TEN], 5, " x"))
    return report(TITLE, seconds, TEN, lines, notes, calls=calls)
