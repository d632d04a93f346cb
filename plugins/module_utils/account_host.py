"""The one place that touches a host's accounts: looks, decides with `accounts`, and carries the plan out.

The order makes a run that was killed at any point one that the next run completes: an account exists once its line in
passwd does, which is written last; a home is put away before its name is given anew, and after its account is gone.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.valija.mailserver.plugins.module_utils import accounts, maildir, shadow_files
from ansible_collections.valija.mailserver.plugins.module_utils.account import Account, Refusal
from ansible_collections.valija.mailserver.plugins.module_utils.account_plan import Owner, Plan, decide
from ansible_collections.valija.mailserver.plugins.module_utils.accounts import Host, Settings
from ansible_collections.valija.mailserver.plugins.module_utils.cores import shared
from ansible_collections.valija.mailserver.plugins.module_utils.hashing import Question, new_hashes
from ansible_collections.valija.mailserver.plugins.module_utils.sessions import end_sessions

_SECONDS_A_DAY = 86400

# So many homes are looked at in the time that it takes to begin a process.
_HOMES_A_CORE = 2_000

# Stands for a hash in check mode, where nothing is written.
_NOT_MADE = "?"


class Refused(Exception):  # noqa: N818 - a verdict, not a failure
    """The host cannot be brought to what is wanted, and nothing was changed."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__("\n".join(map(str, refusals)))
        self.refusals = list(refusals)


@dataclass
class Outcome:
    """What was done, or in check mode what would be."""

    plan: Plan
    changed: bool = False
    repaired: list[str] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def look(texts: Mapping[str, str], wanted: Iterable[Account], settings: Settings, root: Path = Path("/")) -> Host:
    """The host as it is, with the texts of its account files.

    A `root` other than / is a tree that stands for a host: its users are those of its files.
    """
    files = {name: shadow_files.parse_entries(text) for name, text in texts.items()}
    ranges = _login_defs(root / "etc/login.defs")
    base = root / settings.home.lstrip("/")
    users = pwd.getpwall() if root == Path("/") else []
    groups = grp.getgrall() if root == Path("/") else []
    shells = {account.shell for account in wanted}
    return Host(
        files=files,
        homes=maildir.scan(base),
        former=maildir.scan(base / maildir.FORMER),
        shells=frozenset(shell for shell in shells if os.access(root / shell.lstrip("/"), os.X_OK)),
        uids=range(ranges.get("UID_MIN", 1000), ranges.get("UID_MAX", 60000) + 1),
        system_gids=range(
            ranges.get("SYS_GID_MIN", 101), ranges.get("SYS_GID_MAX", ranges.get("GID_MIN", 1000) - 1) + 1
        ),
        today=int(time.time()) // _SECONDS_A_DAY,
        other_names=frozenset(user.pw_name for user in users) - files["passwd"].keys(),
        other_uids=frozenset(user.pw_uid for user in users),
        other_gids=frozenset(group.gr_gid for group in groups),
    )


def _login_defs(path: Path) -> dict[str, int]:
    """The numbers of login.defs(5)."""
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return {}
    return {key: int(value) for key, value in re.findall(r"^\s*([A-Z_]+)\s+(\d+)\s*$", text, re.MULTILINE)}


def converge(
    wanted: Sequence[Account],
    settings: Settings,
    *,
    scheme: str = "yescrypt",
    cost: int = 0,
    check: bool = False,
    root: Path = Path("/"),
) -> Outcome:
    """Bring the host's accounts to what is wanted; in check mode only say what would be done.

    Looks without locks, and takes them only when the account files have to change; hashes are made before that, so that
    the files are held for a moment however many passwords are new. What others changed meanwhile is looked at again.
    Raises Refused before anything changes, LockError when another program holds the files, OSError when the host fails.
    """
    hashes = _Hashes(scheme, cost, make=not check)
    texts = shadow_files.read_files(root / "etc")
    host = look(texts, wanted, settings, root)
    plan = _decided(host, wanted, settings, hashes)
    outcome = Outcome(plan)
    repairs = _repairs(plan, host, settings, root, outcome.notes)
    outcome.changed, outcome.repaired = bool(plan.changes or repairs), sorted(repairs)
    outcome.repairs = [f"{name}: {', '.join(wrong)}" for name, wrong in repairs.items()]
    if check or not outcome.changed:
        return outcome
    if plan.edits_files:
        with shadow_files.locked(root / "etc"):
            now = shadow_files.read_files(root / "etc")
            if now != texts or _homes_changed(plan, host, settings, root):
                plan = _decided(look(now, wanted, settings, root), wanted, settings, hashes)
            _write(plan, now, settings, root)
        outcome.plan = plan
    end_sessions(plan.end_sessions if root == Path("/") else {})
    _settle_homes(plan, settings, repairs, outcome, root)
    return outcome


class _Hashes:
    """Remembers the answers to password questions, so that the second look, under the locks, has them at hand."""

    def __init__(self, scheme: str, cost: int, *, make: bool) -> None:
        self._scheme, self._cost, self._make = scheme, cost, make
        self._known: dict[tuple[str, Question], str | None] = {}

    def of(self, questions: dict[str, Question]) -> dict[str, str]:
        """The hashes to set, by account. In check mode those of passwords that are surely new are not made."""
        fresh = {name: question for name, question in questions.items() if (name, question) not in self._known}
        if self._make:
            made = new_hashes(fresh, self._scheme, self._cost)
        else:
            made = {name: _NOT_MADE for name, question in fresh.items() if not question.current}
            made |= new_hashes({name: fresh[name] for name in fresh.keys() - made.keys()}, self._scheme, self._cost)
        self._known.update({(name, question): made.get(name) for name, question in fresh.items()})
        answers = {name: self._known[name, question] for name, question in questions.items()}
        return {name: answer for name, answer in answers.items() if answer is not None}


def _decided(host: Host, wanted: Sequence[Account], settings: Settings, hashes: _Hashes) -> Plan:
    if found := accounts.refusals(host, wanted, settings):
        raise Refused(found)
    return decide(host, wanted, settings, hashes.of(accounts.password_questions(host, wanted, settings)))


def _homes_changed(plan: Plan, host: Host, settings: Settings, root: Path) -> bool:
    """Whether the home of an account that comes or goes is another one than when the plan was made."""
    base = root / settings.home.lstrip("/")
    return any(maildir.entry(f"{base}/{name}") != host.homes.get(name) for name in (*plan.created, *plan.retire))


def _repairs(plan: Plan, host: Host, settings: Settings, root: Path, notes: list[str]) -> dict[str, list[str]]:
    """What is wrong with the homes of the accounts that exist, by account; what cannot be mended becomes a note."""
    base, new = str(root / settings.home.lstrip("/")), set(plan.created)

    def look_at(part: Sequence[tuple[str, Owner]]) -> tuple[dict[str, list[str]], list[str]]:
        found, unmendable = {}, []
        for name, owner in part:
            try:
                wrong = maildir.problems(f"{base}/{name}", host.homes.get(name), owner.uid, owner.gid)
            except NotADirectoryError as error:
                unmendable.append(_not_a_folder(name, error))
            else:
                if wrong:
                    found[name] = wrong
        return found, unmendable

    repairs: dict[str, list[str]] = {}
    for found, unmendable in shared(
        look_at, [item for item in plan.homes.items() if item[0] not in new], _HOMES_A_CORE
    ):
        repairs |= found
        notes += unmendable
    return repairs


def _not_a_folder(name: str, error: NotADirectoryError) -> str:
    return f"{name}: {error.filename} is not a folder and was left as it is; mail cannot be delivered there"


def _write(plan: Plan, texts: Mapping[str, str], settings: Settings, root: Path) -> None:
    """Under the locks: put homes without an account away, then replace each file that changes, once."""
    base, etc = root / settings.home.lstrip("/"), root / "etc"
    for name, uid in plan.aside.items():
        maildir.retire(base, name, uid)
    for file in shadow_files.FILES:
        if plan.edits[file]:
            shadow_files.replace_file(etc / file, shadow_files.edit_entries(texts[file], plan.edits[file]))


def _settle_homes(plan: Plan, settings: Settings, repaired: Iterable[str], outcome: Outcome, root: Path) -> None:
    """Put away or delete the homes of accounts that are gone, make the new ones, mend the others."""
    base, skeleton = root / settings.home.lstrip("/"), root / "etc/skel"
    base.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name, uid in plan.retire.items():
        kept = maildir.retire(base, name, uid)
        if name in plan.purge:
            plan.purge[name].append(kept.name)
    for folders in plan.purge.values():
        for folder in folders:
            maildir.purge_former(base, folder)
    for name in (*plan.created, *repaired):
        if name in plan.homes:
            owner = plan.homes[name]
            model = skeleton if owner.with_skeleton and skeleton.is_dir() else None
            try:
                maildir.make(f"{base}/{name}", owner.uid, owner.gid, model)
            except NotADirectoryError as error:
                outcome.notes.append(_not_a_folder(name, error))
