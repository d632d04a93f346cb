# Copyright: The Valija developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The control node's part of configure: render the templates, send one call, ship an archive when it is asked for."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.template import Templar, trust_as_template
from ansible_collections.valija.mailserver.plugins.module_utils import trees
from ansible_collections.valija.mailserver.plugins.modules.configure import DOCUMENTATION
from ansible_collections.valija.mailserver.plugins.plugin_utils.host_call import run_module


def specification(options: Mapping[str, Any]) -> dict[str, Any]:
    """The argument specification that a module's documentation states."""
    kept = ("type", "elements", "required", "default", "choices")
    stated: dict[str, Any] = {}
    for name, option in options.items():
        stated[name] = {key: option[key] for key in kept if key in option}
        if "suboptions" in option:
            stated[name]["options"] = specification(option["suboptions"])
    return stated


SPECIFICATION = specification(yaml.safe_load(DOCUMENTATION)["options"])


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    MODULE = "configure"

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        variables = task_vars or {}
        super().run(tmp, variables)
        _, args = self.validate_argument_spec(SPECIFICATION)
        problems = _problems(args)
        if problems:
            raise AnsibleActionFail(f"configure: {'; '.join(problems)}.")
        templar = self._template_engine(variables)
        request = {**args, "files": [self._rendered(entry, templar) for entry in args["files"]]}
        request["trees"] = [
            {**tree, "digest": tree["digest"] or trees.digest_of_archive(tree["archive"])} for tree in args["trees"]
        ]
        # A host on which the role has never been is not asked first whether it lacks an archive.
        if not self._task.check_mode and args["owner_role"] not in _owners(variables, args["owner_role"]):
            request["trees"] = [_with_archive(tree) for tree in request["trees"]]
        result = self._call(self._more(request, []), variables)
        needs = result.pop("needs", [])
        if needs:
            request["trees"] = [_with_archive(tree) if tree["path"] in needs else tree for tree in request["trees"]]
            result = self._call(self._more(request, needs), variables)
        result.pop("invocation", None)
        return result

    def _call(self, request: Mapping[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        payload = base64.b64encode(zlib.compress(json.dumps(request).encode())).decode()
        return run_module(self, self.MODULE, {"payload": payload}, variables)

    def _more(self, request: dict[str, Any], needs: list[str]) -> dict[str, Any]:
        """What a module that does more than configure sends beside; `needs` is what the host has asked for."""
        return request

    def _template_engine(self, variables: dict[str, Any]) -> Templar:
        """The task's templating, with the search path for includes that ansible.builtin.template has."""
        paths = [*variables.get("ansible_search_path", []), self._loader.get_basedir()]
        search = [found for path in paths for found in (str(Path(path) / "templates"), path)]
        return self._templar.copy_with_new_env(searchpath=search, available_variables=variables)

    def _rendered(self, entry: dict[str, Any], templar: Templar) -> dict[str, Any]:
        """A wanted file with its content as text."""
        if entry["state"] != "file" or entry["content"] is not None:
            return entry
        name = entry["template"] or f"{entry['path'].lstrip('/')}.j2"
        try:
            source = self._find_needle("templates", name)
            text = self._loader.get_text_file_contents(source)
            rendered = templar.template(trust_as_template(text), escape_backslashes=False)
        except AnsibleError as error:
            raise AnsibleActionFail(f"The template for {entry['path']} cannot be rendered: {error}") from error
        return {**entry, "content": str(rendered)}


def _owners(variables: Mapping[str, Any], unknown: str) -> list[str]:
    """The roles that have files on the host, as prepare has seen them; the given one where nobody has looked."""
    known = (variables.get("ansible_facts") or {}).get("valija") or {}
    return list(known.get("owners", [unknown]))


def _with_archive(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {**tree, "archive_base64": base64.b64encode(Path(tree["archive"]).read_bytes()).decode()}


def _problems(args: Mapping[str, Any]) -> list[str]:
    """What is wrong with a call, beyond its types: each would otherwise be found out late, or never."""
    known = {service["name"] for service in args["services"]}
    items: list[Mapping[str, Any]] = [*args["files"], *args["trees"]]
    paths = [item["path"] for item in items]
    found = [f"{path} is there twice" for path in sorted({path for path in paths if paths.count(path) > 1})]
    for item in items:
        path, mode = item["path"], item.get("mode")
        if not Path(path).is_absolute():
            found.append(f"{path} is not an absolute path")
        if mode is not None and not re.fullmatch(r"[0-7]{4}", mode):
            found.append(f"{path} has the mode {mode}: write four octal digits in quotes")
        if item.get("state") == "link" and not item["target"]:
            found.append(f"{path} is a link without a target")
        unknown = sorted({*item["restarts"], *item["reloads"]} - known)
        if unknown:
            found.append(f"{path} names services that are not among `services`: {', '.join(unknown)}")
    for entry in args.get("members") or ():
        unknown = sorted(set(entry["restarts"]) - known)
        if unknown:
            found.append(f"group {entry['group']} names services that are not among `services`: {', '.join(unknown)}")
    return found
