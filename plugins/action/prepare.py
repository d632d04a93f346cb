# Copyright: The Valija developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The control node's part of prepare: validate, fetch, have the host looked at, decide, and only then install."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.valija.mailserver.plugins.module_utils import host, packages
from ansible_collections.valija.mailserver.plugins.plugin_utils import specs, squirrelmail_source
from ansible_collections.valija.mailserver.plugins.plugin_utils.host_call import (
    COLLECTION,
    lock_owner,
    run_module,
    run_when_free,
)

# What a role declares for prepare, as __<role>_<kind>.
DECLARED = ("packages", "debconf", "conflicts", "listens")


class Refused(Exception):  # noqa: N818 - a verdict, not an error of ours
    """``what`` is ``inventory``, ``host`` or ``take_over``; each finding is a whole line."""

    def __init__(self, what: str, findings: Sequence[str]) -> None:
        super().__init__("\n".join(findings))
        self.what = what


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset({"roles", "inventory_only", "lock_timeout_seconds"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        variables = task_vars or {}
        result: dict[str, Any] = {**super().run(tmp, variables), "changed": False, "installed": []}
        roles = self._roles(variables)
        covered = self._covered(variables)
        if set(roles) <= set(covered):
            return result
        try:
            findings = specs.findings(roles, variables, self._templar, self._loader)
            if findings:
                raise Refused("inventory", findings)
            if not boolean(self._task.args.get("inventory_only", False)):
                self._fetch(roles, variables)
                result.update(self._prepare(roles, covered, variables))
        except Refused as refused:
            result.update(failed=True, msg=str(refused), valija_refused=refused.what)
        return result

    def _roles(self, variables: Mapping[str, Any]) -> list[str]:
        """The roles to prepare, mail always among them: the play's own list leaves dependencies out."""
        named = self._task.args.get("roles")
        if named is None:
            named = variables.get("ansible_play_role_names", [])
        if not isinstance(named, list):
            raise AnsibleActionFail("prepare: `roles` must be a list of role names.")
        return list(dict.fromkeys(["mail", *(str(name).removeprefix(f"{COLLECTION}.") for name in named)]))

    def _covered(self, variables: Mapping[str, Any]) -> list[str]:
        """The roles that this run has prepared already; cached facts of another run do not count."""
        known = variables.get("ansible_facts", {}).get("valija") or {}
        return list(known.get("prepared", [])) if known.get("run") == lock_owner()["id"] else []

    def _fetch(self, roles: Sequence[str], variables: dict[str, Any]) -> None:
        """Have what comes from outside ready on the control node, before the host is touched."""
        if "squirrelmail" not in roles or self._value("mail_webmail", {}, variables) != "squirrelmail":
            return
        try:
            squirrelmail_source.obtain(self._value("mail_squirrelmail_source", {}, variables))
        except squirrelmail_source.SourceError as error:
            raise Refused("host", [str(error)]) from error

    def _prepare(self, roles: list[str], covered: list[str], variables: dict[str, Any]) -> dict[str, Any]:
        survey = self._survey(variables)
        try:
            answer = self._settle(survey, roles, covered, variables)
        except Exception:
            run_module(self, "prepare", {"step": "finish"}, variables)  # this run ends here: the lock is free again
            raise
        if answer.get("failed"):
            run_module(self, "prepare", {"step": "finish"}, variables)
        return answer

    def _survey(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Take the lock, waiting for who has it, and look at the host."""
        patience = int(self._task.args.get("lock_timeout_seconds", 900))
        answer = run_when_free(self, "prepare", {"step": "survey"}, variables, patience_seconds=patience)
        if answer.get("valija_refused"):
            raise Refused(answer["valija_refused"], [f"{variables.get('inventory_hostname')}: {answer['msg']}"])
        if "survey" not in answer:
            raise AnsibleActionFail(str(answer.get("msg", "The host gave no answer.")), result=answer)
        survey: dict[str, Any] = answer["survey"]
        return survey

    def _settle(
        self, survey: Mapping[str, Any], roles: list[str], covered: list[str], variables: dict[str, Any]
    ) -> dict[str, Any]:
        """Refuse the host, or install what it lacks."""
        unsuitable = host.release_refusal(survey["os_release"])
        facts = {
            "release": survey["release"],
            "distribution": survey["os_release"]["ID"],
            "version": survey["os_release"]["VERSION_ID"],
            "addresses": survey["addresses"],
            "owners": survey["owners"],
            "memory_mib": survey["memory_mib"],
            "prepared": list(dict.fromkeys([*covered, *roles])),
            "run": lock_owner()["id"],
        }
        declared = [] if unsuitable else self._declared(roles, facts, variables)
        mail_hostname = self._value("mail_hostname", facts, variables)
        profile = self._value("mail_profile", facts, variables)
        findings = [unsuitable] if unsuitable else host.refusals(survey, declared, mail_hostname, profile)
        if findings:
            name = variables.get("inventory_hostname", "host")
            raise Refused("host", [f"{name}: {finding}" for finding in findings])
        self._ask_for_this_machine(survey, declared, facts, variables)
        answer = self._install(survey, declared, variables)
        return answer if answer.get("failed") else {**answer, "ansible_facts": {"valija": facts}}

    def _ask_for_this_machine(
        self,
        survey: Mapping[str, Any],
        declared: Sequence[Mapping[str, Any]],
        facts: Mapping[str, Any],
        variables: dict[str, Any],
    ) -> None:
        """Refuse the machine that one sits at until a person has confirmed; one that is Valija's already is."""
        local = str(self._connection.transport).rpartition(".")[2] == "local"
        if not local or self._task.check_mode or survey["owners"]:
            return
        if not boolean(self._value("mail_take_over_confirmed", facts, variables) or False):
            missing = packages.missing((name for role in declared for name in role["packages"]), survey["packages"])
            raise Refused(
                "take_over", host.take_over([entry for role in declared for entry in role["listens"]], missing)
            )

    def _value(self, name: str, facts: Mapping[str, Any], variables: dict[str, Any]) -> Any:
        """A variable as the roles see it once the host's facts are set; None when there is none."""
        if name not in variables:
            return None
        known = {**variables.get("ansible_facts", {}), "valija": dict(facts)}
        templar = self._templar.copy_with_new_env(available_variables={**variables, "ansible_facts": known})
        return templar.resolve_variable_expression(name)

    def _declared(
        self, roles: Sequence[str], facts: Mapping[str, Any], variables: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """What each role declares as data, for the host's release."""
        return [{kind: self._value(f"__{role}_{kind}", facts, variables) or [] for kind in DECLARED} for role in roles]

    def _install(
        self, survey: Mapping[str, Any], declared: Sequence[Mapping[str, Any]], variables: dict[str, Any]
    ) -> dict[str, Any]:
        """One package transaction, when anything is missing or a killed one is to be finished."""
        missing = packages.missing((name for role in declared for name in role["packages"]), survey["packages"])
        if not missing and not survey["unfinished"]:
            return {}
        after = "".join(f"{name}\n" for name in missing) + "".join(
            f"{name} (its interrupted installation finished)\n" for name in survey["unfinished"]
        )
        diff = [{"before_header": "packages", "after_header": "packages", "before": "", "after": after}]
        if self._task.check_mode:
            return {"changed": True, "installed": missing, "diff": diff}
        asked = {
            "step": "install",
            "packages": missing,
            "debconf": [entry for role in declared for entry in role["debconf"]],
        }
        answer = run_module(self, "prepare", asked, variables)
        answer.pop("invocation", None)
        if "held_by" in answer:
            raise Refused("host", [str(answer["msg"])])
        return {**answer, "diff": diff}
