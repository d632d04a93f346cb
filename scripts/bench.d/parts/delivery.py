"""B8: 5,000 messages into 50 Maildirs, every protection on, beside the packages as they come."""

from __future__ import annotations

import itertools
import re
import shlex
import statistics
import time
from collections import Counter
from typing import Any

from ground import PEERS, Ground, Unfit
from measure import interleaved

from parts.plan import Plan, at_least, at_most, named, report

TITLE = "5,000 messages of 4 kB into 50 Maildirs"
OURS, STOCK = "profile internet", "stock Postfix, home_mailbox alone"
ACCOUNTS, EACH, OCTETS = 50, 100, 4096
# So many addresses share the sessions, one session an account: no more than two of them at once come from one.
SOURCES = 25
WITHIN_SECONDS = 300
SAMPLE = 100

# Addresses of the peer that a program running as this user and up sends from; kept apart by routes of their own.
FIRST_USER = 21_000
CLIENT = "python3 /root/client.py"


def measure(plan: Plan) -> dict[str, Any]:
    servers = plan.chosen({OURS: Server(Ground("wire", plan.release)), STOCK: Server(Ground("stock", plan.release))})
    for name, server in servers.items():
        server.as_ours() if name == OURS else server.as_stock()
    cases = {name: server.deliver for name, server in servers.items()}
    seconds = interleaved(cases, plan.rounds or 3)
    rate = {name: ACCOUNTS * EACH / statistics.median(found) for name, found in seconds.items()}
    late = {name: percentile(servers[name].delays, 99) for name in seconds}
    syncs = {name: servers[name].syncs_of_a_message() for name in seconds}
    lines = []
    if OURS in rate and STOCK in rate:
        lines.append(at_least("delivered in a second, beside stock", rate[OURS] / rate[STOCK], 0.95, " x"))
    if OURS in rate:
        lines.append(at_most("messages lost", servers[OURS].lost, 0))
        lines.append(at_most("messages delivered twice", servers[OURS].doubled, 0))
        lines.append(at_least("fsync calls of a message, of 100 under strace", syncs[OURS], 2))
    notes = [
        f"`smtp-source` on the peer, {ACCOUNTS} sessions at once of {EACH} messages each, one recipient each, from "
        f"{SOURCES} addresses (two sessions an address: what the limits of a client allow); the same for both. A round "
        "ends when the last message is in its Maildir; each is counted by its Message-ID there. Every address has "
        "passed postscreen before.",
        "; ".join(
            f"{name}: {rate[name]:.0f} messages a second, p99 of Postfix's own `delay=` {late[name]:.2f} s, "
            f"{syncs[name]:.2f} fsync a message"
            for name in seconds
        )
        + ". That delay begins when Postfix hears the sender: ours takes messages in faster than it delivers them, and "
        "they wait in its queue; the stock server lets clients wait (`in_flow_delay`, which strangers can make last).",
    ]
    if OURS in servers:
        notes += [servers[OURS].greetings(servers.get(STOCK)), servers[OURS].handshakes()]
    return report(TITLE, seconds, OURS, lines, notes)


class Server:
    """One lab: a host that takes mail, and the peer, from which the messages come."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.rounds = itertools.count(1)
        self.delays: list[float] = []
        self.lost = self.doubled = 0

    @property
    def domain(self) -> str:
        return self.ground.lab.hosts[0].domain

    def as_ours(self) -> None:
        """What `valija apply` makes, no setting changed."""
        self.ground.fresh("packages", peer=True)
        self.ground.set_values("zz_bench", {"mail_accounts": named(ACCOUNTS)})
        self.ground.valija("apply")
        self._prepare_peer()

    def as_stock(self) -> None:
        """The package of the distribution, an Internet site, and a Maildir for each user."""
        self.ground.fresh("bare", peer=True)
        host = self.ground.lab.hosts[0].hostname
        users = " ".join(one["name"] for one in named(ACCOUNTS))
        self.ground.sh(
            "echo postfix postfix/main_mailer_type select Internet Site | debconf-set-selections && "
            f"echo postfix postfix/mailname string {self.domain} | debconf-set-selections && "
            "export DEBIAN_FRONTEND=noninteractive && apt-get update -q && "
            "apt-get install -q -y --no-install-recommends postfix && "
            f"postconf -e home_mailbox=Maildir/ myhostname={host} 'mydestination={self.domain}, localhost' && "
            f"for u in {users}; do useradd -m $u; done && systemctl restart postfix"
        )
        self._prepare_peer()

    def _prepare_peer(self) -> None:
        """Give the peer `smtp-source`, and users whose connections come from one of its addresses each."""
        slot = self.ground.lab.slot
        rules = "".join(
            f"ip rule add uidrange {FIRST_USER + number}-{FIRST_USER + number} lookup {1000 + number}; "
            f"ip route add {slot.subnet4} dev eth0 src {address} table {1000 + number}; "
            for number, address in enumerate(self.ground.strangers[:SOURCES])
        )
        self.ground.on_peer(
            "echo postfix postfix/main_mailer_type select No configuration | debconf-set-selections && "
            "export DEBIAN_FRONTEND=noninteractive && apt-get update -q && "
            "apt-get install -q -y --no-install-recommends postfix openssl >/dev/null && "
            f"mkdir -p /etc/postfix && touch /etc/postfix/main.cf; {rules}"
        )
        self.ground.put_on_peer(PEERS / "client.py", "/root/client.py")
        self.ground.sh("command -v strace >/dev/null || { apt-get update -q && apt-get install -q -y strace; }")
        self._send(1, "pass postscreen")
        self._wait_for(ACCOUNTS)
        self._empty()

    def _send(self, each: int, subject: str) -> None:
        """Every session at once; ends when all of them have."""
        lines = [
            f"setpriv --reuid={FIRST_USER + number % SOURCES} --clear-groups smtp-source -4 -d -s 1 -m {each} "
            f"-l {OCTETS} -M bench.client.test -f bench@remote.test -t {one['name']}@{self.domain} "
            f'-S {shlex.quote(subject)} {self.ground.address}:25 & jobs="$jobs $!"; '
            for number, one in enumerate(named(ACCOUNTS))
        ]
        self.ground.on_peer("jobs=; bad=0; " + "".join(lines) + "for j in $jobs; do wait $j || bad=1; done; exit $bad")

    def deliver(self) -> float:
        """One round: the seconds from the first connection to the last message in its Maildir."""
        subject = f"round {next(self.rounds)}"
        since = self.ground.sh("date +%s.%N").strip()
        begun = time.perf_counter()
        self._send(EACH, subject)
        self._wait_for(ACCOUNTS * EACH)
        seconds = time.perf_counter() - begun
        self._judge(since)
        self._empty()
        return seconds

    def _wait_for(self, count: int) -> None:
        """Until so many files stand in the Maildirs; on the host itself, so that no connection is in the figure."""
        line = (
            f"end=$(($(date +%s) + {WITHIN_SECONDS})); while :; do "
            "n=$(find /home/*/Maildir/new -type f 2>/dev/null | wc -l); "
            f'[ "$n" -ge {count} ] && break; [ $(date +%s) -lt $end ] || break; sleep 0.1; done; echo $n'
        )
        found = int(self.ground.sh(line))
        if found < count:
            raise Unfit(f"{self.ground.name}: {found} of {count} messages have arrived after {WITHIN_SECONDS} s")

    def _judge(self, since: str) -> None:
        """Count what was lost and what came twice, by Message-ID, and read the delays from the log."""
        ids = self.ground.sh("cat /home/*/Maildir/new/* | grep -i '^Message-ID:'").split("\n")
        seen = Counter(line for line in ids if line)
        self.lost += ACCOUNTS * EACH - len(seen)
        self.doubled += sum(seen.values()) - len(seen)
        log = self.ground.sh(f"journalctl --no-pager -q -o cat --since @{since} SYSLOG_FACILITY=2")
        self.delays += [float(one) for one in re.findall(r"relay=local, delay=([0-9.]+)", log)]

    def _empty(self) -> None:
        self.ground.sh("find /home/*/Maildir/new -type f -delete")

    def syncs_of_a_message(self) -> float:
        """fsync and fdatasync calls of Postfix while 100 messages come in, per message.

        Started under strace for that: a running master may not be looked at in a container.
        """
        name = named(1)[0]["name"]
        self.ground.sh(
            "systemctl stop postfix; rm -f /tmp/syncs; "
            "setsid strace -f -q -e trace=fsync,fdatasync -o /tmp/syncs "
            "$(postconf -h daemon_directory)/master -d >/dev/null 2>&1 </dev/null & "
            "for try in $(seq 100); do ss -ltn | grep -q :25 && break; sleep 0.1; done"
        )
        try:
            self.ground.on_peer(
                f"setpriv --reuid={FIRST_USER} --clear-groups smtp-source -4 -d -s 1 -m {SAMPLE} -l {OCTETS} "
                f"-M bench.client.test -f bench@remote.test -t {name}@{self.domain} {self.ground.address}:25"
            )
            self._wait_for(SAMPLE)
        finally:
            self.ground.sh("kill $(head -1 /var/spool/postfix/pid/master.pid); sleep 1; systemctl start postfix")
        calls = self.ground.sh(r"grep -cE 'f(data)?sync\(' /tmp/syncs")
        self._empty()
        return int(calls) / SAMPLE

    def greetings(self, stock: Server | None) -> str:
        """What postscreen costs a good client: from the connection to the 220, its first time and later."""
        fresh = fresh_of(self)
        first = self._greeting(fresh)
        said = [f"A good client waits {first:.2f} s for its first greeting (postscreen's test)"]
        for name, server in (("each later one", self), ("one of the stock server", stock)):
            if server:
                seconds = statistics.median(server._greeting(fresh_of(server)) for _ in range(10))
                said.append(f"{seconds * 1000:.1f} ms for {name}")
        return ", ".join(said) + " (medians of 10)."

    def _greeting(self, source: str) -> float:
        return float(self.ground.on_peer(f"{CLIENT} greeting {self.ground.address} {source}"))

    def handshakes(self) -> str:
        """New TLS sessions in a second, one after another."""
        sources = " ".join(self.ground.strangers)
        found = {
            port: float(self.ground.on_peer(f"{CLIENT} handshakes {self.ground.address} {port} 5 {sources}"))
            for port in (465, 993, 995, 443)
        }
        words = ", ".join(f"{rate:.0f} at {port}" for port, rate in found.items())
        return f"New TLS sessions a second, one after another from one program: {words}."


def fresh_of(server: Server) -> str:
    """An address of the peer from which no message has come."""
    return server.ground.strangers[SOURCES]


def percentile(values: list[float], percent: int) -> float:
    """The value that so many percent of the values do not pass; 0 without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0
