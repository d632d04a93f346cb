# Copyright: The Valija developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The control node's part of firewall: say what may come in, and confirm new rules by a new connection."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.valija.mailserver.plugins.module_utils.firewall import parse_ports
from ansible_collections.valija.mailserver.plugins.plugin_utils import prove_site, role_specs
from ansible_collections.valija.mailserver.plugins.plugin_utils.declared_listens import declared_listens
from ansible_collections.valija.mailserver.plugins.plugin_utils.host_call import run_module

# Between two tries to come in by a new connection.
PAUSE_SECONDS = 2.0

LOCKED_OUT = (
    "No new SSH connection came through the new rules of the firewall, so they were not confirmed. "
    "The former ones come back by themselves {seconds} s after the new ones were loaded. The last try: {problem}"
)

display = Display()


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset({"state", "tcp_ports", "udp_ports", "ssh_ports", "return_seconds"})
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        variables = task_vars or {}
        super().run(tmp, variables)
        given = self._task.args
        args = {
            "state": given.get("state") or "present",
            "tcp_ports": _texts(given, "tcp_ports"),
            "udp_ports": _texts(given, "udp_ports"),
            "ssh_ports": sorted({port for text in _texts(given, "ssh_ports") for port in _range(text)}),
            "return_seconds": int(given.get("return_seconds") or 60),
            "listens": self._listens(variables) if given.get("state") != "absent" else [],
        }
        local = str(self._connection.transport).rpartition(".")[2] == "local"
        result = run_module(self, "firewall", {**args, "step": "at_once" if local else "settle"}, variables)
        result.pop("invocation", None)
        session = result.pop("session", "")
        if result.pop("unconfirmed", False):
            answer = self._confirm({**args, "step": "confirm", "session": session}, variables)
            result = {**result, **{name: answer[name] for name in ("failed", "msg") if name in answer}}
        self._say(result, variables)
        return result

    def _listens(self, variables: dict[str, Any]) -> list[dict[str, Any]]:
        """What all roles of the site declare, with the release that prepare has found out."""
        ours = role_specs.variables_of_all(list(prove_site.ROLES))
        templar = self._templar.copy_with_new_env(available_variables={**ours, **variables})
        declared = declared_listens(templar.resolve_variable_expression)
        return [
            {name: listener[name] for name in ("port", "address", "service", "protocol")}
            for listener in prove_site.listeners(declared)
        ]

    def _confirm(self, args: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """Come in by a new connection, again and again until the former rules are back, and confirm."""
        deadline = time.monotonic() + args["return_seconds"] + 30
        while True:
            self._connection.reset()
            try:
                answer = run_module(self, "firewall", args, variables)
                if not answer.get("same_connection"):
                    return answer
                problem = "the connection of before is still in use"
            except AnsibleConnectionFailure as error:
                problem = str(error)
            if time.monotonic() >= deadline:
                return {"failed": True, "msg": LOCKED_OUT.format(seconds=args["return_seconds"], problem=problem)}
            time.sleep(PAUSE_SECONDS)

    def _say(self, result: dict[str, Any], variables: dict[str, Any]) -> None:
        """Show what is not an error and still needs a person."""
        host = str(variables.get("inventory_hostname", ""))
        shut = [f"listening, and not let in by the firewall: {line}" for line in result.get("not_let_in", [])]
        for note in [*result.get("notes", []), *(shut if result.get("changed") else [])]:
            display.display(f"{host}: {note}", color="yellow")


def _texts(args: dict[str, Any], name: str) -> list[str]:
    """A list of ports as texts, each understood. Raises AnsibleActionFail."""
    values = args.get(name) or []
    if not isinstance(values, list):
        raise AnsibleActionFail(f"firewall: {name} must be a list of ports")
    texts = [str(value) for value in values]
    try:
        for text in texts:
            parse_ports(text)
    except ValueError as error:
        raise AnsibleActionFail(f"firewall: {name}: {error}") from error
    return texts


def _range(text: str) -> range:
    first, last = parse_ports(text)
    return range(first, last + 1)
