"""The Vagrantfile holds the lab's releases, and the scenario writes a site for the machines that it made."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from valija.lab.releases import DEFAULT, RELEASES

BIN = Path(sys.executable).parent

# What stands for Vagrant where there is no hypervisor: it notes what it is asked, and answers as vagrant-libvirt does.
VAGRANT = """#!/bin/sh
echo "$*" >> "$MOLECULE_EPHEMERAL_DIRECTORY/asked"
[ "$1" = ssh-config ] || exit 0
cat <<ANSWER
Host $2
  HostName 192.168.121.7
  User vagrant
  Port 22
  IdentityFile "/home/me/a project/.vagrant/$2/private_key"

ANSWER
"""


@pytest.mark.skipif(not shutil.which("vagrant"), reason="the package vagrant is not installed")
def test_vagrant_knows_exactly_the_labs_releases(root: Path, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "VAGRANT_HOME": str(tmp_path / "home"),
        "VAGRANT_DOTFILE_PATH": str(tmp_path / "machines"),
        "VAGRANT_CHECKPOINT_DISABLE": "1",
    }
    command = ["vagrant", "validate", "--ignore-provider"]
    run = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert set(re.findall(r"^==> (\S+): ", run.stdout, re.MULTILINE)) == RELEASES.keys()


def test_every_release_has_a_box_and_an_address_of_its_own() -> None:
    assert all(release.box for release in RELEASES.values())
    assert len({release.box_address for release in RELEASES.values()}) == len(RELEASES)
    assert DEFAULT in RELEASES


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """The file with what Vagrant was asked."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "vagrant").write_text(VAGRANT)
    (tmp_path / "bin" / "vagrant").chmod(0o755)
    return tmp_path / "asked"


def play(name: str, root: Path, folder: Path) -> None:
    """Run a playbook of the scenario as molecule does."""
    environment = {
        **os.environ,
        "PATH": f"{folder}/bin:{BIN}:{os.environ['PATH']}",
        "MOLECULE_PROJECT_DIRECTORY": str(root),
        "MOLECULE_EPHEMERAL_DIRECTORY": str(folder),
        "LAB_RELEASES": "debian-13 debian-12",
    }
    command = [BIN / "ansible-playbook", "-i", "localhost,", root / "molecule" / "vagrant" / name]
    run = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_scenario_writes_a_site_for_its_machines(root: Path, tmp_path: Path, asked: Path) -> None:
    play("create.yml", root, tmp_path)
    assert asked.read_text().splitlines()[0] == "up debian-13 debian-12"
    hosts = yaml.safe_load((tmp_path / "site" / "hosts.yml").read_text())["mail"]["hosts"]
    assert hosts["debian-12"] == {
        "ansible_host": RELEASES["debian-12"].box_address,
        "ansible_user": "vagrant",
        "ansible_ssh_private_key_file": "/home/me/a project/.vagrant/debian-12/private_key",
        "mail_domain": "bookworm.example.test",
    }
    check = subprocess.run(
        [BIN / "valija", "check", "-i", tmp_path / "site"], capture_output=True, text=True, check=False
    )
    assert check.stdout == "2 hosts, no findings\n", check.stdout + check.stderr


def test_the_scenario_destroys_its_machines(root: Path, tmp_path: Path, asked: Path) -> None:
    play("destroy.yml", root, tmp_path)
    assert asked.read_text() == "destroy --force debian-13 debian-12\n"
