"""What a check tells a person: settings that exist."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from ansible_collections.valija.mailserver.plugins.plugin_utils import prove_site

# Prints the id and the setting of every check. A process of its own: the suite is no part of these tests.
LISTED = """
import importlib, json, pathlib, warnings
warnings.simplefilter("ignore")
from valija.checks import marks
found = []
for path in sorted(pathlib.Path(marks.__file__).parent.glob("test_*.py")):
    for function in vars(importlib.import_module(f"valija.checks.{path.stem}")).values():
        for mark in getattr(function, "pytestmark", []):
            values = mark.args[1] if mark.name == "parametrize" else []
            own = [one for value in values for one in getattr(value, "marks", ())]
            found += [(one.args[0].id, one.args[0].setting) for one in [mark, *own] if one.name == "check"]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def known(root: Path) -> set[str]:
    """The variables that the roles specify."""
    specs = [yaml.safe_load(path.read_text()) for path in root.glob("roles/*/meta/argument_specs.yml")]
    return {name for spec in specs for name in spec["argument_specs"]["main"]["options"]}


def test_every_setting_that_a_check_names_exists(known: set[str]) -> None:
    """A setting is written `a, b`, or `a: what is set in it`."""
    said = subprocess.run([sys.executable, "-c", LISTED], capture_output=True, text=True, check=True).stdout
    named = [
        (id, name) for id, text in json.loads(said) for name in filter(None, re.split(r", *", text.partition(":")[0]))
    ]
    assert len(named) > 30
    assert [(id, name) for id, name in named if not any(fnmatch(one, name) for one in known)] == []


def test_check_and_prove_validate_an_inventory_for_the_same_roles(root: Path) -> None:
    for name in ("check.yml", "prove.yml"):
        [play] = yaml.safe_load((root / "playbooks" / name).read_text())
        assert play["tasks"][0]["valija.mailserver.prepare"]["roles"] == list(prove_site.ROLES), name
