# Copyright: The Valija developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The control node's part of certificate: read the site's own files, send one call, keep the root for the clients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.valija.mailserver.plugins.action.configure import ActionModule as Configure
from ansible_collections.valija.mailserver.plugins.module_utils import certificate, certificate_call
from ansible_collections.valija.mailserver.plugins.plugin_utils import host_program, local_files
from ansible_collections.valija.mailserver.plugins.plugin_utils.accounts_file import path_of

# What configure does not know.
OWN = ("settings", "certificate_file", "key_file", "export")


class ActionModule(Configure):
    MODULE = "certificate"
    _task: Any

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        variables = task_vars or {}
        task = self._task.copy()
        own = {name: task.args.pop(name) for name in OWN if name in task.args}
        self._task = task
        self._pem = self._site_pem(own, variables) if own["settings"]["source"] == "files" else ""
        self._certificate = {
            "settings": own["settings"],
            "digest": certificate_call.digest(self._pem) if self._pem else "",
        }
        wanted = list(self._task.args.get("files") or [])
        self._task.args["files"] = [*wanted, *(host_program.files("certificate_program") if wanted else [])]
        result = super().run(tmp, variables)
        root = result.get("ca_pem")
        if root and own.get("export") and not self._task.check_mode:
            self._keep(path_of(str(own["export"]), variables), str(root), result)
        return result

    def _more(self, request: dict[str, Any], needs: list[str]) -> dict[str, Any]:
        pem = {"pem": self._pem} if "certificate" in needs else {}
        return {**request, "certificate": {**self._certificate, **pem}}

    def _site_pem(self, own: Mapping[str, Any], variables: Mapping[str, Any]) -> str:
        """Key, certificate and chain of the site's own files; prepare has judged them."""
        texts = [
            self._loader.get_text_file_contents(str(path_of(str(own[name]), variables)))
            for name in ("key_file", "certificate_file")
        ]
        return certificate.pem_of(*map(str, texts)).text

    def _keep(self, path: Path, root: str, result: dict[str, Any]) -> None:
        """Write the root where the clients' people find it."""
        if path.is_file() and path.read_text("utf-8") == root:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        local_files.replace(path, root.encode(), 0o644)
        result["changed"] = True
        result["paths"] = [*result.get("paths", []), str(path)]
