"""Every command that the README shows is run, by the package as `pip install .` installs it.

`mysite` is the site that `valija init` wrote as far as no host is touched, and the lab's site from then on.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from . import test_demo
from .conftest import Run
from .test_demo import shell

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)

# Words in the running text that are a command to type; a program's name alone is not one.
INLINE = re.compile(r"`((?:\./scripts/|valija |ansible-playbook |molecule |pip |git |eval )[^`]+)`")


@dataclass(frozen=True)
class Way:
    """How a command is run: in which folder, with which words after it to keep it short, and what it says."""

    folder: str
    says: str = ""
    more: str = ""


# The address of the lab's host, out of the site.
HOST = "$(sed -n 's/.*ansible_host: *//p' mysite/hosts.yml)"

# In the order in which they are run. Folders: `new` is where a person has just installed Valija; in `operator` the
# lab's site is called mysite; `checkout` is this one.
WAYS = {
    "pip install .": Way("checkout", "Successfully installed valija"),
    "valija --lang es": Way("new", "Opciones", " --help"),
    "valija init mysite --domain example.org --host 192.0.2.10": Way("new"),
    "valija check -i mysite": Way("new"),
    'eval "$(valija completion bash)"': Way("new", "_valija_completion", "; complete -p valija"),
    "ansible-playbook -i inventories/example playbooks/site.yml --syntax-check": Way("checkout", "playbook: "),
    "valija lab up ci --release debian-13": Way("operator", "debian-13", " --image packages"),
    "valija lab list": Way("operator", "debian-13"),
    "valija plan -i mysite": Way("operator"),
    "valija apply -i mysite": Way("operator"),
    "valija prove -i mysite": Way("operator", "report.html", " --tier quick"),
    "valija prove": Way("operator", "report.html", " -i mysite --tier quick --only A-01"),
    "valija send": Way(
        "operator",
        "250 ",
        f" --server {HOST}:25 --security none --from me@remote.test --to alice@example.test --body hello",
    ),
    "valija accounts list -i mysite": Way("operator", "alice"),
    "ansible-playbook -i mysite valija.mailserver.site": Way("operator", "changed=0 "),
    "valija lab down ci": Way("operator"),
}

# What other tests run, and which of them.
ELSEWHERE = {
    **dict.fromkeys(test_demo.COMMANDS, "tests/lab/test_demo.py"),
    "valija apply -i inventories/local": "tests/lab/test_local.py",
    "molecule test": "tests/lab/test_molecule.py",
    "molecule test -s bookworm": "tests/lab/test_molecule.py",
    # Machines that can run virtual machines are rare: there it is run by hand, here its parts are looked at.
    "molecule test -s vagrant": "tests/repo/test_vagrant.py",
}


def shown_commands() -> list[str]:
    """The lines of the README's shell blocks without their comments, and the commands in its text."""
    text = (ROOT / "README.md").read_text()
    lines = [line for block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    commands = [line.split(" #")[0].strip() for line in lines if not line.startswith("#")]
    # In a table the bar is escaped.
    commands += [" ".join(found.split()).replace("\\|", "|") for found in INLINE.findall(BLOCK.sub("", text))]
    return [command for command in dict.fromkeys(commands) if command]


def test_every_command_has_a_way_to_be_run() -> None:
    shown, run = set(shown_commands()), {*WAYS, *ELSEWHERE}
    assert shown - run == set(), "the README shows commands that no test runs: say how in WAYS"
    assert run - shown == set(), "these commands are no longer in the README"
    assert [path for path in ELSEWHERE.values() if not (ROOT / path).exists()] == []


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """Every command with what came of it, all run once, one after the other."""
    folder = tmp_path_factory.mktemp("readme")
    folders = {"new": folder / "new", "operator": folder / "operator", "checkout": ROOT}
    state = folder / "state"
    for name in ("new", "operator"):
        folders[name].mkdir()
    (folders["operator"] / "mysite").symlink_to(state / "valija" / "labs" / "ci" / "site")
    environment = {
        "PATH": f"{environment_without_valija(folder)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "XDG_STATE_HOME": str(state),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    try:
        yield {command: shell(command + way.more, folders[way.folder], environment) for command, way in WAYS.items()}
    finally:
        shell("valija lab down ci", folder, environment)


def environment_without_valija(folder: Path) -> Path:
    """The programs of a new environment with pip and all that Valija asks for, so that only Valija is missing."""
    done([sys.executable, "-m", "venv", folder / "venv"])
    python = folder / "venv" / "bin" / "python"
    done([BIN / "uv", "pip", "install", "--quiet", "--python", python, "-r", ROOT / "pyproject.toml"])
    return python.parent


def done(command: list[str | Path]) -> None:
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("command", WAYS)
def test_a_command_of_the_readme_does_what_it_says(runs: dict[str, Run], command: str) -> None:
    run = runs[command]
    assert run.code == 0, run.output
    assert WAYS[command].says in run.output
