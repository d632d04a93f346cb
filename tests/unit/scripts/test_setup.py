"""What the scripts do before they can work, and what they say when they cannot."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[3] / "scripts"


def bash(line: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a line with the functions of setup.sh, some of them replaced by the line."""
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f". {SCRIPTS}/lib/setup.sh; {line}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=cwd,
    )


@pytest.mark.parametrize("script", ["demo", "test"])
def test_a_script_tells_its_usage_without_setting_anything_up(script: str) -> None:
    done = subprocess.run([SCRIPTS / script, "--help"], capture_output=True, text=True, check=True, timeout=10)
    assert done.stdout.startswith(f"Usage: scripts/{script} ")
    assert done.stderr == ""


def test_what_is_missing_is_said_in_one_line_with_the_remedy() -> None:
    done = bash('is_root() { false; }; has() { [ "$1" != git ] && [ "$1" != ssh ]; }; set_up_tools')
    assert done.returncode == 1
    assert done.stderr == (
        "Missing on this machine: git openssh-client. Remedy: as root, apt-get install git openssh-client\n"
    )


def test_a_user_without_an_engine_is_told_what_to_do() -> None:
    done = bash("is_root() { false; }; engine_answers() { false; }; set_up_engine")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "join the group docker" in done.stderr


def test_an_engine_that_answers_is_left_alone_and_needs_no_root() -> None:
    done = bash("is_root() { false; }; has() { true; }; engine_answers() { true; }; set_up_tools; set_up_engine")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_python_that_is_too_old_or_does_not_start_is_passed_over(tmp_path: Path) -> None:
    for name, code in (("python3.13", 1), ("python3.12", 127), ("python3.11", 0)):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {code}\n")
        (tmp_path / name).chmod(0o755)
    assert bash(f"PATH={tmp_path}:$PATH; find_python").stdout == f"{tmp_path}/python3.11\n"


def test_the_environment_is_made_once_and_again_when_the_project_changes(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    stubs = (
        f"checkout={tmp_path}; venv={tmp_path}/.venv; "
        'make_venv() { mkdir -p "$venv/bin"; ln -sf "$(command -v python3)" "$venv/bin/python"; echo made; }; '
        "install_into_venv() { echo installed >&3; }; exec 3>&1; set_up_venv"
    )
    assert bash(stubs).stdout == "made\ninstalled\n"
    assert bash(stubs).stdout == ""
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert bash(stubs).stdout == "installed\n"


def test_an_installation_that_failed_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    stubs = (
        f"checkout={tmp_path}; venv={tmp_path}/.venv; "
        'make_venv() { mkdir -p "$venv/bin"; ln -sf "$(command -v python3)" "$venv/bin/python"; }; '
        "install_into_venv() { echo no route to PyPI; false; }; set_up_venv"
    )
    for _ in range(2):
        done = bash(stubs)
        assert done.returncode == 1
        assert "no route to PyPI" in done.stderr.splitlines()[-1]
