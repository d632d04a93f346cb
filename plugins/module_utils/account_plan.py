"""The decision: what is there and what is wanted go in, a plan comes out. Touches nothing.

Sources: passwd(5), shadow(5), group(5), gshadow(5); usermod(8) for how an account is locked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.valija.mailserver.plugins.module_utils.account import Account
from ansible_collections.valija.mailserver.plugins.module_utils.accounts import (
    SHADOW_FIELDS,
    UNUSABLE,
    Host,
    Settings,
)
from ansible_collections.valija.mailserver.plugins.module_utils.maildir import FORMER
from ansible_collections.valija.mailserver.plugins.module_utils.shadow_files import FILES

# The first day of the shadow file's calendar: an account that expired then is closed whatever its login method.
_EXPIRED = "1"

Edits = dict[str, dict[str, tuple[str, ...] | None]]


@dataclass(frozen=True)
class Owner:
    """To whom a home belongs."""

    uid: int
    gid: int
    with_skeleton: bool


@dataclass
class Plan:
    """What has to be done. `diff` says it in words, one line a change, without a secret.

    `homes` have to exist, by account. `aside` are homes to put away before the files are written, `retire` those after,
    both with the uid of their owner; of the accounts in `purge`, the folders of `.valija-former` and the home just put
    away are deleted. `end_sessions` are the users, with their uids, whose sessions end.
    """

    edits: Edits = field(default_factory=lambda: {name: {} for name in FILES})
    diff: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    enabled: list[str] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    homes: dict[str, Owner] = field(default_factory=dict)
    aside: dict[str, int] = field(default_factory=dict)
    retire: dict[str, int] = field(default_factory=dict)
    purge: dict[str, list[str]] = field(default_factory=dict)
    end_sessions: dict[str, int] = field(default_factory=dict)

    @property
    def edits_files(self) -> bool:
        return any(self.edits.values())

    @property
    def changes(self) -> bool:
        """Whether anything has to be done, the state of the existing homes left out."""
        return self.edits_files or bool(self.retire or self.purge)


def decide(host: Host, wanted: Sequence[Account], settings: Settings, hashes: Mapping[str, str]) -> Plan:
    """What has to be done. Asks for a host and accounts that `accounts.refusals` finds nothing in.

    `hashes` holds the hashes to set, by account: the answers to `accounts.password_questions`.
    """
    plan = Plan()
    gid = _settle_group(host, settings.group, plan)
    uids = host.free_uids()
    for account in wanted:
        if account.state == "absent":
            _leave(host, account, gid, settings, plan)
        elif account.name not in host.files["passwd"]:
            _enter(host, account, Owner(next(uids), gid, account.may_log_in), settings, hashes, plan)
        else:
            _settle(host, account, settings, hashes, plan)
    _forget_members(host, plan)
    if settings.report_unlisted:
        listed = {account.name for account in wanted}
        plan.unlisted = sorted(name for name in host.files["passwd"] if name not in listed and host.owned(name, gid))
    return plan


def _settle_group(host: Host, group: str, plan: Plan) -> int:
    """The number of Valija's group, which is made when it is missing."""
    gid = host.group_id(group)
    if gid is None:
        gid = host.free_gid()
        plan.edits["group"][group] = (group, "x", str(gid), "")
        plan.diff.append(f"group {group}: new")
    if "gshadow" in host.files and group not in host.files["gshadow"]:
        plan.edits["gshadow"][group] = (group, "!", "", "")
    return gid


def _enter(
    host: Host, account: Account, owner: Owner, settings: Settings, hashes: Mapping[str, str], plan: Plan
) -> None:
    """Make a new account. Its password never expires: a mail client could not renew it."""
    name, home = account.name, f"{settings.home}/{account.name}"
    made = account.password_hash or hashes.get(name, UNUSABLE)
    lock, expiry = _lock(account)
    passwd = (name, "x", str(owner.uid), str(owner.gid), account.full_name, home, account.shell)
    plan.edits["passwd"][name] = passwd
    plan.edits["shadow"][name] = (name, lock + made, str(host.today), "0", "99999", "7", "", expiry, "")
    plan.homes[name] = owner
    plan.created.append(name)
    plan.diff.append(f"{name}: new account" + (", disabled" if lock else ""))
    if not lock and not account.password and not account.password_hash:
        plan.notes.append(f"{name}: no password is given, so nobody can log in")
    if name in host.homes:
        plan.aside[name] = host.homes[name].uid
        plan.diff.append(f"{name}: home and mail of an earlier account put away")
    if name in host.homes or name in host.former_homes:
        kept = f"{settings.home}/{FORMER}"
        plan.notes.append(f"{name}: the new account does not get the mail of an earlier one, which is kept in {kept}")


def _lock(account: Account) -> tuple[str, str]:
    """What stands before the hash, and the day of expiry: the lock keeps the hash, the expiry closes every login."""
    return ("!", _EXPIRED) if account.state == "disabled" else ("", "")


def _settle(host: Host, account: Account, settings: Settings, hashes: Mapping[str, str], plan: Plan) -> None:
    """Bring an account that exists to what is wanted."""
    name = account.name
    entry, old = host.files["passwd"][name], host.files["shadow"].get(name)
    uid, gid = int(entry[2]), int(entry[3])
    plan.homes[name] = Owner(uid, gid, account.may_log_in)
    passwd = (name, "x", entry[2], entry[3], account.full_name, entry[5], account.shell)
    shadow = _settled_shadow(host, account, settings, hashes)
    if passwd == entry and shadow == old:
        return
    what = [label for label, column in (("full name", 4), ("shell", 6)) if passwd[column] != entry[column]]
    if passwd != entry:
        plan.edits["passwd"][name] = passwd
    if shadow != old:
        plan.edits["shadow"][name] = shadow
    if shadow[1].lstrip("!") not in (host.current_hash(name), UNUSABLE):
        what.append("password")
        plan.end_sessions[name] = uid
    if (
        old is not None
        and len(old) == SHADOW_FIELDS
        and (old[1][:1] == "!", old[7]) != (shadow[1][:1] == "!", shadow[7])
    ):
        state = "disabled" if account.state == "disabled" else "enabled"
        what.append(state)
        (plan.disabled if state == "disabled" else plan.enabled).append(name)
        if state == "disabled":
            plan.end_sessions[name] = uid
    plan.updated.append(name)
    plan.diff.append(f"{name}: {', '.join(what) or 'damaged entry'}")


def _settled_shadow(host: Host, account: Account, settings: Settings, hashes: Mapping[str, str]) -> tuple[str, ...]:
    """The entry in shadow(5) that an existing account has to have. It never lets anybody in without a password."""
    name, today = account.name, str(host.today)
    old = host.files["shadow"].get(name)
    if old is None or len(old) != SHADOW_FIELDS:
        old = (name, UNUSABLE, today, "0", "99999", "7", "", "", "")
    current = host.current_hash(name)
    made = hashes.get(name, current)
    if account.password_hash and (current == UNUSABLE or settings.enforces(account)):
        made = account.password_hash
    lock, expiry = _lock(account)
    return (name, lock + made, old[2] if made == current else today, *old[3:7], expiry, old[8])


def _leave(host: Host, account: Account, gid: int, settings: Settings, plan: Plan) -> None:
    """Take an account off the host; its home is put away, or deleted with all that earlier ones left.

    A home of Valija's without an account is what a run that was killed left behind: it goes the same way.
    """
    name, home = account.name, host.homes.get(account.name)
    entry = host.files["passwd"].get(name)
    if entry is not None:
        plan.edits["passwd"][name] = None
        plan.end_sessions[name] = int(entry[2])
        plan.removed.append(name)
        plan.diff.append(f"{name}: account removed")
    if name in host.files["shadow"]:
        plan.edits["shadow"][name] = None
    if home is not None and home.is_folder and (entry is not None or home.gid == gid):
        plan.retire[name] = int(entry[2]) if entry else home.uid
        if not account.purge:
            plan.diff.append(f"{name}: home and mail put away")
            plan.notes.append(f"{name}: its home and mail are kept in {settings.home}/{FORMER}")
    if account.purge and (name in plan.retire or name in host.former_homes):
        plan.purge[name] = host.former_homes.get(name, [])
        plan.diff.append(f"{name}: home and mail deleted")


def _forget_members(host: Host, plan: Plan) -> None:
    """Take removed accounts out of the groups that they were members of, or grpck would miss them."""
    gone = set(plan.removed)
    for file, columns in (("group", (3,)), ("gshadow", (2, 3))) if gone else ():
        for name, entry in host.files.get(file, {}).items():
            fields = list(entry)
            for column in columns:
                if len(fields) > column:
                    fields[column] = ",".join(_others(fields[column], gone))
            if tuple(fields) != entry:
                plan.edits[file][name] = tuple(fields)


def _others(members: str, gone: set[str]) -> Iterator[str]:
    return (member for member in members.split(",") if member not in gone)
