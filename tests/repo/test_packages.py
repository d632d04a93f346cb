"""The wheel and the collection's tarball: what they hold, and that they work where there is no checkout."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

BIN = Path(sys.executable).parent
ROOMS = {"meta", "playbooks", "plugins", "roles"}
PAPERS = {"LICENSE", "README.md", "CHANGELOG.md"}
COLLECTION = "ansible_collections/valija/mailserver"

Run = Callable[..., str]


def done(command: list[str | Path], **options: object) -> str:
    """The standard output of a command that has to succeed."""
    run = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert run.returncode == 0, f"{command}\n{run.stdout[-3000:]}{run.stderr[-3000:]}"
    return str(run.stdout)


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    done([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=root)
    return next(folder.glob("valija-*.whl"))


@pytest.fixture(scope="module")
def tarball(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection, built from the checkout as it is."""
    folder = tmp_path_factory.mktemp("tarball")
    done([BIN / "ansible-galaxy", "collection", "build", root, "--output-path", folder], cwd=folder)
    return next(folder.glob("valija-mailserver-*.tar.gz"))


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a program of an environment that holds the wheel and what it asks for, far from the checkout.

    The environment has a home of its own, and neither this one's PATH nor its Python settings.
    """
    folder = tmp_path_factory.mktemp("elsewhere")
    done([BIN / "uv", "venv", "--quiet", "--python", sys.executable, folder / "venv"])
    done([BIN / "uv", "pip", "install", "--quiet", "--python", folder / "venv", wheel])

    def run(program: str, *arguments: str | Path, **environment: str) -> str:
        given = {"HOME": str(folder), "PATH": f"{folder}/venv/bin:/usr/bin:/bin", "LANG": "C.UTF-8", **environment}
        return done([folder / "venv" / "bin" / program, *arguments], cwd=folder, env=given)

    return run


@pytest.fixture(scope="module")
def new_site(elsewhere: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site as the installed package writes it."""
    site = tmp_path_factory.mktemp("sites") / "mysite"
    elsewhere("valija", "init", site, "--domain", "example.org", "--host", "192.0.2.10")
    return site


def room_files(tracked: list[Path]) -> set[str]:
    """What git holds of the rooms that are the collection."""
    return {str(path) for path in tracked if path.parts[0] in ROOMS}


def test_the_tarball_holds_its_rooms_and_nothing_else(tarball: Path, tracked: list[Path]) -> None:
    with tarfile.open(tarball) as archive:
        names = {member.name for member in archive.getmembers() if member.isfile()}
    assert names - {"MANIFEST.json", "FILES.json"} == room_files(tracked) | PAPERS


def test_the_wheel_holds_the_package_and_the_collection(wheel: Path, tracked: list[Path]) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    package = {str(path.relative_to("src")) for path in tracked if path.is_relative_to("src") and not path.is_symlink()}
    paper = {f"valija/{path}" for path in tracked if path.parts[0] == "templates"}
    collection = {f"{COLLECTION}/{name}" for name in room_files(tracked) | {"galaxy.yml"}}
    assert names == package - {"valija/templates"} | paper | collection


def test_the_command_works_after_an_install(elsewhere: Run, new_site: Path, root: Path) -> None:
    version = yaml.safe_load((root / "galaxy.yml").read_text())["version"]
    assert elsewhere("valija", "--version") == f"valija, version {version}\n"
    assert elsewhere("valija", "check", "-i", new_site) == "1 host, no findings\n"


def test_the_playbooks_are_found_after_an_install(elsewhere: Run, new_site: Path) -> None:
    elsewhere("ansible-playbook", "valija.mailserver.site", "--syntax-check", "-i", new_site)


def test_the_documentation_is_found_after_an_install(elsewhere: Run) -> None:
    assert "transaction" in elsewhere("ansible-doc", "-t", "module", "valija.mailserver.prepare")
    assert "postconf(5)" in elsewhere("ansible-doc", "-t", "filter", "valija.mailserver.main_cf")


def test_the_tarball_works_without_the_package(
    elsewhere: Run, tarball: Path, new_site: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("collections")
    alone = {"ANSIBLE_COLLECTIONS_PATH": str(folder), "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "false"}
    elsewhere("ansible-galaxy", "collection", "install", tarball, "-p", folder, "--offline", **alone)
    documented = elsewhere("ansible-doc", "-t", "filter", "valija.mailserver.main_cf", **alone)
    assert f"{folder}/{COLLECTION}" in documented
    elsewhere("ansible-playbook", "valija.mailserver.site", "--syntax-check", "-i", new_site, **alone)
    elsewhere("ansible-playbook", "valija.mailserver.check", "-i", new_site, **alone)


def test_the_execution_environment_is_built_from_the_same_package(wheel: Path, root: Path, tmp_path: Path) -> None:
    """The context is made here, and the package built from what it holds; no image is."""
    context = tmp_path / "context"
    options = ["--file", root / "execution-environment.yml", "--context", context, "--output-filename", "Containerfile"]
    done([BIN / "ansible-builder", "create", *options])
    source = context / "_build" / "valija"
    assert f"COPY _build/{source.name} " in (context / "Containerfile").read_text()
    done([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], cwd=source)
    built = zipfile.ZipFile(next(tmp_path.glob("*.whl")))
    assert set(built.namelist()) == set(zipfile.ZipFile(wheel).namelist())


def test_filters_are_called_by_their_full_names(root: Path, tracked: list[Path]) -> None:
    """A short name works in the checkout and breaks in an installed collection."""
    filters = {path.stem for path in tracked if path.parent == Path("plugins/filter") and path.suffix == ".yml"}
    assert "main_cf" in filters
    short = re.compile(rf"\|\s*(?:{'|'.join(filters)})\b")
    texts = [path for path in tracked if path.parts[0] in {"roles", "playbooks"} and path.suffix in {".yml", ".j2"}]
    assert not [str(path) for path in texts if short.search((root / path).read_text())]
