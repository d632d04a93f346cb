"""An account as a site asks for it: what may be written in `mail_accounts`, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils.hashing import is_password_hash

NOLOGIN = "/usr/sbin/nologin"

# Shells that let nobody in; a home with any other one begins with the files of /etc/skel.
NO_LOGIN_SHELLS = frozenset({NOLOGIN, "/sbin/nologin", "/usr/bin/nologin", "/bin/false", "/usr/bin/false"})

STATES = ("present", "disabled", "absent")

# The keys of one account. `aliases` are the mail transfer agent's business: accepted here, and left alone.
KEYS = ("name", "password", "password_hash", "full_name", "state", "purge", "aliases", "shell")

# Login names that shadow-utils of every supported release accept, and that need no quotes as a local part.
_NAME = re.compile(r"(?=.{1,32}\Z)[a-z](?:\.?[a-z0-9_-])*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

# What crypt(3) takes is 511 bytes; IMAP and SMTP clients send fewer.
PASSWORD_BYTES = 255


@dataclass(frozen=True)
class Refusal:
    """One thing that is wrong, and what to do about it. It never quotes a password."""

    name: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.name}: {self.problem}. {self.remedy}"


@dataclass(frozen=True)
class Account:
    """One wanted account. `password` is clear text, `password_hash` a hash of crypt(5); empty when not given."""

    name: str
    full_name: str = ""
    shell: str = NOLOGIN
    state: str = "present"
    purge: bool = False
    password: str = ""
    password_hash: str = ""

    @property
    def may_log_in(self) -> bool:
        """Whether the login shell lets the user in, not only the mail protocols."""
        return self.shell not in NO_LOGIN_SHELLS


def read_accounts(items: Sequence[Any]) -> tuple[list[Account], list[Refusal]]:
    """The accounts of a list as a site writes it, and everything that is wrong with it. 10,000 take about 0.1 s."""
    accounts: list[Account] = []
    refusals: list[Refusal] = []
    seen: set[str] = set()
    for number, item in enumerate(items, start=1):
        label, wrong = f"account {number}", _faults(item)
        if isinstance(item, Mapping) and isinstance(item.get("name"), str) and item["name"]:
            label = item["name"] if _NAME.fullmatch(item["name"]) else repr(item["name"])
            if item["name"] in seen:
                wrong.append(("it is listed twice", "Keep one of the two."))
            seen.add(item["name"])
        if wrong:
            refusals += [Refusal(label, problem, remedy) for problem, remedy in wrong]
        else:
            accounts.append(Account(**{key: value for key, value in item.items() if key != "aliases" and value != ""}))
    return accounts, refusals


def _faults(item: Any) -> list[tuple[str, str]]:
    """What is wrong with one entry, each with its remedy."""
    if not isinstance(item, Mapping):
        return [("it is no mapping", "Write an account as `- name: alice`, its other keys below.")]
    found = [
        (f"unknown key {str(key)!r}", f"An account has the keys {', '.join(KEYS)}.") for key in item if key not in KEYS
    ]
    for key in ("name", "password", "password_hash", "full_name", "state", "shell"):
        if not isinstance(item.get(key, ""), str):
            kind = type(item[key]).__name__.lstrip("_")
            found.append(
                (f"{key} is no text ({kind})", "Put it in quotes: YAML reads bare numbers, yes and no otherwise.")
            )
    if not isinstance(item.get("purge", False), bool):
        found.append(("purge is neither true nor false", "Write true or false."))
    return found or [*_name_faults(item), *_password_faults(item), *_field_faults(item)]


def _name_faults(item: Mapping[str, Any]) -> list[tuple[str, str]]:
    name = item.get("name", "")
    if not name:
        return [("it has no name", "Give it one: `name: alice`.")]
    if not _NAME.fullmatch(name):
        remedy = "Use up to 32 lower-case letters, digits, '.', '_' and '-', a letter first, dots only between others."
        return [("the name cannot be a login name", remedy)]
    return []


def _password_faults(item: Mapping[str, Any]) -> list[tuple[str, str]]:
    password, made = item.get("password"), item.get("password_hash")
    found = []
    if password is not None and made is not None:
        found.append(("it has both a password and a password_hash", "Keep one of the two."))
    if password == "" or made == "":
        found.append(("the password is empty", "Give one, or leave the key out: then nobody can log in."))
    if password and (_CONTROL.search(password) or len(password.encode("utf-8", "replace")) > PASSWORD_BYTES):
        remedy = f"Mail clients cannot send it; take {PASSWORD_BYTES} bytes at most, without line ends."
        found.append(("the password holds a control character or is too long", remedy))
    if made and not is_password_hash(made):
        remedy = "Make one with `valija accounts hash`; a password in clear text is written as `password`."
        found.append(("password_hash is no hash of crypt(5)", remedy))
    return found


def _field_faults(item: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The fields that land in the account files, whose grammar knows no quotes; and the state."""
    found = []
    full_name, shell, state = item.get("full_name", ""), item.get("shell", NOLOGIN), item.get("state", "present")
    if ":" in full_name or _CONTROL.search(full_name):
        found.append(("full_name holds a colon or a control character", "Leave it out: passwd(5) cannot hold it."))
    if not shell.startswith("/") or ":" in shell or _CONTROL.search(shell) or " " in shell:
        found.append((f"shell {shell!r} is no absolute path", f"Write one, such as /bin/bash or {NOLOGIN}."))
    if state not in STATES:
        found.append((f"state {state!r} is unknown", f"Write one of {', '.join(STATES)}."))
    elif item.get("purge") and state != "absent":
        found.append((f"purge with state {state}", "Mail is deleted only together with `state: absent`."))
    return found
