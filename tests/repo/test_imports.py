"""Imports point one way: people's commands know Ansible's plugins, never the reverse."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COLLECTION = "ansible_collections.valija.mailserver"


def imported_modules(path: Path) -> set[str]:
    """The dotted names that a Python file imports, relative ones left out."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    return names


def python_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", python_files("plugins"), ids=lambda p: str(p.relative_to(ROOT)))
def test_plugins_never_import_the_package(path: Path) -> None:
    assert not {name for name in imported_modules(path) if name.split(".")[0] == "valija"}


@pytest.mark.parametrize("path", python_files("plugins/module_utils"), ids=lambda p: p.name)
def test_the_shared_library_imports_only_the_standard_library_and_itself(path: Path) -> None:
    foreign = {
        name
        for name in imported_modules(path)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not name.startswith(f"{COLLECTION}.plugins.module_utils")
    }
    assert not foreign


@pytest.mark.parametrize("path", python_files("plugins/modules"), ids=lambda p: p.name)
def test_modules_import_only_what_travels_to_a_host(path: Path) -> None:
    foreign = {
        name
        for name in imported_modules(path)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not name.startswith((f"{COLLECTION}.plugins.module_utils", "ansible.module_utils"))
    }
    assert not foreign


@pytest.mark.parametrize("path", python_files("src/valija/probes"), ids=lambda p: p.name)
def test_probes_know_neither_pytest_nor_ansible(path: Path) -> None:
    roots = {name.split(".")[0] for name in imported_modules(path)}
    assert not roots & {"pytest", "_pytest", "ansible", "testinfra"}


def starts_ansible_playbook(path: Path) -> bool:
    """Whether a list in this file is the beginning of a command line of ansible-playbook, in either of its forms."""
    lists = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.List))
    words = [{item.value for item in node.elts if isinstance(item, ast.Constant)} for node in lists]
    return any({"ansible", "playbook"} <= line or "ansible-playbook" in line for line in words)


def test_only_the_runner_starts_ansible_playbook() -> None:
    starters = [str(path.relative_to(ROOT)) for path in python_files("src/valija") if starts_ansible_playbook(path)]
    assert starters == ["src/valija/runner.py"]


@pytest.mark.parametrize("path", python_files("src/valija"), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_wait_sleeps(path: Path) -> None:
    sleeps = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"time.sleep", "sleep"}
    ]
    assert not sleeps or path.name == "wait.py", f"lines {sleeps}: use wait.until"
