"""Packages: what dpkg's status file says, and a transaction under which no daemon starts too early."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import packages
from ansible_collections.valija.mailserver.plugins.module_utils.command import Done

STATUS = """\
Package: postfix
Status: install ok installed
Version: 3.10.5-1+b1
Description: a mail server
 Status: not a field

Package: exim4
Status: deinstall ok config-files
Version: 4.96

Package: apache2
Status: install ok half-configured
Version: 2.4

Package: courier-imap
Status: hold ok installed
Version: 5.2
"""


def test_only_installed_packages_count() -> None:
    installed = packages.parse_status(STATUS)
    assert installed.versions == {"postfix": "3.10.5-1+b1", "courier-imap": "5.2"}
    assert installed.unfinished == ("apache2",)
    assert packages.missing(["postfix", "exim4", "mailutils", "mailutils"], installed.versions) == [
        "exim4",
        "mailutils",
    ]


def test_a_host_without_dpkg_has_no_packages(tmp_path: Path) -> None:
    assert packages.read_installed(tmp_path / "status") == packages.Installed({}, ())


def test_answers_name_the_package_that_asks() -> None:
    answers = [
        {"question": "postfix/main_mailer_type", "type": "select", "value": "No configuration"},
        {"package": "x", "question": "shared/y", "type": "string", "value": "z"},
    ]
    assert packages.debconf_lines(answers) == (
        "postfix postfix/main_mailer_type select No configuration\nx shared/y string z\n"
    )


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["postfix", "start"], False),
        (["postfix.service", "restart"], False),
        (["postfix", "stop"], True),
        (["postfix", "reload"], True),
        (["ssh", "start"], True),
        (["ssh.service", "restart"], True),
        (["ss", "start"], False),
    ],
)
def test_only_what_was_running_may_start(tmp_path: Path, arguments: list[str], allowed: bool) -> None:
    script = tmp_path / "policy-rc.d"
    script.write_text(packages.policy_script(["ssh.service", "cron.service"]))
    ended = subprocess.run(["sh", str(script), *arguments], check=False)
    assert ended.returncode == (0 if allowed else 101)


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    listed = Done((), 0, "ssh.service loaded active running OpenBSD Secure Shell server\n", "")
    monkeypatch.setattr(packages, "run", lambda *_, **__: listed)
    return tmp_path / "policy-rc.d"


def test_the_policy_is_gone_after_the_transaction_even_a_failed_one(policy: Path) -> None:
    with pytest.raises(RuntimeError), packages.quiet_daemons(policy):
        assert policy.stat().st_mode & 0o777 == 0o755
        assert " ssh " in policy.read_text()
        raise RuntimeError
    assert not policy.exists()


def test_the_policy_of_a_killed_run_is_replaced(policy: Path) -> None:
    policy.write_text(packages.policy_script(["old.service"]))
    with packages.quiet_daemons(policy):
        assert " old " not in policy.read_text()
    assert not policy.exists()


def test_somebody_elses_policy_stays(policy: Path) -> None:
    policy.write_text("#!/bin/sh\nexit 101\n")
    with packages.quiet_daemons(policy):
        pass
    assert not packages.remove_left_over_policy(policy)
    assert policy.read_text() == "#!/bin/sh\nexit 101\n"


@pytest.fixture
def failing_apt(monkeypatch: pytest.MonkeyPatch) -> list[Done]:
    """apt-get install fails with the one result in the list; everything else goes well."""
    result: list[Done] = []

    def answer(argv: list[str], **_: object) -> Done:
        return result[0] if "install" in argv else Done(tuple(argv), 0, "", "")

    monkeypatch.setattr(packages, "run", answer)
    monkeypatch.setattr(packages, "quiet_daemons", contextlib.nullcontext)
    return result


def test_a_failed_installation_speaks_with_apts_own_words(failing_apt: list[Done]) -> None:
    failing_apt.append(Done(("apt-get",), 100, "Reading...\n", "E: Unable to locate package nix\n"))
    with pytest.raises(packages.PackageError, match="Installing nix failed: apt-get said:\nE: Unable to locate"):
        packages.install(["nix"], [])


def test_nothing_is_removed_silently(failing_apt: list[Done]) -> None:
    out = "The following packages will be REMOVED:\n  exim4-base exim4-daemon-light\nThe following NEW packages...\n"
    failing_apt.append(Done(("apt-get",), 100, out, "E: Packages need to be removed but remove is disabled.\n"))
    with pytest.raises(packages.PackageError, match="have to remove exim4-base exim4-daemon-light"):
        packages.install(["postfix"], [])
