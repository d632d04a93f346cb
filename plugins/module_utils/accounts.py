"""A host's accounts: what is there, whose it is, and what of a site's wishes is refused. Touches nothing.

Valija's own accounts are those whose primary group is the group it made and whose uid is a person's (UID_MIN to
UID_MAX). It edits no other. Sources: passwd(5), shadow(5), group(5), gshadow(5), login.defs(5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from ansible_collections.valija.mailserver.plugins.module_utils.account import Account, Refusal
from ansible_collections.valija.mailserver.plugins.module_utils.hashing import Question
from ansible_collections.valija.mailserver.plugins.module_utils.maildir import Entry, former_name
from ansible_collections.valija.mailserver.plugins.module_utils.shadow_files import Entries

# No password opens this account (crypt(5)); `!` before a hash locks it and keeps it.
UNUSABLE = "*"

PASSWD_FIELDS = 7
GROUP_FIELDS = 4
SHADOW_FIELDS = 9

# What systemd gives to services and homes of its own (https://systemd.io/UIDS-GIDS): no person's uid, whatever UID_MAX.
_RESERVED_UIDS = range(60001, 65536)


@dataclass(frozen=True)
class Settings:
    """How the accounts of a site are kept.

    `enforce` names accounts whose password is set in this run, whatever the policy.
    """

    group: str = "valija"
    home: str = "/home"
    password_policy: str = "initial"
    enforce: frozenset[str] = frozenset()
    report_unlisted: bool = True

    def enforces(self, account: Account) -> bool:
        """Whether the password of an account that exists is set again."""
        return self.password_policy == "enforced" or account.name in self.enforce


@dataclass(frozen=True)
class Host:
    """What is there: the entries of the account files, the folder of the homes, and the ranges of login.defs.

    `former` is what lies in `.valija-former`; `today` counts days since 1970; `other_names`, `other_uids` and
    `other_gids` are those of users and groups that the host knows, from elsewhere too (LDAP).
    """

    files: Mapping[str, Entries]
    homes: Mapping[str, Entry] = field(default_factory=dict)
    former: Mapping[str, Entry] = field(default_factory=dict)
    shells: frozenset[str] = frozenset()
    uids: range = range(1000, 60001)
    system_gids: range = range(101, 1000)
    today: int = 0
    other_names: frozenset[str] = frozenset()
    other_uids: frozenset[int] = frozenset()
    other_gids: frozenset[int] = frozenset()

    @cached_property
    def former_homes(self) -> dict[str, list[str]]:
        """The folders of `.valija-former`, by the account that they were the home of."""
        found: dict[str, list[str]] = {}
        for folder in self.former:
            if name := former_name(folder):
                found.setdefault(name, []).append(folder)
        return found

    def group_id(self, name: str) -> int | None:
        """The number of a group; None when it does not exist."""
        entry = self.files["group"].get(name)
        return int(entry[2]) if entry and len(entry) == GROUP_FIELDS and entry[2].isdigit() else None

    def owned(self, name: str, gid: int | None) -> bool:
        """Whether the account of this name is one of Valija's."""
        entry = self.files["passwd"][name]
        if gid is None or len(entry) != PASSWD_FIELDS or entry[3] != str(gid):
            return False
        return entry[2].isdigit() and int(entry[2]) in self.uids

    def current_hash(self, name: str) -> str:
        """The hash of an account without its lock; `*` when no password opens it: it is new, or has never had one."""
        entry = self.files["shadow"].get(name) if name in self.files["passwd"] else None
        bare = entry[1].lstrip("!") if entry and len(entry) == SHADOW_FIELDS else ""
        return UNUSABLE if not bare or bare.startswith(UNUSABLE) else bare

    def free_uids(self) -> Iterator[int]:
        """Uids for new accounts, the one after the highest first, as useradd counts.

        A uid that owns a home without an account is not free: its new owner would own what lies there.
        """
        taken = _numbers(self.files["passwd"], 2) | self.other_uids
        taken |= {entry.uid for entry in (*self.homes.values(), *self.former.values())}
        mine = [uid for uid in taken if uid in self.uids and uid not in _RESERVED_UIDS]
        highest = max(mine, default=self.uids.start - 1)
        for uid in (*range(highest + 1, self.uids.stop), *range(self.uids.start, highest)):
            if uid not in taken and uid not in _RESERVED_UIDS:
                yield uid

    def free_gid(self) -> int:
        """A number for a new system group, the highest free one, as `groupadd -r` takes it."""
        taken = _numbers(self.files["group"], 2) | _numbers(self.files["passwd"], 3) | self.other_gids
        return next(number for number in reversed(self.system_gids) if number not in taken)


def _numbers(entries: Entries, column: int) -> set[int]:
    return {int(entry[column]) for entry in entries.values() if len(entry) > column and entry[column].isdigit()}


def refusals(host: Host, wanted: Sequence[Account], settings: Settings) -> list[Refusal]:
    """Why this host cannot be brought to what is wanted; nothing has been changed."""
    group, gid = settings.group, host.group_id(settings.group)
    if "shadow" not in host.files:
        return [Refusal("/etc/shadow", "it is missing", "Run pwconv; passwords in passwd(5) are not supported.")]
    if group in host.files["group"] and gid not in host.system_gids:
        remedy = "It would make other people's accounts Valija's: set accounts_group to another name."
        return [Refusal(f"group {group}", f"it exists and is no system group (gid {gid})", remedy)]
    found = [refusal for account in wanted for refusal in _refusals_of(host, account, gid, settings)]
    new = sum(account.state != "absent" and account.name not in host.files["passwd"] for account in wanted)
    free = sum(1 for _ in islice(host.free_uids(), new))
    if free < new:
        problem = f"{new} new accounts, but {free} free uids from {host.uids.start} to {host.uids.stop - 1}"
        found.append(Refusal("login.defs", problem, "Raise UID_MAX in /etc/login.defs."))
    return found


def _refusals_of(host: Host, account: Account, gid: int | None, settings: Settings) -> Iterator[Refusal]:
    name, home = account.name, f"{settings.home}/{account.name}"
    entry = host.files["passwd"].get(name)
    if entry is None and name in host.other_names:
        yield Refusal(name, "the host knows this user from another source than /etc/passwd", "Take another name.")
    elif entry is None:
        left = host.homes.get(name)
        if left and account.state != "absent" and not (left.is_folder and left.gid == gid):
            problem = f"{home} is there already, and is not the home of an account that Valija made"
            yield Refusal(name, problem, "Move it away or remove it; its content would pass to the new account.")
    elif len(entry) != PASSWD_FIELDS:
        yield Refusal(name, "its line in /etc/passwd is damaged", "See what pwck says.")
    elif not host.owned(name, gid):
        problem = f"the host has an account of this name that Valija did not make (uid {entry[2]}, gid {entry[3]})"
        remedy = "Take another name."
        if entry[2].isdigit() and int(entry[2]) in host.uids:
            make_group = "" if gid is not None else f"groupadd -r {settings.group} && "
            remedy += f" Or hand the account to Valija: {make_group}usermod -g {settings.group} {name}"
        yield Refusal(name, problem, remedy)
    elif entry[5] != home:
        remedy = f"Set accounts_home to where the homes are, or move this one: usermod -m -d {home} {name}"
        yield Refusal(name, f"its home is {entry[5]!r}, not {home}", remedy)
    if account.state != "absent" and account.shell not in host.shells:
        yield Refusal(name, f"the shell {account.shell} is not on the host", "Install it, or write another one.")


def password_questions(host: Host, wanted: Sequence[Account], settings: Settings) -> dict[str, Question]:
    """The clear passwords that have to be looked at: of new accounts, of those without one, and of those to enforce.

    Under the policy `initial` no password of an existing account is verified, so ten thousand cost nothing.
    """
    questions = {}
    for account in wanted:
        if account.password and account.state != "absent":
            current = host.current_hash(account.name)
            if current == UNUSABLE:
                questions[account.name] = Question(account.password)
            elif settings.enforces(account):
                questions[account.name] = Question(account.password, current)
    return questions
