"""Ansible that is loaded before it is told what to run: the same run as without, and no trace when nothing is run."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from valija import early, runner
from valija.progress import Progress


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A host that is this machine, and a playbook that says what its inventory says."""
    (tmp_path / "ansible.cfg").write_text("[defaults]\ninterpreter_python = /usr/bin/python3\n")
    (tmp_path / "hosts.yml").write_text("mail: {hosts: {here: {ansible_connection: local, word: before}}}\n")
    (tmp_path / "play.yml").write_text(
        "- hosts: mail\n  gather_facts: false\n  tasks:\n    - ansible.builtin.fail: {msg: 'it says {{ word }}'}\n"
    )
    return tmp_path


def play(site: Path, ready: early.Early | None) -> runner.Outcome:
    progress = Progress(Console(file=io.StringIO()))
    return runner.run_playbook(str(site / "play.yml"), [str(site / "hosts.yml")], progress=progress, early=ready)


def test_it_reads_the_inventory_when_it_is_told_to_run_and_not_before(site: Path) -> None:
    with runner.loading([str(site / "hosts.yml")]) as ready:
        assert ready is not None
        (site / "hosts.yml").write_text((site / "hosts.yml").read_text().replace("before", "after"))
        outcome = play(site, ready)
    assert outcome.exit_code == 1
    assert [failure.message for failure in outcome.failures] == ["it says after"]
    assert ready.child.returncode == 2, "it was this child that ran"


def test_one_that_has_another_environment_or_is_gone_is_left_alone(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with runner.loading([str(site / "hosts.yml")]) as ready:
        assert ready is not None
        monkeypatch.setenv("ANSIBLE_FORKS", "3")
        assert [failure.message for failure in play(site, ready).failures] == ["it says before"]
        assert ready.child.poll() is None
    with runner.loading([str(site / "hosts.yml")]) as ready:
        assert ready is not None
        ready.child.kill()
        ready.child.wait()
        assert [failure.message for failure in play(site, ready).failures] == ["it says before"]


def test_one_that_is_not_told_anything_ends(site: Path) -> None:
    with pytest.raises(ZeroDivisionError), early.begun(os.environ) as ready:
        raise ZeroDivisionError
    assert ready.child.returncode is not None


def test_with_v_ansible_writes_to_our_own_output_so_that_nothing_is_loaded_before(site: Path) -> None:
    with runner.loading([str(site)], verbosity=1) as ready:
        assert ready is None
