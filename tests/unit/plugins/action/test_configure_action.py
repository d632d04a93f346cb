"""The control node's parts of configure and prepare: what is wrong is refused before any host is called."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml


def play(folder: Path, tasks: list[dict[str, Any]], *options: str) -> subprocess.CompletedProcess[str]:
    """Run tasks against a host that cannot be reached: any remote call is told as unreachable."""
    path = folder / "play.yml"
    path.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "nowhere,", "-e", "ansible_port=1", str(path)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return subprocess.run(
        [*command, "-e", "ansible_host=127.0.0.1", *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


FILE = {"path": "/etc/x", "content": "x"}
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("unknown option", {"colour": "red"}, "colour"),
    ("unknown key of a file", {"files": [{**FILE, "moed": "0644"}]}, "moed"),
    ("mode without quotes", {"files": [{**FILE, "mode": 0o644}]}, "/etc/x has the mode 420"),
    ("unknown service", {"files": [{**FILE, "restarts": ["postfx"]}]}, "not among `services`: postfx"),
    ("relative path", {"files": [{**FILE, "path": "etc/x"}]}, "etc/x is not an absolute path"),
    ("path twice", {"files": [FILE, FILE]}, "/etc/x is there twice"),
    ("link to nowhere", {"files": [{"path": "/etc/x", "state": "link"}]}, "link without a target"),
    ("no template", {"files": [{"path": "/etc/x"}]}, "etc/x.j2"),
]


@pytest.mark.parametrize(("options", "said"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_wrong_call_is_refused_without_a_remote_call(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    done = play(tmp_path, [{"valija.mailserver.configure": {"owner_role": "test", **options}}])
    assert done.returncode == 2
    assert said in done.stdout + done.stderr
    assert "unreachable=0" in done.stdout


def test_a_template_that_cannot_be_rendered_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "templates/etc").mkdir(parents=True)
    (tmp_path / "templates/etc/x.j2").write_text("{{ not_there }}\n")
    done = play(tmp_path, [{"valija.mailserver.configure": {"owner_role": "test", "files": [{"path": "/etc/x"}]}}])
    assert "The template for /etc/x cannot be rendered" in done.stdout + done.stderr
    assert "not_there" in done.stdout + done.stderr


def test_prepare_refuses_a_wrong_inventory_without_a_remote_call(tmp_path: Path) -> None:
    task = {"valija.mailserver.prepare": {"roles": ["postfix"]}}
    done = play(tmp_path, [task], "-e", "mail_domain=example..org mail_postmaster=alice@example.net mail_hots=1")
    assert '"valija_refused": "inventory"' in done.stdout
    for name in ("mail_domain", "mail_hots"):
        assert name in done.stdout
    assert "unreachable=0" in done.stdout


def test_the_inventory_alone_is_validated_without_a_remote_call(tmp_path: Path) -> None:
    task = {"valija.mailserver.prepare": {"roles": ["valija.mailserver.postfix"], "inventory_only": True}}
    done = play(tmp_path, [task], "-e", "mail_domain=example.org mail_postmaster=alice@example.net")
    assert done.returncode == 0, done.stdout
