"""B1: from a clean host to a mail server, the packages in the cache."""

from __future__ import annotations

import json
import statistics
from typing import Any

from ground import PEERS, Ground, webmail_archive
from measure import interleaved, timed

from parts.plan import PASSWORD, Plan, at_least, at_most, named, report

TITLE = "the first converge of a clean host"
OURS, PACKAGES, SHELL, TASKS = (
    "valija apply",
    "apt-get, one transaction",
    "the tutorial's shell script",
    "playbook of tasks",
)
INTERNET = "valija apply, profile internet"
ACCOUNTS = 2


def measure(plan: Plan) -> dict[str, Any]:
    ground = Ground("first", plan.release)
    ours = First(ground)
    cases = plan.chosen({OURS: ours, PACKAGES: ours.packages, SHELL: ours.shell, TASKS: ours.tasks})
    seconds = interleaved(cases, plan.rounds or 3)
    if plan.wants(INTERNET):
        seconds[INTERNET] = [ours.internet()]
    median = {name: statistics.median(found) for name, found in seconds.items()}
    lines = []
    if OURS in median and PACKAGES in median:
        lines.append(at_most("valija apply beside apt-get", median[OURS] / median[PACKAGES], 1.25, " x"))
    if OURS in median and SHELL in median:
        lines.append(at_most("valija apply beside the shell script", median[OURS] / median[SHELL], 1.1, " x"))
    if OURS in median and TASKS in median:
        lines.append(at_least("the playbook of tasks beside valija apply", median[TASKS] / median[OURS], 1.3, " x"))
    notes = [
        f"Each round begins with a new host. {ACCOUNTS} accounts; profile tutorial. Before a time counts, the way is "
        "seen to take a message by SMTP and give it out by IMAP and POP3, and to show the webmail's login. apt-get "
        f"installs what `valija apply` installed, and nothing is configured: {' '.join(ours.installed)}.",
        "Profile internet has more in it than the others (TLS, postscreen, a firewall, bans): one run, for itself.",
    ]
    return report(TITLE, seconds, OURS, lines, notes, calls={"first converge": ours.calls})


class First:
    """The ways from a clean host; calling it is ours. The packages are what ours installs in the first round."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.installed: list[str] = []
        self.calls: dict[str, int] = {}

    def __call__(self) -> float:
        self.ground.fresh()
        before = self._manual()
        seconds = self._apply("tutorial")
        self.installed = sorted(self._manual() - before)
        return seconds

    def internet(self) -> float:
        self.ground.fresh()
        return self._apply("internet")

    def _apply(self, profile: str) -> float:
        self.ground.set_values("zz_bench", {"mail_accounts": named(ACCOUNTS), "mail_profile": profile})
        done: list[dict[str, Any]] = []
        seconds = timed(lambda: done.append(self.ground.run("apply")))
        self.calls[profile] = sum(done[0]["remote_calls"].values())
        self.ground.converses("alice", PASSWORD)
        return seconds

    def _manual(self) -> set[str]:
        return set(self.ground.sh("apt-mark showmanual").split())

    def packages(self) -> float:
        if not self.installed:
            self()
        self.ground.fresh()
        names = " ".join(self.installed)
        line = (
            "echo postfix postfix/main_mailer_type select No configuration | debconf-set-selections && "
            "export DEBIAN_FRONTEND=noninteractive && apt-get update -q && "
            f"apt-get install -q -y --no-install-recommends {names}"
        )
        return timed(lambda: self.ground.sh(line))

    def shell(self) -> float:
        self.ground.fresh()
        put_script(self.ground)
        seconds = timed(lambda: run_script(self.ground, ACCOUNTS))
        self.ground.converses("alice", "alice")
        return seconds

    def tasks(self) -> float:
        self.ground.fresh()
        seconds = timed(lambda: run_tasks(self.ground, ACCOUNTS))
        self.ground.converses("alice", PASSWORD)
        return seconds


def put_script(ground: Ground) -> None:
    """Bring the tutorial's script to the host, with the webmail that it unpacks."""
    ground.put(PEERS / "tutorial.sh", "/root/tutorial.sh")
    ground.put(webmail_archive(), "/root/squirrelmail.tar")


def run_script(ground: Ground, accounts: int) -> None:
    """The tutorial's script, once; the password of each account is its name."""
    names = " ".join(one["name"] for one in named(accounts))
    ground.sh(f"sh /root/tutorial.sh {ground.lab.hosts[0].domain} /root/squirrelmail.tar {names}")


def run_tasks(ground: Ground, accounts: int, environment: dict[str, str] | None = None) -> str:
    """The playbook of tasks, once, and what it printed."""
    values = {"bench_accounts": named(accounts), "bench_webmail": str(webmail_archive())}
    return ground.playbook(PEERS / "idiomatic/site.yml", "-e", json.dumps(values), environment=environment)
