"""Debian packages: what is installed, what is missing, and one transaction that installs it.

The state is read from dpkg's own status file (deb-control(5), dpkg(1)); no Python binding is needed on the host.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils.command import Done, run

STATUS = Path("/var/lib/dpkg/status")
POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_MARK = "Written by Valija for the time of a package transaction"

APT_GET = (
    "apt-get",
    "--yes",
    "--quiet",
    "-oDPkg::Lock::Timeout=300",
    "-oDpkg::Options::=--force-confold",
    "-oDpkg::Use-Pty=0",
    "-oAcquire::Retries=3",
    "-oAPT::Color=0",
)
INSTALL = (*APT_GET, "--no-install-recommends", "--no-remove", "--fix-broken", "install")
# needrestart (Ubuntu) and apt-listchanges would ask or restart services of their own accord.
QUIET = {"DEBIAN_FRONTEND": "noninteractive", "APT_LISTCHANGES_FRONTEND": "none", "NEEDRESTART_SUSPEND": "1"}


class PackageError(Exception):
    """apt or dpkg failed; the text ends with its own last words."""


@dataclass(frozen=True)
class Installed:
    """The installed packages with their versions, and those that a killed transaction left unfinished."""

    versions: dict[str, str]
    unfinished: tuple[str, ...]


def parse_status(text: str) -> Installed:
    """Read dpkg's status file."""
    versions: dict[str, str] = {}
    unfinished: list[str] = []
    for stanza in text.split("\n\n"):
        found = dict(
            line.split(": ", 1)
            for line in stanza.splitlines()
            if line.startswith(("Package: ", "Status: ", "Version: "))
        )
        state = found.get("Status", "").split()[-1:]
        if state == ["installed"]:
            versions[found["Package"]] = found.get("Version", "")
        elif state and state[0] in (
            "unpacked",
            "half-configured",
            "half-installed",
            "triggers-awaited",
            "triggers-pending",
        ):
            unfinished.append(found["Package"])
    return Installed(versions, tuple(sorted(unfinished)))


def read_installed(status: Path = STATUS) -> Installed:
    """The packages of this host; none where dpkg is not at home."""
    try:
        return parse_status(status.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return Installed({}, ())


def missing(wanted: Iterable[str], installed: Mapping[str, str]) -> list[str]:
    """The wanted packages that are not installed, sorted, each once."""
    return sorted({name for name in wanted if name not in installed})


def debconf_lines(answers: Iterable[Mapping[str, Any]]) -> str:
    """Lines for debconf-set-selections(1): owner, question, type, value. The owner is the question's first part."""
    return "".join(
        f"{owner} {answer['question']} {answer['type']} {answer['value']}\n"
        for answer in answers
        for owner in [answer.get("package") or str(answer["question"]).split("/")[0]]
    )


def policy_script(running: Sequence[str]) -> str:
    """A policy-rc.d (invoke-rc.d(8)) under which only what was running before may start: exit code 101 forbids.

    Without it a freshly installed daemon would serve with its distribution's configuration until ours is written.
    """
    names = " ".join(sorted(name.removesuffix(".service") for name in running))
    return (
        "#!/bin/sh\n"
        f"# {POLICY_MARK}; the next run removes it if one was killed.\n"
        f'case " {names} " in *" ${{1%.service}} "*) exit 0 ;; esac\n'
        'case "$2" in *start*) exit 101 ;; esac\n'
        "exit 0\n"
    )


def remove_left_over_policy(path: Path = POLICY) -> bool:
    """Remove the policy-rc.d of a run that was killed in its transaction; somebody else's stays."""
    try:
        ours = POLICY_MARK in path.read_text(errors="replace")
    except OSError:
        return False
    if ours:
        path.unlink()
    return ours


@contextlib.contextmanager
def quiet_daemons(path: Path = POLICY) -> Iterator[None]:
    """For this time no daemon is started that was not running; void where the host has a policy-rc.d of its own."""
    remove_left_over_policy(path)
    running = run(["systemctl", "list-units", "--type=service", "--state=active", "--plain", "--no-legend"])
    names = [line.split()[0] for line in running.out.splitlines() if line.strip()]
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755)
    except FileExistsError:
        yield
        return
    with os.fdopen(descriptor, "w") as file:
        file.write(policy_script(names))
        os.fchmod(file.fileno(), 0o755)
    try:
        yield
    finally:
        remove_left_over_policy(path)


def _must(done: Done, doing: str) -> None:
    if done.ok:
        return
    words = done.last_words()
    _, found, removals = done.out.partition("The following packages will be REMOVED:\n")
    if found:
        names = removals.splitlines()[0].strip()
        words += f"\nIt would have to remove {names}. Remove what is not needed yourself, then run this again."
    raise PackageError(f"{doing} failed: {done.argv[0]} said:\n{words}")


def install(names: Sequence[str], answers: Iterable[Mapping[str, Any]]) -> list[str]:
    """Install packages in one transaction: without recommends, removing nothing, keeping changed files, asking nothing.

    Finishes what a killed transaction left. Returns ``name version`` of what is installed now and was not before.
    """
    before = read_installed()
    with quiet_daemons():
        if before.unfinished:
            # It fails where the rest was not even unpacked; apt-get completes that.
            run(["dpkg", "--force-confold", "--configure", "-a"], environment=QUIET)
        lines = debconf_lines(answers)
        if lines:
            _must(run(["debconf-set-selections"], stdin=lines, environment=QUIET), "Answering the packages' questions")
        _must(run([*APT_GET, "update"], environment=QUIET), "Reading the package lists")
        _must(run([*INSTALL, *names], environment=QUIET), f"Installing {' '.join(names) or 'what was interrupted'}")
    after = read_installed()
    if after.unfinished:
        raise PackageError(f"Not installed completely: {' '.join(after.unfinished)}. See `dpkg --audit` on the host.")
    return sorted(f"{name} {version}" for name, version in after.versions.items() if name not in before.versions)
