"""Everything that can be wrong with a host's variables, found before the host is touched and told in one go."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.parsing.dataloader import DataLoader
from ansible_collections.valija.mailserver.plugins.module_utils import account_rows, alias_rows
from ansible_collections.valija.mailserver.plugins.module_utils.finding import Finding, Steps, path_name, shown
from ansible_collections.valija.mailserver.plugins.module_utils.site import check_site
from ansible_collections.valija.mailserver.plugins.plugin_utils import accounts_file, aliases_file, tls_files
from ansible_collections.valija.mailserver.plugins.plugin_utils.memory import uncollected
from ansible_collections.valija.mailserver.plugins.plugin_utils.places import Place, as_written, find, home, place_of
from ansible_collections.valija.mailserver.plugins.plugin_utils.resolve import (
    UNRESOLVED,
    failure,
    is_whole,
    resolve,
    with_placeholders,
)
from ansible_collections.valija.mailserver.plugins.plugin_utils.role_specs import (
    known_names,
    options_of_all,
    variables_of_all,
)
from ansible_collections.valija.mailserver.plugins.plugin_utils.spec_rules import (
    NOT_KNOWN,
    NOT_SET,
    check_value,
    missing,
    unknown,
)

PREFIXES = (
    "mail_",
    "accounts_",
    "tls_",
    "postfix_",
    "courier_",
    "apache_",
    "squirrelmail_",
    "roundcube_",
    "fail2ban_",
    "firewall_",
)


# A list with more faults than this is told up to here: the first ones mostly explain the others.
SHOWN_FINDINGS = 200


@dataclass(frozen=True)
class Judged:
    """What is wrong with a host's variables, line by line; the values of all options; and what the named files hold."""

    findings: list[str]
    values: dict[str, Any]
    accounts: account_rows.AccountRows
    aliases: alias_rows.AliasRows


def findings(roles: list[str], task_vars: dict[str, Any], templar: Any, loader: DataLoader | None = None) -> list[str]:
    """What is wrong with the variables of one host, see `judged`."""
    return judged(roles, task_vars, templar, loader).findings


@uncollected()
def judged(roles: list[str], task_vars: dict[str, Any], templar: Any, loader: DataLoader | None = None) -> Judged:
    """The variables of one host, judged for these roles (short names) of the collection.

    One line each, `FILE:LINE: NAME: problem: VALUE. Remedy.`, in the order of the files; none when all is well.
    Values of secrets are never in it. A value that only follows from another bad one is not told.
    """
    defaults = variables_of_all(roles)
    variables = {**defaults, **task_vars}
    options = options_of_all(roles)
    own = {name for name in options if name in variables and _is_set_by_the_site(name, variables, defaults)}

    values, primary, derived = _resolve_all(options, variables, own, templar)
    primary += _unknown_names(task_vars, {*defaults, *options})
    primary += [missing(name, option) for name, option in options.items() if _is_missing(name, option, values)]
    by_spec = [
        finding for name in values if name in own for finding in check_value((name,), values[name], options[name])
    ]
    accounts = accounts_file.load(_text(values, account_rows.NAME), task_vars, loader or DataLoader())
    aliases = aliases_file.load(_text(values, alias_rows.NAME), task_vars, loader or DataLoader())
    unknown_keys = [finding for finding in by_spec if finding.problem == NOT_KNOWN]
    site = {**with_placeholders(values), account_rows.NAME: accounts, alias_rows.NAME: aliases}
    tls = tls_files.findings(site, task_vars, loader or DataLoader())
    judged = [*unknown_keys, *accounts.findings, *aliases.findings, *check_site(site), *tls, *by_spec]
    for finding in _first_of_each(judged, primary + derived):
        (primary if finding.path[0] in own else derived).append(finding)

    told = primary or derived or _left_over(options, values)
    lines = [text for _, text in sorted(_line(finding, values, task_vars, options) for finding in told)]
    if len(lines) > SHOWN_FINDINGS:
        lines[SHOWN_FINDINGS:] = [f"... and {len(lines) - SHOWN_FINDINGS} findings more."]
    return Judged(lines, values, accounts, aliases)


def _text(values: dict[str, Any], name: str) -> str:
    """A value that is a text, else an empty one."""
    value = values.get(name)
    return value if isinstance(value, str) else ""


def _resolve_all(
    options: dict[str, Any], variables: dict[str, Any], own: set[str], templar: Any
) -> tuple[dict[str, Any], list[Finding], list[Finding]]:
    """The values of all options, what failed in the site's own values, and what failed in our defaults.

    A default that needs what is found out on the host later (`ansible_facts`) is no failure.
    """
    resolver = templar.copy_with_new_env(available_variables=variables)
    values: dict[str, Any] = {}
    primary: list[Finding] = []
    derived: list[Finding] = []
    for name in options:
        if name not in variables:
            continue
        values[name], failures = resolve((name,), variables[name], resolver)
        for path, error in failures:
            if name in own:
                primary.append(failure(path, error))
            elif "valija" not in str(error) and "ansible_facts" not in str(error):
                derived.append(failure(path, error))
    unset = [name for name, option in options.items() if _is_missing(name, option, values)]
    consequences = [finding for finding in primary if any(f"'{name}'" in finding.problem for name in unset)]
    return values, [finding for finding in primary if finding not in consequences], derived + consequences


def _is_set_by_the_site(name: str, variables: dict[str, Any], defaults: dict[str, Any]) -> bool:
    place = place_of(variables[name])
    if place is not None:
        return not place.in_our_roles
    return name not in defaults or variables[name] != defaults[name]


def _is_missing(name: str, option: dict[str, Any], values: dict[str, Any]) -> bool:
    return bool(option.get("required")) and values.get(name) in (None, "", [], {})


def _unknown_names(task_vars: dict[str, Any], judged_names: Collection[str]) -> list[Finding]:
    """Names with our prefixes that nothing knows. What another role brings along is its own affair."""
    foreign = {
        name: value for name, value in task_vars.items() if str(name).startswith(PREFIXES) and name not in judged_names
    }
    known = known_names() if foreign else frozenset()
    return [
        unknown((str(name),), str(name), known)
        for name, value in foreign.items()
        if name not in known and not ((place := place_of(value)) and place.in_a_role)
    ]


def _first_of_each(judged: list[Finding], before: list[Finding]) -> list[Finding]:
    """One finding a value: those before win, then the first; nothing about what holds or lies in a failed value."""
    taken: set[Steps] = set()
    holders: set[Steps] = set()

    def take(path: Steps) -> None:
        taken.add(path)
        holders.update(path[:depth] for depth in range(1, len(path)))

    for finding in before:
        take(finding.path)
    kept: list[Finding] = []
    for finding in judged:
        path = finding.path
        if path in holders or any(path[:depth] in taken for depth in range(1, len(path) + 1)):
            continue
        kept.append(finding)
        take(path)
    return kept


def _left_over(options: dict[str, Any], values: dict[str, Any]) -> list[Finding]:
    """What ansible-core would refuse later and no rule above has found."""
    given = {name: with_placeholders(value) for name, value in values.items() if is_whole(value)}
    asked = {name: option for name, option in options.items() if name in given}
    result = ArgumentSpecValidator(asked).validate(given, validate_role_argument_spec=True)
    messages = remove_values(list(result.error_messages), result._no_log_values)
    return [Finding(("inventory",), None, message.rstrip("."), "Correct it.") for message in messages]


def _line(
    finding: Finding, values: dict[str, Any], task_vars: dict[str, Any], options: dict[str, Any]
) -> tuple[tuple[str, int], str]:
    """The finding as it is told, with what sorts it by file and line."""
    name = str(finding.path[0])
    if name in (account_rows.NAME, alias_rows.NAME) and len(finding.path) > 1:
        return _row_line(finding, values, task_vars)
    resolved = len(finding.path) > 1 and name in values and values[name] is not UNRESOLVED
    where = find(finding.path, {**task_vars, name: values[name]} if resolved else task_vars)
    if where.in_our_roles or (finding.problem == NOT_SET and len(finding.path) == 1):
        where = home(task_vars)
    value = None if _is_secret(finding.path, options) else finding.value
    text = Finding(finding.path, None, finding.problem, finding.remedy).text
    if value is not None:
        said = _said(value, where, finding.path)
        text = f"{finding.name}: {finding.problem}: {said}. {finding.remedy}"
    return (str(where.file or ""), where.line), f"{where}: {text}"


def _row_line(finding: Finding, values: dict[str, Any], task_vars: dict[str, Any]) -> tuple[tuple[str, int], str]:
    """A finding about a line of the accounts file or the aliases file, `FILE:LINE: KEY: problem: VALUE. Remedy.`"""
    line, key = int(finding.path[1]), path_name(finding.path[2:])
    where = Place(accounts_file.path_of(values[str(finding.path[0])], task_vars), line)
    value = "" if finding.value is None else f": {shown(finding.value)}"
    text = f"{key or 'the line'}{':' if key else ''} {finding.problem}{value}. {finding.remedy}"
    return (str(where.file), line), f"{where}: {text}"


def _said(value: object, where: Place, path: Steps) -> str:
    """The value as it was written where YAML made something else of it (`no`, `0123`), else as it is."""
    if isinstance(value, (str, dict, list)):
        return shown(value)
    return as_written(where, str(path[-1])) or shown(value)


def _is_secret(path: Steps, options: dict[str, Any]) -> bool:
    """Whether a specification marks the value, or what holds it, with `no_log`."""
    level = options
    for step in path:
        if isinstance(step, int):
            continue
        option = level.get(step) or {}
        if option.get("no_log"):
            return True
        level = option.get("options") or {}
    return False
