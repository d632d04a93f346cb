"""The one version of the package, the collection and the change log."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

import valija


def test_package_collection_and_change_log_carry_the_same_version(root: Path) -> None:
    package = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    collection = yaml.safe_load((root / "galaxy.yml").read_text())["version"]
    newest = re.search(r"^## (?:\[)?(\d+\.\d+\.\d+)", (root / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None, "CHANGELOG.md has no version heading"
    assert package == collection == valija.__version__ == newest.group(1)
