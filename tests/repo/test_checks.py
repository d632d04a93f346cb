"""What a check tells a person: settings that exist."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from ansible_collections.valija.mailserver.plugins.plugin_utils import prove_site

from valija.checks import marks

CHECKS = Path(marks.__file__).parent


def settings() -> Iterator[tuple[str, str]]:
    """Each setting that a check names, with the check's id: `a, b`, or `a: what is set in it`."""
    for path in sorted(CHECKS.glob("test_*.py")):
        module = importlib.import_module(f"valija.checks.{path.stem}")
        for function in vars(module).values():
            for mark in getattr(function, "pytestmark", []):
                found = [mark] if mark.name == "check" else []
                if mark.name == "parametrize":
                    found = [own for value in mark.args[1] for own in getattr(value, "marks", ())]
                for one in found:
                    for name in filter(None, re.split(r", *", one.args[0].setting.partition(":")[0])):
                        yield one.args[0].id, name


@pytest.fixture(scope="module")
def known(root: Path) -> set[str]:
    specs = [yaml.safe_load(path.read_text()) for path in root.glob("roles/*/meta/argument_specs.yml")]
    return {name for spec in specs for name in spec["argument_specs"]["main"]["options"]}


def test_every_setting_that_a_check_names_exists(known: set[str], pytestconfig: pytest.Config) -> None:
    pytestconfig.addinivalue_line("markers", "check(check): the suite's own, which its plugin makes known")
    named = list(settings())
    assert len(named) > 30
    assert [(id, name) for id, name in named if not any(fnmatch(one, name) for one in known)] == []


def test_check_and_prove_validate_an_inventory_for_the_same_roles(root: Path) -> None:
    for name in ("check.yml", "prove.yml"):
        [play] = yaml.safe_load((root / "playbooks" / name).read_text())
        assert play["tasks"][0]["valija.mailserver.prepare"]["roles"] == list(prove_site.ROLES), name
