"""`ansible-doc` knows every role and every plugin, whole."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
COLLECTION = "valija.mailserver"


def stems(folder: str) -> list[str]:
    return sorted(path.stem for path in (ROOT / "plugins" / folder).glob("*.py"))


def filters() -> list[str]:
    """The filters that the code has, documented or not."""
    files = [
        importlib.import_module(f"ansible_collections.{COLLECTION}.plugins.filter.{name}") for name in stems("filter")
    ]
    return sorted(name for file in files for name in file.FilterModule().filters())


NAMES = {
    "module": sorted({*stems("modules"), *stems("action")}),
    "filter": filters(),
    "lookup": stems("lookup"),
    "callback": stems("callback"),
    "role": sorted(path.name for path in (ROOT / "roles").iterdir()),
}


@cache
def documented(kind: str) -> dict[str, Any]:
    """What `ansible-doc` says of all the names of a kind."""
    names = [f"{COLLECTION}.{name}" for name in NAMES[kind]]
    run = subprocess.run(
        [BIN / "ansible-doc", "--json", "-t", kind, *names],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in ("module", "filter", "lookup", "callback") for name in NAMES[kind]]
)
def test_every_plugin_is_documented(kind: str, name: str) -> None:
    entry = documented(kind)[f"{COLLECTION}.{name}"]
    assert entry["doc"]["short_description"]
    assert entry["doc"]["description"]
    assert all(option["description"] for option in entry["doc"].get("options", {}).values())
    assert entry["examples"] or kind == "callback"
    assert entry["return"] or kind == "callback"


@pytest.mark.parametrize("name", NAMES["role"])
def test_every_role_is_documented(name: str) -> None:
    main = documented("role")[f"{COLLECTION}.{name}"]["entry_points"]["main"]
    assert main["short_description"]
    assert main["description"]
    assert all(option["description"] for option in main["options"].values())
