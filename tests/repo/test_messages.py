"""The message catalogue lists every text for people, and no text that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages import pofile


def ids(path: Path) -> set[str]:
    with path.open("rb") as file:
        return {str(message.id) for message in pofile.read_po(file) if message.id}


@pytest.fixture(scope="module")
def fresh(root: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What `scripts/messages` would write now."""
    path = tmp_path_factory.mktemp("messages") / "valija.pot"
    words = (root / "scripts" / "messages").read_text().partition("exec pybabel")[2].replace("\\\n", " ").split()
    options = [str(path) if word == "src/valija/locale/valija.pot" else word for word in words]
    programs = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
    subprocess.run(["pybabel", *options], cwd=root, env=environment, check=True)
    return ids(path)


def test_the_catalogue_is_fresh(root: Path, fresh: set[str]) -> None:
    kept = ids(root / "src" / "valija" / "locale" / "valija.pot")
    assert kept == fresh, "run scripts/messages"


def test_code_and_templates_are_both_read(fresh: set[str]) -> None:
    assert "The tutorial, step by step" in fresh
    assert "Names one recipient of the message." in fresh
    assert "Only these hosts or groups of the site." in fresh
