"""What the roles of this collection say about their variables: specifications, defaults and internal variables."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader

ROLES = Path(__file__).parents[2] / "roles"

# The role whose vocabulary all the others build on.
VOCABULARY = "mail"


# Each file is read once and nobody changes what it says: Ansible's deep copies would cost more than reading it.
_AS_IT_IS: dict[str, Any] = {"cache": "none", "unsafe": True}


@cache
def options_of(role: str) -> dict[str, Any]:
    """The options of the role's specification; empty when it has none."""
    path = ROLES / role / "meta" / "argument_specs.yml"
    if not path.exists():
        return {}
    options = DataLoader().load_from_file(str(path), **_AS_IT_IS)["argument_specs"]["main"].get("options")
    return options or {}


@cache
def known_names() -> frozenset[str]:
    """Every variable that some role of the collection has a specification for."""
    return frozenset(name for role in sorted(ROLES.iterdir()) for name in options_of(role.name))


def options_of_all(roles: list[str]) -> dict[str, Any]:
    """The options of all these roles together, the vocabulary first."""
    options: dict[str, Any] = {}
    for role in dict.fromkeys([VOCABULARY, *roles]):
        options |= options_of(role)
    return options


@cache
def variables_of(role: str) -> dict[str, Any]:
    """The role's defaults and internal variables, as templates that Ansible trusts.

    A play that lists the roles has them in its variables already; one that only checks the inventory has not.
    """
    loader = DataLoader()
    found: dict[str, Any] = {}
    for room in ("defaults", "vars"):
        for path in loader.find_vars_files(str(ROLES / role / room), "main"):
            found |= loader.load_from_file(path, trusted_as_template=True, **_AS_IT_IS) or {}
    return found


def variables_of_all(roles: list[str]) -> dict[str, Any]:
    """The defaults and internal variables of all these roles together."""
    variables: dict[str, Any] = {}
    for role in dict.fromkeys([VOCABULARY, *roles]):
        variables |= variables_of(role)
    return variables
