"""Rules about `mail_accounts` and the rows of `mail_accounts_file` that a specification cannot say."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils.account_rows import NAME, AccountRows
from ansible_collections.valija.mailserver.plugins.module_utils.finding import Finding, Steps, not_text, path_name
from ansible_collections.valija.mailserver.plugins.module_utils.hashing import is_password_hash
from ansible_collections.valija.mailserver.plugins.module_utils.site_names import account_problem

PASSWORD_CHARACTERS = 8


def account_list(values: dict[str, Any]) -> list[tuple[Steps, dict[str, Any]]]:
    """The accounts that have the right form at all, each with its path: those of the list, then those of the file.

    `mail_accounts_file` is looked at where it stands for the file's content.
    """
    accounts, file = values.get("mail_accounts"), values.get(NAME)
    listed: list[tuple[Steps, dict[str, Any]]] = [
        (("mail_accounts", position), account)
        for position, account in enumerate(accounts if isinstance(accounts, list) else [])
        if isinstance(account, dict)
    ]
    return listed + [((NAME, row.line), row.account) for row in (file.rows if isinstance(file, AccountRows) else ())]


def check_accounts(values: dict[str, Any]) -> list[Finding]:
    """Names, secrets and shells of each account, and names that stand twice."""
    findings: list[Finding] = []
    first: dict[str, Steps] = {}
    for path, account in account_list(values):
        findings += _check_name(path, account, first)
        findings += _check_secret(path, account)
        findings += _check_person(path, account)
    return findings


def _check_name(path: Steps, account: dict[str, Any], first: dict[str, Steps]) -> list[Finding]:
    name, account_path = account.get("name"), path
    path = (*path, "name")
    if name is None:
        return []
    if isinstance(name, (int, float)) and not isinstance(name, bool):
        return [Finding(path, name, "is a YAML number, not a name", "Choose a name that begins with a letter.")]
    wrong = not_text(path, name)
    if wrong:
        return [wrong]
    verdict = account_problem(name)
    if verdict:
        return [Finding(path, name, *verdict)]
    if name in first:
        remedy = f"It is {_place(first[name])} already: remove one, or give it another name."
        return [Finding(path, name, "is there twice", remedy)]
    first[name] = account_path
    return []


def _place(path: Steps) -> str:
    """Where an account stands, in words."""
    return f"line {path[1]} of {NAME}" if path[0] == NAME else path_name(path)


def _check_secret(path: Steps, account: dict[str, Any]) -> list[Finding]:
    password, hashed = account.get("password"), account.get("password_hash")
    name = account.get("name")
    if "password" in account and "password_hash" in account:
        return [Finding(path, name, "has both password and password_hash", "Keep one of the two.")]
    if "password" not in account and "password_hash" not in account:
        if account.get("state", "present") != "present":
            return []
        remedy = "Set password (in a vault), or password_hash (valija accounts hash makes one)."
        return [Finding(path, name, "has neither password nor password_hash", remedy)]
    if isinstance(password, str):
        verdict = _password_problem(password, name)
        return [Finding((*path, "password"), None, *verdict)] if verdict else []
    if isinstance(hashed, str) and not is_password_hash(hashed):
        remedy = "Write what valija accounts hash prints: it begins with $y$ or $6$."
        return [Finding((*path, "password_hash"), None, "is not a password hash of crypt(5)", remedy)]
    return []


def _password_problem(password: str, name: object) -> tuple[str, str] | None:
    if not password:
        return "is empty", f"Set a password of {PASSWORD_CHARACTERS} characters or more."
    if len(password) < PASSWORD_CHARACTERS:
        return f"is shorter than {PASSWORD_CHARACTERS} characters", "Set a longer password."
    if password == name:
        return "is the name of the account", "Set a password that nobody guesses."
    if any(ord(character) < 32 or ord(character) == 127 for character in password):
        return "holds a line end or another control character", "Remove it: no mail client can send it."
    if is_password_hash(password):
        return "is a password hash", "Call it password_hash."
    return None


def _check_person(path: Steps, account: dict[str, Any]) -> list[Finding]:
    findings: list[Finding] = []
    full_name, shell = account.get("full_name"), account.get("shell")
    if isinstance(full_name, str) and re.search(r"[:,\x00-\x1f\x7f]", full_name):
        what = "holds a colon, a comma or a line end"
        findings.append(Finding((*path, "full_name"), full_name, what, "Take it away: passwd(5) has no place for it."))
    if isinstance(shell, str) and not re.fullmatch(r"/[^\s:]*[^\s:/]", shell):
        remedy = "Write the whole path, for example /bin/bash."
        findings.append(Finding((*path, "shell"), shell, "is not an absolute path", remedy))
    if account.get("purge") is True and account.get("state", "present") != "absent":
        remedy = "Set state: absent as well, or remove purge."
        findings.append(Finding((*path, "purge"), True, "would delete the mail of an account that stays", remedy))
    return findings
