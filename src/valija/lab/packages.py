"""The packages that the roles declare, read from their variables as a play would see them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import yaml
from ansible_collections.valija.mailserver.plugins.module_utils.packages import debconf_lines
from jinja2 import StrictUndefined, TemplateError, meta
from jinja2.nativetypes import NativeEnvironment

from valija.errors import ValijaError
from valija.messages import _


@dataclass(frozen=True)
class Declared:
    """What the roles of the collection want installed on one release."""

    release: str
    packages: tuple[str, ...]
    debconf: tuple[str, ...]
    """Answers for debconf-set-selections(1), one line each."""

    @cached_property
    def digest(self) -> str:
        """Changes whenever the image with these packages is out of date."""
        return hashlib.sha256(json.dumps([self.packages, self.debconf]).encode()).hexdigest()[:16]


def declared(release: str, roles: Traversable | None = None) -> Declared:
    """The union of `__<role>_packages` and `__<role>_debconf` over the collection's roles."""
    packages: dict[str, None] = {}
    debconf: list[str] = []
    folder = roles or collection_roles()
    for role in sorted(folder.iterdir(), key=lambda each: each.name):
        if not role.is_dir():
            continue
        # The vocabulary of all roles comes first, as a dependency's variables do.
        variables = Variables(role.name, [folder / "mail", role], release)
        packages.update(dict.fromkeys(variables.get(f"__{role.name}_packages", [])))
        debconf += debconf_lines(variables.get(f"__{role.name}_debconf", [])).splitlines()
    return Declared(release, tuple(sorted(packages)), tuple(debconf))


def collection_roles() -> Traversable:
    """The roles folder of the installed collection (in a checkout, the checkout's)."""
    return resources.files("ansible_collections.valija.mailserver") / "roles"


class Variables:
    """Defaults and vars of roles, rendered when asked for, as Ansible does; Ansible's own filters are not there."""

    def __init__(self, role: str, folders: Sequence[Traversable], release: str) -> None:
        self.role = role
        self.values: dict[str, Any] = {}
        for folder in folders:
            for document in (*_documents(folder / "defaults"), *_documents(folder / "vars")):
                self.values.update(document)
        self.values["__mail_release"] = release
        self.environment = NativeEnvironment(undefined=StrictUndefined)

    def get(self, name: str, default: Any) -> Any:
        """The value of a variable, or the default where the role does not declare it."""
        if name not in self.values:
            return default
        try:
            return self._render(self.values[name], depth=0)
        except TemplateError as error:
            raise ValijaError(
                _("The packages of role {role} cannot be read without a host: {name}: {error}").format(
                    role=self.role, name=name, error=error
                )
            ) from error

    def _render(self, value: Any, depth: int) -> Any:
        if depth > 20:
            raise TemplateError("a variable refers to itself")
        if isinstance(value, str) and ("{{" in value or "{%" in value):
            # Only what the template names is rendered; other variables may need facts of a host.
            names = meta.find_undeclared_variables(self.environment.parse(value)) & self.values.keys()
            context = {name: self._render(self.values[name], depth + 1) for name in names}
            return self.environment.from_string(value).render(context)
        if isinstance(value, list):
            return [self._render(item, depth) for item in value]
        if isinstance(value, dict):
            return {key: self._render(item, depth) for key, item in value.items()}
        return value


def _documents(folder: Traversable) -> Iterator[dict[str, Any]]:
    """The YAML files of a defaults or vars folder: main.yml, and main/*.yml in order."""
    if not folder.is_dir():
        return
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        if entry.is_dir():
            yield from _documents(entry)
        elif entry.name.endswith((".yml", ".yaml")):
            yield yaml.safe_load(entry.read_text()) or {}
