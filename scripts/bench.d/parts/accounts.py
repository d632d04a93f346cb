"""B3: accounts by the thousand, on the host itself."""

from __future__ import annotations

import io
import json
import statistics
import tarfile
from collections.abc import Callable
from typing import Any

from ground import PEERS, ROOT, Ground, Unfit
from measure import exponent, fitted, interleaved, timed

from parts.plan import PASSWORD, Plan, at_least, at_most, named, report

TITLE = "10 to 100,000 accounts"
OURS, AGAIN, HASHING = "the batch module", "the batch module, unchanged", "the batch module, making hashes"
COUNTS = {
    OURS: (10, 100, 1_000, 10_000, 100_000),
    HASHING: (10, 100, 1_000),
    "newusers": (10, 100, 1_000),
    "useradd": (10, 100, 1_000),
    "ansible.builtin.user": (10, 100, 300),
}
FITTED = {"newusers": (10_000,), "useradd": (10_000,), "ansible.builtin.user": (1_000, 10_000)}
FILES = "passwd shadow group gshadow subuid subgid"


def measure(plan: Plan) -> dict[str, Any]:
    host = Crowd(Ground("accounts", plan.release))
    cases = {f"{way}, {count:,}": host.case(way, count) for way, counts in COUNTS.items() for count in counts}
    seconds = interleaved(plan.chosen(cases), plan.rounds or 3)
    seconds |= {f"{AGAIN}, {count:,}": found for count, found in host.again.items()}
    median = {name: statistics.median(found) for name, found in seconds.items()}
    points = {
        way: {count: median[f"{way}, {count:,}"] for count in counts if f"{way}, {count:,}" in median}
        for way, counts in {**COUNTS, AGAIN: COUNTS[OURS]}.items()
    }
    estimates = {
        f"{way}, {count:,}": fitted(points[way], count)
        for way, counts in FITTED.items()
        for count in counts
        if len(points[way]) > 1
    }
    lines = []
    if 10_000 in points[OURS]:
        lines.append(at_least("made in a second, of 10,000", 10_000 / points[OURS][10_000], 2_000))
        lines.append(at_least("checked again in a second, of 10,000", 10_000 / points[AGAIN][10_000], 20_000))
    if len(points[OURS]) > 1:
        for what, way in (("making", OURS), ("unchanged", AGAIN)):
            lines.append(at_most(f"growth exponent, {what}, all counts", exponent(points[way]), 1.1))
            if len(large := {count: value for count, value in points[way].items() if count >= 1_000}) > 1:
                lines.append(at_most(f"growth exponent, {what}, from 1,000 on", exponent(large), 1.1))
    if 300 in points["ansible.builtin.user"] and len(points[OURS]) > 1:
        ours = points[OURS].get(300) or fitted({n: points[OURS][n] for n in sorted(points[OURS])[1:3]}, 300)
        lines.append(
            at_least("ansible.builtin.user at 300 beside ours", points["ansible.builtin.user"][300] / ours, 100, " x")
        )
    notes = [
        "On the host, one process each, but for `ansible.builtin.user`, a play by SSH with a loop. All make "
        "the accounts with a home and a Maildir (the others from `/etc/skel`), checked by counting both. The "
        "hash is given, but for `newusers`, which takes clear passwords alone: beside it stands the module "
        "making hashes. Fitted figures continue the line through the last two in a log-log picture.",
    ]
    growth = {way: found for way, found in points.items() if len(found) > 1}
    return report(TITLE, seconds, f"{OURS}, 10,000", lines, notes, estimates, growth=growth)


class Crowd:
    """A host whose account files are put back before each case."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.again: dict[int, list[float]] = {}
        ground.fresh()
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            inside = "ansible_collections/valija/mailserver/plugins/module_utils"
            for path in sorted((ROOT / "plugins/module_utils").glob("*.py")):
                archive.add(path, f"{inside}/{path.name}")
        ground.sh("mkdir -p /root/bench /root/before && tar -x -C /root/bench", stream.getvalue())
        for name in ("own_accounts.py", "newusers.sh", "useradd.sh"):
            ground.put(PEERS / name, f"/root/bench/{name}")
        ground.sh(
            "sed -i 's/^UID_MAX.*/UID_MAX 200000/' /etc/login.defs; groupadd -r mailusers; "
            "cd /etc/skel; mkdir -p -m 700 Maildir/cur Maildir/new Maildir/tmp; "
            f"cd /etc; cp -a {FILES} /root/before/"
        )

    def case(self, way: str, count: int) -> Callable[[], float]:
        def run() -> float:
            self.ground.sh("cd /root/before && cp -a * /etc/ && find /home -mindepth 1 -delete")
            accounts = named(count + 1)[1:]
            if way == HASHING:
                accounts = [{"name": one["name"], "password": PASSWORD} for one in accounts]
            seconds = self._run(way, count, accounts)
            made = self.ground.sh(
                "grep -c '^user[0-9]' /etc/passwd; find /home -mindepth 3 -maxdepth 3 -path '*/Maildir/new' | wc -l"
            )
            if made.split() != [str(count)] * 2:
                raise Unfit(f"{way} made {made.split()} of {count} accounts and Maildirs")
            return seconds

        return run

    def _run(self, way: str, count: int, accounts: list[dict[str, str]]) -> float:
        if way == "ansible.builtin.user":
            values = json.dumps({"bench_accounts": accounts})
            (self.ground.site / "users.json").write_text(values)
            return timed(lambda: self.ground.playbook(PEERS / "users.yml", "-e", f"@{self.ground.site}/users.json"))
        if way in (OURS, HASHING):
            self.ground.sh("cat >/root/bench/accounts.json", json.dumps(accounts).encode())
            made, again = json.loads(self.ground.sh("python3 /root/bench/own_accounts.py"))
            if way == OURS:
                self.again.setdefault(count, []).append(again)
            return float(made)
        if way == "newusers":
            lines = "".join(
                f"{one['name']}:{PASSWORD}::mailusers::/home/{one['name']}:/usr/sbin/nologin\n" for one in accounts
            )
        else:
            lines = "".join(f"{one['name']} {one['password_hash']}\n" for one in accounts)
        self.ground.sh("cat >/root/bench/list", lines.encode())
        line = f"begun=$(date +%s%N); sh /root/bench/{way}.sh /root/bench/list >&2; echo $(($(date +%s%N) - begun))"
        return int(self.ground.sh(line)) / 1e9
