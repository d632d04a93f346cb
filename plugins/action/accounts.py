# Copyright: The Valija developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The control node's part of accounts: refuse a wrong list without a remote call, send a right one."""

from __future__ import annotations

import json
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.valija.mailserver.plugins.module_utils.account import read_accounts
from ansible_collections.valija.mailserver.plugins.module_utils.transaction import STATE
from ansible_collections.valija.mailserver.plugins.plugin_utils import accounts_file
from ansible_collections.valija.mailserver.plugins.plugin_utils.host_call import run_when_free

# How many of many names a line shows.
SHOWN_NAMES = 10

NOT_CONFIRMED = (
    "This would make accounts on the machine that Valija runs on, and nobody has confirmed that it may become a mail "
    "server. `valija apply` shows what it would take over, and asks; mail_take_over_confirmed: true is the answer."
)

display = Display()


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(
        {
            "accounts",
            "accounts_file",
            "group",
            "home",
            "password_policy",
            "enforce",
            "hash_scheme",
            "hash_cost",
            "report_unlisted",
            "release_lock",
        }
    )
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        wanted = self._task.args.get("accounts")
        if not isinstance(wanted, list):
            raise AnsibleActionFail("accounts: a list of accounts is needed")
        file = accounts_file.load(str(self._task.args.get("accounts_file") or ""), variables, self._loader)
        try:
            text = json.dumps([*wanted, *file.accounts])
        except TypeError as error:
            raise AnsibleActionFail(f"accounts: {error}") from error
        _, refusals = read_accounts(json.loads(text))
        if refusals or file.findings:
            lines = [finding.text for finding in file.findings] + [f"mail_accounts: {refusal}" for refusal in refusals]
            return {**result, "failed": True, "msg": "\n".join(lines), "valija_refused": "inventory"}
        if any(account.get("state") != "absent" for account in json.loads(text)) and not self._is_confirmed(variables):
            return {**result, "failed": True, "msg": NOT_CONFIRMED, "valija_refused": "host"}
        args = {name: value for name, value in self._task.args.items() if name != "accounts_file"}
        answer = run_when_free(self, "accounts", {**args, "accounts": text}, variables)
        self._say(answer, str(variables.get("inventory_hostname", "")))
        return {**result, **answer}

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
