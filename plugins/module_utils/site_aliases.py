"""Where aliases lead: rules about `mail_aliases` and its file, the accounts' aliases and `mail_postmaster` together."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils.alias_rows import NAME, AliasRows
from ansible_collections.valija.mailserver.plugins.module_utils.finding import Finding, Steps, not_text
from ansible_collections.valija.mailserver.plugins.module_utils.site_accounts import account_list
from ansible_collections.valija.mailserver.plugins.module_utils.site_names import (
    ROLE_ADDRESSES,
    address_problem,
    alias_problem,
)

# For how many bad targets the name that was meant is looked for: among 10,000 names it takes 0.1 s each.
_GUESSES = 10


@dataclass(frozen=True)
class _Alias:
    """An alias as the site wrote it: where it stands, and where its mail goes."""

    path: Steps
    targets: tuple[tuple[Steps, str], ...]


@dataclass(frozen=True)
class _Names:
    """Every name that can be written to, and the domains that are ours."""

    accounts: dict[str, str]  # name -> state
    aliases: dict[str, _Alias]  # "name" or "name@domain"
    main_domain: str  # empty: not known
    domains: frozenset[str]  # all of them

    def follow(self, target: str) -> str | None:
        """The alias that a target means; None when it is an account, elsewhere or nowhere."""
        if target in self.aliases:
            return target
        local, domain = self.here(target) or ("", "")
        if f"{local}@{domain}" in self.aliases:
            return f"{local}@{domain}"
        return local if local in self.aliases and local not in self.accounts else None

    def following(self, name: str) -> Iterator[str]:
        """The aliases that an alias leads to."""
        return (next_one for _, target in self.aliases[name].targets if (next_one := self.follow(target)) is not None)

    def here(self, target: str) -> tuple[str, str] | None:
        """Local part (without the `+extension`) and domain ("" when not said) of a target here; None for elsewhere."""
        local, at, domain = target.rpartition("@")
        if at and domain not in self.domains:
            return None
        return (local if at else target).partition("+")[0], domain


def check_aliases(values: dict[str, Any]) -> list[Finding]:
    """Syntax, shadowed accounts, names that stand twice, targets that are nowhere, and loops."""
    if not isinstance(values.get("mail_accounts", []), list):
        return []
    findings: list[Finding] = []
    names = _collect(values, findings)
    lost = 0
    for alias in names.aliases.values():
        for path, target in alias.targets:
            finding = _check_target(names, path, target, guess=lost < _GUESSES)
            if finding:
                lost += 1
                findings.append(finding)
    findings += _check_postmaster(values, names)
    return findings + _loops(names)


def _collect(values: dict[str, Any], findings: list[Finding]) -> _Names:
    """All the names; what is wrong with the names themselves goes into `findings`."""
    accounts = {
        account["name"]: str(account.get("state", "present"))
        for _, account in account_list(values)
        if isinstance(account.get("name"), str)
    }
    further = values.get("mail_domains")
    domains = [
        domain
        for domain in [values.get("mail_domain"), *(further if isinstance(further, list) else [])]
        if isinstance(domain, str) and domain
    ]
    names = _Names(accounts, {}, domains[0] if domains else "", frozenset(domains))
    table = values.get("mail_aliases")
    for name, targets in (table if isinstance(table, dict) else {}).items():
        _add(names, findings, ("mail_aliases", name), name, _targets(("mail_aliases", name), targets, findings))
    file = values.get(NAME)
    for row in file.rows if isinstance(file, AliasRows) else ():
        here: Steps = (NAME, row.line, row.name)
        _add(names, findings, here, row.name, tuple((here, target) for target in row.targets))
    for account_path, account in account_list(values):
        if not isinstance(account.get("name"), str) or account.get("state") == "absent":
            continue
        aliases = account.get("aliases")
        for index, alias in enumerate(aliases if isinstance(aliases, list) else []):
            path: Steps = (*account_path, "aliases", index)
            _add(names, findings, path, alias, ((path, account["name"]),))
    postmaster = values.get("mail_postmaster")
    if isinstance(postmaster, str) and postmaster:
        here = ("mail_postmaster",)
        names.aliases.setdefault("postmaster", _Alias(here, ((here, postmaster),)))
        for role in ROLE_ADDRESSES:
            if role not in accounts:
                names.aliases.setdefault(role, _Alias(here, ((here, "postmaster"),)))
    return names


def _add(
    names: _Names, findings: list[Finding], path: Steps, name: object, targets: tuple[tuple[Steps, str], ...]
) -> None:
    """Take one alias in, or say what is wrong with its name."""
    wrong = not_text(path, name)
    if wrong:
        findings.append(wrong)
        return
    text = str(name)
    local, at, domain = text.rpartition("@") if "@" in text else (text, "", "")
    verdict = alias_problem(local)
    if verdict:
        findings.append(Finding(path, text, *verdict))
    elif at and names.domains and domain not in names.domains:
        remedy = "Add the domain to mail_domains, or write the name without it."
        findings.append(Finding(path, text, "is an alias of a domain that is not served here", remedy))
    elif local in names.accounts and domain in ("", names.main_domain):
        remedy = "Its mail would no longer reach the account: give the alias another name."
        findings.append(Finding(path, text, "is the name of an account", remedy))
    elif local == "postmaster":
        findings.append(Finding(path, text, "is read by mail_postmaster", "Name the reader in mail_postmaster."))
    elif text in names.aliases:
        remedy = "Give it all its targets in one place."
        findings.append(Finding(path, text, "is there twice", remedy))
    else:
        names.aliases[text] = _Alias(path, targets)


def _targets(path: Steps, targets: object, findings: list[Finding]) -> tuple[tuple[Steps, str], ...]:
    if isinstance(targets, str):
        return ((path, targets),)
    if not isinstance(targets, list):
        findings.append(Finding(path, targets, "is not a list of targets", "Write a list, for example [alice]."))
        return ()
    if not targets:
        findings.append(Finding(path, None, "leads nowhere", "Name an account, an alias or an address."))
    good: list[tuple[Steps, str]] = []
    for position, target in enumerate(targets):
        wrong = not_text((*path, position), target)
        if wrong:
            findings.append(wrong)
        else:
            good.append(((*path, position), target))
    return tuple(good)


def _check_target(names: _Names, path: Steps, target: str, *, guess: bool) -> Finding | None:
    """What is wrong with one target, if anything; with `guess`, the name that was probably meant."""
    if names.follow(target) is not None:
        return None
    here = names.here(target)
    if here is None:
        verdict = address_problem(target)
        return Finding(path, target, *verdict) if verdict else None
    account = here[0]
    state = names.accounts.get(account)
    if state == "absent":
        return Finding(path, target, "is an account that is absent", "Name one that is present.")
    if state is not None:
        return None
    known = [*names.accounts, *names.aliases] if guess else []
    close = difflib.get_close_matches(account, known, n=1, cutoff=0.7)
    remedy = f"Did you mean {close[0]!r}?" if close else "Name an account, an alias or a whole address."
    return Finding(path, target, "is neither an account, an alias nor an address", remedy)


def _check_postmaster(values: dict[str, Any], names: _Names) -> list[Finding]:
    """mail_postmaster must be read by a person (RFC 5321 section 4.5.1)."""
    reader = values.get("mail_postmaster")
    if not isinstance(reader, str):
        return []
    here = names.here(reader)
    if here is None or names.accounts.get(here[0]) != "disabled":
        return []
    remedy = "Name an account that somebody reads (RFC 5321 section 4.5.1)."
    return [Finding(("mail_postmaster",), reader, "is an account that is disabled", remedy)]


def _loops(names: _Names) -> list[Finding]:
    """Each loop once, at the alias of it where the search meets it; each alias is gone through once."""
    findings: list[Finding] = []
    done: set[str] = set()
    for start in names.aliases:
        chain: list[str] = []
        ahead = [iter((start,))]
        place: dict[str, int] = {}
        while ahead:
            name = next(ahead[-1], None)
            if name is None:
                ahead.pop()
                if chain:
                    done.add(left := chain.pop())
                    del place[left]
            elif name in place:
                loop = " -> ".join([*chain[place[name] :], name])
                remedy = "Let one of them lead to an account or to an address elsewhere."
                findings.append(Finding(names.aliases[name].path, loop, "leads back to itself", remedy))
            elif name not in done:
                place[name] = len(chain)
                chain.append(name)
                ahead.append(names.following(name))
    return findings
