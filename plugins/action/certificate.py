# Copyright: The Valija developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The control node's part of certificate: read the site's own files, send one call, keep the root for the clients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible_collections.valija.mailserver.plugins.action.configure import ActionModule as Configure
from ansible_collections.valija.mailserver.plugins.action.configure import specification
from ansible_collections.valija.mailserver.plugins.module_utils import certificate, certificate_call
from ansible_collections.valija.mailserver.plugins.modules.certificate import DOCUMENTATION
from ansible_collections.valija.mailserver.plugins.plugin_utils import host_program, local_files, tls_files
from ansible_collections.valija.mailserver.plugins.plugin_utils.accounts_file import path_of

OPTIONS = specification(yaml.safe_load(DOCUMENTATION)["options"])
# The rest are configure's, which judges them.
OWN = {name: option for name, option in OPTIONS.items() if name not in ("owner_role", "files", "services")}


class ActionModule(Configure):
    MODULE = "certificate"
    _task: Any

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        variables = task_vars or {}
        self._task = self._task.copy()
        given = self._task.args
        self._task.args = {name: value for name, value in given.items() if name in OWN}
        _, own = self.validate_argument_spec(OWN)
        self._task.args = {name: value for name, value in given.items() if name not in OWN}
        self._pem = self._site_pem(own, variables) if own["settings"]["source"] == "files" else ""
        digest = certificate_call.digest(self._pem) if self._pem else ""
        self._certificate = {"settings": own["settings"], "issue": own["issue"], "digest": digest}
        if own["program"]:
            self._task.args["trees"] = [host_program.tree("certificate_program", own["program"])]
        result = super().run(tmp, variables)
        root = result.get("ca_pem")
        if root and own["export"] and not self._task.check_mode:
            _keep(path_of(str(own["export"]), variables), str(root), result)
        return result

    def _more(self, request: dict[str, Any], needs: list[str]) -> dict[str, Any]:
        pem = {"pem": self._pem} if "certificate" in needs else {}
        return {**request, "certificate": {**self._certificate, **pem}}

    def _site_pem(self, own: Mapping[str, Any], variables: Mapping[str, Any]) -> str:
        """Key, certificate and chain of the site's own files; prepare has judged them."""
        try:
            key, chain = (
                certificate.pem_of(tls_files.text(own[name], variables, self._loader))
                for name in ("key_file", "certificate_file")
            )
        except (OSError, AnsibleError, certificate.BadCertificate) as error:
            raise AnsibleActionFail(f"certificate: the site's own files cannot be read: {error}") from error
        return certificate.Pem(key.keys, chain.certificates).text


def _keep(path: Path, root: str, result: dict[str, Any]) -> None:
    """Write the root where the people find it who set up mail programs."""
    if path.is_file() and path.read_text("utf-8") == root:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    local_files.replace(path, root.encode(), 0o644)
    result["changed"] = True
    result["paths"] = [*result.get("paths", []), str(path)]
