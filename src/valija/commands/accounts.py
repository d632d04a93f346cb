"""`valija accounts`: list the accounts of a site, add one, change a password, hash one."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import click
from ansible_collections.valija.mailserver.plugins.module_utils.account_rows import NAME
from ansible_collections.valija.mailserver.plugins.module_utils.hashing import (
    SCHEMES,
    HashingError,
    check_cost,
    hash_password,
)
from ansible_collections.valija.mailserver.plugins.module_utils.site_accounts import check_accounts
from rich.console import Console
from rich.table import Table

from valija import account_list, inventory_files, options, runner, summary
from valija.account_list import AccountFile
from valija.account_table import AccountTable
from valija.early import Early
from valija.errors import InputError, ValijaError
from valija.messages import _

# token_urlsafe's bytes: 96 bits, 16 characters.
_PASSWORD_BYTES = 12

F = TypeVar("F", bound=Callable[..., Any])

password_options = [
    click.option("--generate", is_flag=True, help=_("Make a random password, and print it once.")),
    click.option("--stdin", "from_stdin", is_flag=True, help=_("Read the password from the first line of the input.")),
]
hash_options = [
    click.option("--scheme", type=click.Choice(list(SCHEMES)), default="yescrypt", show_default=True, help=_("How.")),
    click.option(
        "--cost",
        type=int,
        default=0,
        help=_("Cost of yescrypt (1 to 11) or rounds of sha512. Default: 10 to 20 ms for one verification."),
    ),
]
apply_options = [
    options.limit,
    options.extra_vars,
    options.verbosity,
    options.vault_password_file,
    options.ask_vault_pass,
    click.option("--no-apply", is_flag=True, help=_("Write the inventory only; touch no host.")),
    options.as_json,
]


def _with(given: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    """Several options as one decorator, shown in this order."""

    def add(command: F) -> F:
        for option in reversed(given):
            command = option(command)
        return command

    return add


@click.group(help=_("The mail accounts of a site: list them, add one, change a password."))
def command() -> None:
    """The verbs are below."""


@command.command("list", help=_("List the accounts that a site asks for, host by host where they differ."))
@options.inventory
@options.vault_password_file
@options.ask_vault_pass
@options.as_json
def list_(inventory: tuple[str, ...], vault_password_file: str | None, ask_vault_pass: bool, as_json: bool) -> None:
    """Read the inventory with Ansible's own precedence; no secret is shown."""
    accounts = _listed(_inventory_data(inventory, vault_password_file, ask_vault_pass), inventory)
    if as_json:
        click.echo(json.dumps(accounts, indent=2, ensure_ascii=False))
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in (_("account"), _("full name"), _("state"), _("aliases"), _("hosts")):
        table.add_column(heading)
    for account in accounts:
        lists = [", ".join(account[key]) for key in ("aliases", "hosts")]
        table.add_row(account["name"], account["full_name"], account["state"], *lists)
    Console(highlight=False).print(table)


@command.command(
    help=_(
        "Add the account NAME to a site, and make it on the hosts.\n\n"
        "Asks for its password twice, and writes the account with the password's hash into the table that "
        "mail_accounts_file names, or where there is none into mail_accounts. Then makes this account on the hosts, "
        "and looks at no other; `valija apply` brings all of them to the inventory's state.\n\n"
        "Exit code: 0 done, 1 a host failed, 2 the input is wrong and nothing was touched."
    )
)
@click.argument("name")
@options.inventory
@click.option("--full-name", default="", help=_("The name of the person."))
@_with(password_options)
@_with(hash_options)
@_with(apply_options)
def add(name: str, full_name: str, **given: Any) -> int:
    """Write the account, then apply the accounts."""
    account = {"name": name} | ({"full_name": full_name} if full_name else {})
    _require_good({**account, "password": secrets.token_urlsafe(_PASSWORD_BYTES)})
    with _loading(given) as early:
        _file_for_new(name, given["inventory"])
        password = _password(name, given)
        made = _hash(password, given["scheme"], given["cost"])
        with inventory_files.edited(given["inventory"]):
            file = _file_for_new(name, given["inventory"])
            text = file.with_account({**account, "password_hash": made})
            file.write(text)
        return _apply(file, text, name, password, {**given, "early": early})


@command.command(
    help=_(
        "Change the password of the account NAME, in the site and on the hosts.\n\n"
        "Asks for it twice, and writes its hash in place of the password or hash that stands in mail_accounts or in "
        "the table of mail_accounts_file. On the hosts it is set whatever mail_password_policy says, and the account's "
        "sessions end.\n\n"
        "Exit code: 0 done, 1 a host failed, 2 the input is wrong and nothing was touched."
    )
)
@click.argument("name")
@options.inventory
@_with(password_options)
@_with(hash_options)
@_with(apply_options)
def password(name: str, **given: Any) -> int:
    """Write the hash, then apply the accounts."""
    with _loading(given) as early:
        account_list.the_file(given["inventory"], name)
        word = _password(name, given)
        made = _hash(word, given["scheme"], given["cost"])
        with inventory_files.edited(given["inventory"]):
            file = account_list.the_file(given["inventory"], name)
            text = file.with_password_hash(name, made)
            file.write(text)
        return _apply(file, text, name, word, {**given, "early": early})


@command.command("hash", help=_("Print the hash of a password, for password_hash in mail_accounts."))
@_with(password_options)
@_with(hash_options)
def hash_(generate: bool, from_stdin: bool, scheme: str, cost: int) -> None:
    """Ask for a password, print its hash; a generated password goes to the error output."""
    word = _password("", {"generate": generate, "from_stdin": from_stdin})
    if generate:
        click.echo(word, err=True)
    click.echo(_hash(word, scheme, cost))


def _loading(given: dict[str, Any]) -> AbstractContextManager[Early | None]:
    """Ansible, loaded beside what is read and written here."""
    return nullcontext() if given["no_apply"] else runner.loading(given["inventory"], verbosity=given["verbosity"])


def _inventory_data(inventory: Sequence[str], vault_password_file: str | None, ask_vault_pass: bool) -> dict[str, Any]:
    """What ansible-inventory knows of the hosts; values stay as they are written, vaulted ones closed."""
    inventory_files.require_readable(inventory)
    sources = [part for source in inventory for part in ("-i", source)]
    vault = ["--vault-password-file", vault_password_file] if vault_password_file else []
    vault += ["--ask-vault-pass"] if ask_vault_pass else []
    environment = dict(os.environ)
    if "ANSIBLE_CONFIG" not in environment and (config := runner.site_config(inventory)):
        environment["ANSIBLE_CONFIG"] = str(config)
    environment |= {**runner.ignoring_tables(environment), **runner.usable_locale()}
    arguments = [sys.executable, "-m", "ansible", "inventory", *sources, *vault, "--list"]
    ran = subprocess.run(arguments, env=environment, capture_output=True, check=False)
    if ran.returncode != 0:
        raise InputError(ran.stderr.decode("utf-8", "replace").strip())
    data: dict[str, Any] = json.loads(ran.stdout)
    return data


def _listed(data: dict[str, Any], inventory: Sequence[str]) -> list[dict[str, Any]]:
    """Each account once, with the hosts that have it; one that differs between hosts is there once for each form."""
    found: dict[str, dict[str, Any]] = {}
    tables: dict[str, list[dict[str, Any]]] = {}
    for host, values in sorted(data.get("_meta", {}).get("hostvars", {}).items()):
        accounts = values.get("mail_accounts", [])
        if not isinstance(accounts, list):
            raise InputError(_("mail_accounts of {host} is no list, so it cannot be listed.").format(host=host))
        table = str(values.get(NAME) or "")
        if table not in tables:
            tables[table] = _rows(inventory, table) if table else []
        for account in [*accounts, *tables[table]]:
            shown = {
                "name": str(account.get("name", "")),
                "full_name": str(account.get("full_name", "")),
                "state": str(account.get("state", "present")),
                "aliases": [str(alias) for alias in account.get("aliases") or []],
                "shell": str(account.get("shell", "/usr/sbin/nologin")),
            }
            found.setdefault(json.dumps(shown), {**shown, "hosts": []})["hosts"].append(host)
    return list(found.values())


def _rows(inventory: Sequence[str], value: str) -> list[dict[str, Any]]:
    """The accounts of the table that a value of `mail_accounts_file` names."""
    paths = [account_list.table_path(source, value) for source in inventory if "," not in source]
    path = next((path for path in paths if path.exists()), paths[0] if paths else Path(value))
    return [row.account for row in AccountTable.read(path).rows]


def _file_for_new(name: str, inventory: Sequence[str]) -> AccountFile | AccountTable:
    """The file that a new account goes into. InputError when the site has the account already."""
    found = account_list.all_files(inventory)
    file = account_list.chosen(found)
    for other in found:
        if name in other.names:
            words = _("{name} is in {path} already. `valija accounts password` changes its password.")
            raise InputError(words.format(name=name, path=other.path))
    return file


def _require_good(account: dict[str, str]) -> None:
    """Raise InputError with all that a site's rules find wrong with one account."""
    findings = check_accounts({"mail_accounts": [account]})
    if findings:
        raise InputError("\n".join(finding.text.removeprefix("mail_accounts[0].") for finding in findings))


def _password(name: str, given: dict[str, Any]) -> str:
    """The password that is given: made, read, or asked for twice."""
    if given["generate"] and given["from_stdin"]:
        raise InputError(_("Give --generate or --stdin, not both."))
    if given["generate"]:
        return secrets.token_urlsafe(_PASSWORD_BYTES)
    if given["from_stdin"]:
        word = sys.stdin.readline().removesuffix("\n")
    else:
        word = str(click.prompt(_("Password"), hide_input=True, confirmation_prompt=True, err=True))
    _require_good({"name": name or "alice", "password": word})
    return word


def _hash(word: str, scheme: str, cost: int) -> str:
    try:
        check_cost(scheme, cost)
    except HashingError as error:
        raise InputError(f"--cost: {error}") from error
    try:
        return hash_password(word, scheme, cost)
    except HashingError as error:
        raise ValijaError(str(error)) from error


def _apply(file: AccountFile | AccountTable, text: str, name: str, word: str, given: dict[str, Any]) -> int:
    """Bring the hosts to the inventory that was just written; one that is refused as a whole is put back.

    A password that was made here is told before: whatever becomes of the run, its hash stands in the file.
    """
    as_json = given["as_json"]
    data: dict[str, Any] = {"account": name, "file": str(file.path), "written": True}
    data |= {"password": word} if given["generate"] else {}
    if not as_json:
        click.echo(_("{path}: the hash of the password of {name} is written.").format(path=file.path, name=name))
        if given["generate"]:
            click.echo(_("Password of {name}: {password}").format(name=name, password=word))
    try:
        outcome = None if given["no_apply"] else _run(name, given)
    except InputError:
        _put_back(file, text, given["inventory"])
        raise
    except KeyboardInterrupt:
        if as_json:
            click.echo(json.dumps(data, indent=2, ensure_ascii=False))
        raise
    code = outcome.exit_code if outcome else 0
    is_back = code == 2 and _put_back(file, text, given["inventory"])
    if as_json:
        if is_back:
            data = {key: value for key, value in data.items() if key != "password"} | {"written": False}
        data |= {"run": summary.outcome_data(outcome)} if outcome else {}
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return code
    if outcome:
        summary.show_outcome(summary.progress_for(as_json).console, outcome)
    if is_back:
        click.echo(_("{path} is as it was.").format(path=file.path))
    elif code == 2:
        words = _("{path} was edited meanwhile, so it was left alone: what was written for {name} stands in it.")
        click.echo(words.format(path=file.path, name=name))
    elif code:
        click.echo(_("Not every host has it yet: `valija accounts password {name}` sets it again.").format(name=name))
    return code


def _run(name: str, given: dict[str, Any]) -> runner.Outcome:
    """Apply this account, with its password whatever the policy."""
    extra = [*given["extra_vars"], json.dumps({"accounts_only": [name], "accounts_enforce": [name]})]
    shared = {key: given[key] for key in ("limit", "verbosity", "vault_password_file", "ask_vault_pass", "early")}
    progress = summary.progress_for(given["as_json"])
    return runner.run_playbook("accounts", given["inventory"], extra_vars=extra, progress=progress, **shared)


def _put_back(file: AccountFile | AccountTable, text: str, inventory: Sequence[str]) -> bool:
    """Put the earlier text back, unless somebody has edited the file since; whether it is back."""
    with inventory_files.edited(inventory):
        if file.path.read_bytes() != text.encode():
            return False
        file.write(file.text)
    return True
