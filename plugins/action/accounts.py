# Copyright: The Valija developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The control node's part of accounts: refuse a wrong list without a remote call, send a right one."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.valija.mailserver.plugins.module_utils.account import read_accounts
from ansible_collections.valija.mailserver.plugins.module_utils.transaction import STATE
from ansible_collections.valija.mailserver.plugins.plugin_utils import accounts_file, specs
from ansible_collections.valija.mailserver.plugins.plugin_utils.host_call import run_when_free
from ansible_collections.valija.mailserver.plugins.plugin_utils.memory import uncollected

# How many of many names a line shows.
SHOWN_NAMES = 10

NOT_CONFIRMED = (
    "This would make accounts on the machine that Valija runs on, and nobody has confirmed that it may become a mail "
    "server. `valija apply` shows what it would take over, and asks; mail_take_over_confirmed: true is the answer."
)

display = Display()


# What each option is in a site's variables: what the role passes, read here without it.
OF_THE_SITE = {
    "accounts": "mail_accounts",
    "accounts_file": "mail_accounts_file",
    "group": "accounts_group",
    "home": "accounts_home",
    "password_policy": "mail_password_policy",
    "only": "accounts_only",
    "enforce": "accounts_enforce",
    "hash_scheme": "accounts_hash_scheme",
    "hash_cost": "accounts_hash_cost",
}


class Refused(Exception):  # noqa: N818 - a verdict, not an error of ours
    """The list is wrong; each finding is a whole line."""

    def __init__(self, findings: Iterable[str]) -> None:
        super().__init__("\n".join(findings))


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset({*OF_THE_SITE, "of_the_site", "report_unlisted", "release_lock"})
    _requires_connection = True

    @uncollected()
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        args = dict(self._task.args)
        try:
            if boolean(args.pop("of_the_site", False)):
                args = {**self._of_the_site(variables), **args}
            else:
                args["accounts"] = self._listed(variables)
                args.pop("accounts_file", None)
            if only := args.pop("only", None):
                args["accounts"] = [account for account in args["accounts"] if account.get("name") in only]
                args["report_unlisted"] = False
            makes_some = any(account.get("state") != "absent" for account in args["accounts"])
            args["accounts"] = packed(args["accounts"])
        except Refused as refused:
            return {**result, "failed": True, "msg": str(refused), "valija_refused": "inventory"}
        if makes_some and not self._is_confirmed(variables):
            return {**result, "failed": True, "msg": NOT_CONFIRMED, "valija_refused": "host"}
        answer = run_when_free(self, "accounts", args, variables)
        self._say(answer, str(variables.get("inventory_hostname", "")))
        return {**result, **answer}

    def _of_the_site(self, variables: dict[str, Any]) -> dict[str, Any]:
        """The arguments that the role would pass, once the whole of the site's values is judged, as prepare does it."""
        if given := sorted(self._task.args.keys() & OF_THE_SITE.keys()):
            raise AnsibleActionFail(f"accounts: of_the_site leaves no place for {', '.join(given)}")
        judged = specs.judged(["mail", "accounts"], variables, self._templar, self._loader)
        if judged.findings:
            raise Refused(judged.findings)
        args = {option: judged.values[name] for option, name in OF_THE_SITE.items()}
        del args["accounts_file"]
        return {**args, "accounts": [*args["accounts"], *judged.accounts.accounts]}

    def _listed(self, variables: dict[str, Any]) -> list[Any]:
        """The accounts of the task and of the file that it names, judged by themselves."""
        wanted = self._task.args.get("accounts")
        if not isinstance(wanted, list):
            raise AnsibleActionFail("accounts: a list of accounts is needed")
        file = accounts_file.load(str(self._task.args.get("accounts_file") or ""), variables, self._loader)
        try:
            accounts = [*json.loads(json.dumps(wanted)), *file.accounts]
        except TypeError as error:
            raise AnsibleActionFail(f"accounts: {error}") from error
        _, refusals = read_accounts(accounts)
        if refusals or file.findings:
            raise Refused(
                [finding.text for finding in file.findings] + [f"mail_accounts: {refusal}" for refusal in refusals]
            )
        return accounts

    def _is_confirmed(self, variables: dict[str, Any]) -> bool:
        """Whether accounts may be made here: not on the machine that one sits at, until it may become a mail server.

        In the play of the whole server prepare has asked before; here it is for the accounts alone, and the checks'.
        """
        local = str(self._connection.transport).rpartition(".")[2] == "local"
        if not local or self._task.check_mode or STATE.is_dir():
            return True
        name = "mail_take_over_confirmed"
        return name in variables and boolean(self._templar.resolve_variable_expression(name) or False)

    def _say(self, answer: dict[str, Any], host: str) -> None:
        """Show what is not an error and still needs a person."""
        for note in answer.get("notes", [])[:SHOWN_NAMES]:
            display.display(f"{host}: {note}", color="yellow")
        unlisted = answer.get("unlisted", [])
        if unlisted:
            names = ", ".join(unlisted[:SHOWN_NAMES]) + (" ..." if len(unlisted) > SHOWN_NAMES else "")
            text = f"left alone, for they are not in the site: {names} ({len(unlisted)} in all)"
            display.display(f"{host}: {text}", color="yellow")


def packed(accounts: Sequence[Any]) -> str:
    """Accounts as the module takes them: one text, compressed, in which Ansible looks for no secrets."""
    return base64.b64encode(zlib.compress(json.dumps(accounts).encode(), 1)).decode()
