"""Every role has the same shape, and its specification and its defaults agree."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
SERVICES = [name for name in ROLES if name != "mail"]
HEADER = re.compile(
    r"\A\{\{ '[a-z]+' \| valija\.mailserver\.header(\('[^']+'\))? \}\}\n|\A<\?php\n\{\{ '[a-z]+' \| valija"
)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text()) if path.exists() else None


def yaml_mappings(folder: Path) -> dict[str, Any]:
    """All variables of a `defaults` or `vars` room: its main.yml, or every file of its main/."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*.yml")):
        found.update(load(path) or {})
    return found


def specification(role: str) -> dict[str, Any]:
    options: dict[str, Any] = load(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]["main"].get(
        "options", {}
    )
    return options


def tasks_of(role: str) -> list[tuple[Path, dict[str, Any]]]:
    return [
        (path, task) for path in sorted((ROOT / "roles" / role / "tasks").glob("*.yml")) for task in load(path) or []
    ]


@pytest.mark.parametrize("role", ROLES)
def test_every_default_is_specified(role: str) -> None:
    defaults = {name for name in yaml_mappings(ROOT / "roles" / role / "defaults") if not name.startswith("__")}
    assert defaults <= set(specification(role))


@pytest.mark.parametrize("role", ROLES)
def test_every_optional_option_has_a_default_unless_it_is_a_secret(role: str) -> None:
    defaults = set(yaml_mappings(ROOT / "roles" / role / "defaults"))
    missing = {
        name
        for name, option in specification(role).items()
        if not option.get("required") and not option.get("no_log") and name not in defaults
    }
    assert not missing


@pytest.mark.parametrize("role", ROLES)
def test_a_literal_default_is_the_same_in_both_places(role: str) -> None:
    defaults = yaml_mappings(ROOT / "roles" / role / "defaults")
    differing = {
        name: (option["default"], defaults.get(name))
        for name, option in specification(role).items()
        if "default" in option and name in defaults and defaults[name] != option["default"]
    }
    assert not differing


@pytest.mark.parametrize("role", ROLES)
def test_no_specification_holds_a_template(role: str) -> None:
    text = (ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text()
    assert "{{" not in text


@pytest.mark.parametrize("role", ROLES)
def test_public_variables_carry_the_role_and_private_ones_two_underscores(role: str) -> None:
    public = yaml_mappings(ROOT / "roles" / role / "defaults")
    private = yaml_mappings(ROOT / "roles" / role / "vars")
    assert not {name for name in public if not name.startswith((f"{role}_", f"__{role}_"))}
    assert not {name for name in private if not name.startswith(f"__{role}_")}


@pytest.mark.parametrize("role", ROLES)
def test_secrets_are_marked(role: str) -> None:
    unmarked = {
        name
        for name, option in specification(role).items()
        if re.search(r"_(password|key)$", name) and not option.get("no_log")
    }
    assert not unmarked


@pytest.mark.parametrize("role", SERVICES)
def test_a_role_reads_no_other_roles_variables(role: str) -> None:
    others = [name for name in SERVICES if name != role]
    pattern = re.compile(r"(?<![\w/.-])(?:__)?(" + "|".join(others) + r")_[a-z_]+(?=\s*[|}\])\s]|$)")
    offending: list[str] = []
    for path in sorted((ROOT / "roles" / role).rglob("*")):
        if path.is_file() and path.suffix in {".yml", ".j2"}:
            for expression in re.findall(r"\{\{.*?\}\}|\{%.*?%\}", path.read_text(), re.DOTALL):
                offending += [f"{path.relative_to(ROOT)}: {match.group(0)}" for match in pattern.finditer(expression)]
    assert not offending


@pytest.mark.parametrize("role", SERVICES)
def test_task_names_are_sentences_with_the_file_before_them(role: str) -> None:
    for path, task in tasks_of(role):
        name = task.get("name", "")
        if path.name != "main.yml":
            assert name.startswith(f"{path.stem} | "), f"{path.name}: {name!r}"
        sentence = name.split(" | ")[-1]
        assert sentence[:1].isupper() and not sentence.endswith("."), f"{path.name}: {name!r}"


@pytest.mark.parametrize("role", SERVICES)
def test_a_role_names_no_inventory_group(role: str) -> None:
    for path in (ROOT / "roles" / role).rglob("*.yml"):
        assert "groups[" not in path.read_text(), path


@pytest.mark.parametrize("role", SERVICES)
def test_no_role_waits_for_a_handler(role: str) -> None:
    """Files and daemons are settled in one call (docs/decisions): a lost handler cannot happen."""
    assert not (ROOT / "roles" / role / "handlers").exists()
    assert not [task for _, task in tasks_of(role) if "notify" in task]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "roles").rglob("*.j2")), ids=lambda p: str(p.relative_to(ROOT / "roles"))
)
def test_every_template_begins_with_the_header_and_keeps_logic_out(path: Path) -> None:
    text = path.read_text()
    assert "valija.mailserver.header" in "\n".join(text.splitlines()[:4]), "the managed-by header comes first"
    tags = re.findall(r"\{%-?\s*(\w+)", text)
    assert set(tags) <= {"for", "endfor", "if", "elif", "else", "endif"}
