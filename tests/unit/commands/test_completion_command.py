"""`valija completion`: the scripts are good for their shells, and complete what there is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from valija.cli import cli

BIN = Path(sys.executable).parent


def script(shell: str) -> str:
    result = CliRunner().invoke(cli, ["completion", shell], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_can_read_its_script(shell: str) -> None:
    text = script(shell)
    assert "_VALIJA_COMPLETE" in text
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=text, text=True, check=True)


def completed(line: str) -> set[str]:
    """What bash offers for the last word of a line, with the printed script loaded."""
    words = line.split(" ")
    program = (
        f"{script('bash')}\nCOMP_WORDS=({' '.join(words[:-1])} '{words[-1]}')\nCOMP_CWORD={len(words) - 1}\n"
        '_valija_completion valija "${COMP_WORDS[COMP_CWORD]}" ""\nprintf "%s\\n" "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", program], env=environment, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_bash_completes_verbs() -> None:
    assert completed("valija p") == {"plan", "prove"}


def test_bash_completes_options_and_their_values() -> None:
    assert "--inventory" in completed("valija check --inv")
    assert completed("valija prove --tier s") == {"slow"}


def test_an_unknown_shell_is_wrong_input() -> None:
    result = CliRunner().invoke(cli, ["completion", "tcsh"])
    assert result.exit_code == 2
    assert "tcsh" in result.output
