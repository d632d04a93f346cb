"""The linters, each with the settings that are in the repository."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


def shell_scripts(root: Path, tracked: list[Path]) -> list[str]:
    return [
        str(path)
        for path in tracked
        if (root / path).is_file()
        and not (root / path).is_symlink()
        and (root / path).read_bytes()[:64].split(b"\n")[0] in {b"#!/usr/bin/env bash", b"#!/bin/sh", b"#!/bin/bash"}
    ]


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["yamllint", "--strict", "."],
        ["ansible-lint", "--offline", "-q"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_linter_finds_nothing(command: list[str], root: Path) -> None:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    run = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-3000:]


def without_expressions(template: Path, folder: Path) -> str:
    """A copy of a script's template in which each line that Jinja fills is a comment: the header is one."""
    lines = template.read_text().split("\n")
    copy = folder / template.name
    copy.write_text("\n".join("#" if line.startswith("{{") else line for line in lines))
    return str(copy)


def test_shellcheck_finds_nothing(root: Path, tracked: list[Path], tmp_path: Path) -> None:
    found = shell_scripts(root, tracked)
    assert found, "no shell script was found: the search is broken"
    scripts = [without_expressions(root / path, tmp_path) if path.endswith(".j2") else path for path in found]
    run = subprocess.run([BIN / "shellcheck", "-x", *scripts], cwd=root, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
