# Copyright: The Valija developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The control node's part of finish: forget what this run has prepared, and give the lock back."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.valija.mailserver.plugins.plugin_utils.host_call import run_module


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _VALID_ARGS: frozenset[str] = frozenset()
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        variables = task_vars or {}
        super().run(tmp, variables)
        result = run_module(self, "prepare", {"step": "finish"}, variables)
        known = variables.get("ansible_facts", {}).get("valija")
        if known and not result.get("failed"):
            result["ansible_facts"] = {"valija": {**known, "prepared": [], "run": ""}}
        return result
