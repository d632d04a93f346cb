"""Lab hosts for tests that do to a host what nobody's own server should suffer.

Every test module has a lab of its own, made by `valija lab up` and removed at the end. A module says which hosts it
wants: `RELEASES = ["debian-13"]` and `IMAGE = "bare"` or "packages" (bare, with the packages of the roles in).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from valija.lab import Lab
from valija.probes import wait

BIN = Path(sys.executable).parent

# What the budgets of remote calls count: tls, postfix, courier, apache, squirrelmail, fail2ban, firewall.
SERVICE_ROLES = 7

# What tells one state of a host from another: everything Valija manages, contents, owners and modes, not times.
MANAGED = (
    "/etc/postfix /etc/courier /etc/apache2 /etc/php /etc/squirrelmail /etc/aliases /etc/mailname /etc/passwd "
    "/etc/group /etc/systemd/system /etc/valija /etc/fail2ban /etc/pam.d /etc/policyd-rate-limit.yaml "
    "/usr/local/share/squirrelmail /usr/local/lib/valija /usr/local/sbin /var/www /home /var/local"
)


@dataclass(frozen=True)
class Run:
    """A finished command: exit code and what it printed, both streams together."""

    code: int
    output: str


@dataclass(frozen=True)
class LabHost:
    """One mail host of a lab, reached by SSH as the playbooks reach it."""

    name: str
    site: Path

    def sh(self, line: str, *, check: bool = True, stdin: bytes | None = None) -> str:
        """Run a shell line as root on the host, with this on its standard input, and return what it printed."""
        variables = yaml.safe_load((self.site / "hosts.yml").read_text())
        host: dict[str, Any] = find_host(variables, self.name) | load_yaml(self.site / "host_vars" / f"{self.name}.yml")
        ssh = ["ssh", "-i", host["ansible_ssh_private_key_file"], "-o", "BatchMode=yes"]
        ssh += str(host.get("ansible_ssh_common_args", "")).split()
        run = subprocess.run(
            [*ssh, f"{host.get('ansible_user', 'root')}@{host['ansible_host']}", line],
            capture_output=True,
            input=stdin,
            check=False,
        )
        output, errors = run.stdout.decode("utf-8", "replace"), run.stderr.decode("utf-8", "replace")
        assert not check or run.returncode == 0, f"{line}\n{output}{errors}"
        return output.strip()

    def managed_state(self) -> str:
        """One line per managed file: kind, owner, group, mode, digest or link target, path. What each lab makes anew is
        left out: /etc/shadow with its salts, the keys and certificates, the addresses that are never banned."""
        return self.sh(
            f"find {MANAGED} -xdev 2>/dev/null | grep -vE '/(sess_|.*\\.(before-valija|lmdb|pem|key)$)' | sort | "
            "while read -r f; do "
            # Where the link of a unit that is on leads, to the package's file or to ours, systemd does not ask.
            'case $f in *.wants/*) echo "on $f"; continue; esac; '
            'if [ -L "$f" ]; then echo "l $(readlink "$f") $f"; '
            'elif [ -d "$f" ]; then echo "d $(stat -c "%U %G %a" "$f") $f"; '
            'elif [ -f "$f" ]; then echo "f $(stat -c "%U %G %a" "$f") '
            '$(sed -E "/^(ignoreip|never)/d" "$f" | sha256sum | cut -c1-64) $f"; fi; done'
        )

    def mark(self) -> None:
        """Remember this moment, for `touched`."""
        self.sh("touch /run/valija-test-mark")

    def touched(self) -> list[str]:
        """What was written since `mark`, below the folders that hold configuration, programs of ours and mail."""
        folders = "$(ls -d /etc /var/www /home /usr/local /var/local /var/lib/valija 2>/dev/null)"
        return self.sh(f"find {folders} -xdev -cnewer /run/valija-test-mark | sort").splitlines()

    def starts(self) -> dict[str, str]:
        """When each daemon was started, by unit; a restart changes it."""
        units = (
            "postfix postfix@- courier-authdaemon courier-imap courier-pop courier-imap-ssl courier-pop-ssl "
            "apache2 php8.2-fpm php8.4-fpm fail2ban policyd-rate-limit"
        )
        times = "-p ExecMainStartTimestampMonotonic,ActiveEnterTimestampMonotonic --value"
        answer = self.sh(f"for u in {units}; do echo $u $(systemctl show {times} $u); done")
        return dict(line.split(maxsplit=1) for line in answer.splitlines() if " " in line)


@dataclass(frozen=True)
class LabSite:
    """A running lab and its site."""

    name: str
    path: Path
    hosts: tuple[LabHost, ...]

    @property
    def host(self) -> LabHost:
        """The only host of a lab with one host."""
        (host,) = self.hosts
        return host

    def valija(self, verb: str, *arguments: str, environment: dict[str, str] | None = None) -> Run:
        """Run `valija VERB -i SITE ARGUMENTS` and wait for it."""
        return valija(verb, "-i", str(self.path), *arguments, environment=environment)


def load_yaml(path: Path) -> dict[str, Any]:
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


def find_host(tree: Any, name: str) -> dict[str, Any]:
    """The variables of a host in a YAML inventory, wherever its group is."""
    if isinstance(tree, dict):
        if isinstance(tree.get("hosts"), dict) and name in tree["hosts"]:
            return tree["hosts"][name] or {}
        for branch in tree.values():
            found = find_host(branch, name)
            if found:
                return found
    return {}


def valija(*arguments: str, environment: dict[str, str] | None = None, timeout: float = 900) -> Run:
    """Run the command `valija` as a user would, without a terminal."""
    process = subprocess.Popen(
        [BIN / "valija", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=timeout)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    return Run(process.returncode, output)


def summary_of(run: Run) -> dict[str, Any]:
    """The JSON object that a verb prints with --json, after the progress."""
    start = run.output.index("\n{\n" if not run.output.startswith("{") else "{")
    summary: dict[str, Any] = json.JSONDecoder().raw_decode(run.output[start:].lstrip())[0]
    return summary


def up(name: str, releases: list[str], image: str) -> LabSite:
    """Bring a lab up as a user would, and describe it."""
    chosen = [word for release in releases for word in ("--release", release)]
    command = ("lab", "up", name, "--image", image, *chosen)
    run = valija(*command)
    if "networks of the lab are in use" in run.output:
        run = wait.until(
            lambda: found if (found := valija(*command)).code == 0 else None, within=600, what="a free lab"
        )
    assert run.code == 0, run.output
    path = Lab.load(name).site_dir
    return LabSite(name, path, tuple(LabHost(release, path) for release in releases))


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[LabSite]:
    """The lab of a test module."""
    name = "test-" + request.module.__name__.split(".")[-1].removeprefix("test_").replace("_", "-")
    releases = getattr(request.module, "RELEASES", ["debian-13"])
    try:
        yield up(name, releases, getattr(request.module, "IMAGE", "packages"))
    finally:
        valija("lab", "down", name)


@pytest.fixture(scope="module")
def converged(lab: LabSite) -> LabSite:
    """The lab's hosts after a first `valija apply`."""
    run = lab.valija("apply")
    assert run.code == 0, run.output
    return lab
