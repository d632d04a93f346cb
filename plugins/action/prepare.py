# Copyright: The Valija developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The control node's part of prepare: validate, fetch, have the host looked at, decide, and only then install."""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.valija.mailserver.plugins.module_utils import host, packages
from ansible_collections.valija.mailserver.plugins.plugin_utils.host_call import (
    COLLECTION,
    is_gone,
    lock_owner,
    run_module,
)

PLUGIN_UTILS = f"ansible_collections.{COLLECTION}.plugins.plugin_utils"
DECLARED = ("packages", "debconf", "conflicts", "listens")
WAIT_SECONDS = 20

display = Display()


class Refused(Exception):  # noqa: N818 - a verdict, not an error of ours
    """``what`` is ``inventory`` or ``host``; the findings are whole lines."""

    def __init__(self, what: str, findings: Sequence[str]) -> None:
        super().__init__("\n".join(findings))
        self.what = what


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset({"roles", "inventory_only", "lock_timeout_seconds"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        roles = self._roles(variables)
        known = dict(variables.get("ansible_facts", {}).get("valija") or {})
        if known.get("run") != lock_owner()["id"]:
            known = {}
        covered = known.get("prepared", [])
        if set(roles) <= set(covered):
            return {**result, "changed": False, "installed": []}
        try:
            self._refuse_inventory(roles, variables)
            if boolean(self._task.args.get("inventory_only", False)):
                return {**result, "changed": False, "installed": []}
            return {**result, **self._prepare(roles, covered, variables)}
        except Refused as refused:
            return {**result, "failed": True, "msg": str(refused), "valija_refused": refused.what}

    def _roles(self, variables: Mapping[str, Any]) -> list[str]:
        named = self._task.args.get("roles")
        if named is None:
            named = variables.get("ansible_play_role_names", [])
        if not isinstance(named, list):
            raise AnsibleActionFail("prepare: roles must be a list of role names")
        return list(dict.fromkeys(str(name).removeprefix(f"{COLLECTION}.") for name in named))

    def _refuse_inventory(self, roles: list[str], variables: dict[str, Any]) -> None:
        """Validate the values of all roles together, and fetch what comes from outside."""
        try:
            specs = importlib.import_module(f"{PLUGIN_UTILS}.specs")
        except ModuleNotFoundError:  # TODO: remove when the module exists
            specs = None
        findings = specs.findings(roles, variables, self._templar) if specs else []
        if findings:
            raise Refused("inventory", findings)

    def _prepare(self, roles: list[str], covered: list[str], variables: dict[str, Any]) -> dict[str, Any]:
        survey = self._survey(variables)
        refusal = host.release_refusal(survey["os_release"])
        if refusal:
            raise self._let_go(variables, [refusal])
        facts = {
            "release": survey["release"],
            "distribution": survey["os_release"]["ID"],
            "version": survey["os_release"]["VERSION_ID"],
            "addresses": survey["addresses"],
            "prepared": list(dict.fromkeys([*covered, *roles])),
            "run": lock_owner()["id"],
        }
        declared = self._declared(roles, facts, variables)
        mail_hostname = self._value("mail_hostname", facts, variables)
        findings = host.refusals(survey, declared, mail_hostname)
        if findings:
            raise self._let_go(variables, findings)
        result = self._install(survey, declared, variables)
        if not result.get("failed"):
            result["ansible_facts"] = {"valija": facts}
        return result

    def _survey(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Take the lock, waiting for who has it, and look at the host."""
        patience = int(self._task.args.get("lock_timeout_seconds", 900))
        deadline = time.monotonic() + patience
        gone = ""
        announced = False
        while True:
            wait = max(0, min(WAIT_SECONDS, int(deadline - time.monotonic())))
            if not announced:
                wait = min(wait, 2)
            answer = run_module(self, "prepare", {"step": "survey", "wait_seconds": wait, "gone": gone}, variables)
            if "survey" in answer:
                survey: dict[str, Any] = answer["survey"]
                return survey
            if answer.get("failed") or "held_by" not in answer:
                if answer.get("valija_refused"):
                    raise Refused("host", [str(answer.get("msg"))])
                raise AnsibleActionFail(str(answer.get("msg") or answer), result=answer)
            holder = answer["held_by"]
            if holder and is_gone(holder):
                gone = str(holder["id"])
                continue
            if time.monotonic() >= deadline:
                raise Refused(
                    "host", [f"{answer['msg']}, for longer than {patience} s. Wait for it to end, or end it."]
                )
            if not announced:
                announced = True
                display.display(
                    f"{variables.get('inventory_hostname', '')}: waiting, for {answer['msg']}", color="yellow"
                )

    def _let_go(self, variables: dict[str, Any], findings: Sequence[str]) -> Refused:
        """Give the lock back, for this run ends here."""
        run_module(self, "finish", {}, variables)
        return Refused("host", [f"{variables.get('inventory_hostname', 'host')}: {finding}" for finding in findings])

    def _value(self, name: str, facts: Mapping[str, Any], variables: dict[str, Any]) -> Any:
        """A variable as the roles will see it once the host's facts are set; None when there is none."""
        if name not in variables:
            return None
        known = {**variables.get("ansible_facts", {}), "valija": dict(facts)}
        templar = self._templar.copy_with_new_env(available_variables={**variables, "ansible_facts": known})
        return templar.resolve_variable_expression(name)

    def _declared(self, roles: list[str], facts: Mapping[str, Any], variables: dict[str, Any]) -> list[dict[str, Any]]:
        """What each role declares as data, templated for the host's release."""
        return [{kind: self._value(f"__{role}_{kind}", facts, variables) or [] for kind in DECLARED} for role in roles]

    def _install(
        self, survey: Mapping[str, Any], declared: list[dict[str, Any]], variables: dict[str, Any]
    ) -> dict[str, Any]:
        missing = packages.missing((name for role in declared for name in role["packages"]), survey["packages"])
        if not missing and not survey["unfinished"]:
            return {"changed": False, "installed": []}
        diff = [
            {
                "before_header": "packages",
                "after_header": "packages",
                "before": "",
                "after": "".join(f"{name}\n" for name in missing),
            }
        ]
        if self._task.check_mode:
            return {"changed": True, "installed": missing, "diff": diff}
        answer = run_module(
            self,
            "prepare",
            {
                "step": "install",
                "packages": missing,
                "debconf": [entry for role in declared for entry in role["debconf"]],
                "unfinished": bool(survey["unfinished"]),
            },
            variables,
        )
        answer.pop("invocation", None)
        if "held_by" in answer:
            raise Refused("host", [str(answer["msg"])])
        return {**answer, "diff": diff}
