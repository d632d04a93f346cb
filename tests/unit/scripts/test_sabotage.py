"""What scripts/sabotage says when it cannot do its work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SABOTAGE = Path(__file__).parents[3] / "scripts" / "sabotage"


def test_a_host_that_cannot_be_reached_is_told_in_ansible_s_words(tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("mail: {hosts: {mail.example.org: {ansible_host: 127.0.0.1, ansible_port: 1}}}\n")
    command = [sys.executable, SABOTAGE, "apply", "imapd-stopped", "-i", inventory]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "UNREACHABLE" in run.stderr
    assert "Traceback" not in run.stderr
