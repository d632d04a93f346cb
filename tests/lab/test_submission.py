"""Submission where things are missing: without Courier's role, without its group, without the limiter that it asks."""

from __future__ import annotations

import json
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from valija.lab import Lab

from .conftest import BIN, LabSite, find_host, load_yaml

RELEASES = ["debian-12"]
IMAGE = "bare"

LIMIT = 5
SENDER = "alice@example.test"
STRANGER = "someone@remote.test"
ELSEWHERE = "someone@fallback.test"
POLICY_DOWN = (451, "4.3.0")
OVER_THE_LIMIT = (450, "4.7.1")


def play(lab: LabSite, playbook: str) -> str:
    """Run one of the playbooks as a person would; what it printed."""
    run = subprocess.run(
        [
            *(BIN / "ansible-playbook", "-i", lab.path, f"valija.mailserver.{playbook}"),
            *("-e", json.dumps({"postfix_login_recipients_per_hour": LIMIT})),
        ],
        cwd=lab.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def alone(lab: LabSite) -> LabSite:
    """A bare host that only the playbooks of the accounts and of Postfix have seen."""
    play(lab, "accounts")
    play(lab, "postfix")
    return lab


def address(lab: LabSite) -> str:
    return str(find_host(load_yaml(lab.path / "hosts.yml"), lab.host.name)["ansible_host"])


@contextmanager
def logged_in(lab: LabSite) -> Iterator[smtplib.SMTP]:
    """alice's session at port 587, over TLS that the site's own root verifies."""
    root = lab.path / "certificates" / f"{lab.host.name}.pem"
    context = ssl.create_default_context(cafile=root)

    class ByAddress(smtplib.SMTP):
        """Connects to the address, and verifies the name."""

        def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
            return socket.create_connection((address(lab), port), timeout)

    session = ByAddress("mail.example.test", 587, timeout=30)
    try:
        session.starttls(context=context)
        session.login("alice", load_yaml(lab.path / "group_vars/all/secrets.yml")["vault_passwords"]["alice"])
        yield session
    finally:
        session.close()


def offered(session: smtplib.SMTP, recipients: int = 1) -> tuple[int, str]:
    """The reply to a message with so many recipients, up to DATA, with its enhanced code; the message is not sent."""
    code, text = session.mail(SENDER)
    for number in range(recipients):
        if code == 250:
            code, text = session.rcpt(f"{number}-{ELSEWHERE}")
    if code == 250:
        code, text = session.docmd("DATA")
    if code == 354:
        session.close()
        return code, ""
    session.rset()
    return code, text.decode().split()[0]


def offer(lab: LabSite, recipients: int = 1) -> tuple[int, str]:
    """The same in a session of its own."""
    with logged_in(lab) as session:
        return offered(session, recipients)


def test_postfix_alone_lets_people_log_in_and_send(alone: LabSite) -> None:
    assert offer(alone) == (354, "")
    listening = alone.host.sh("ss -H -ltn | awk '{print $4}' | sed 's/.*://' | sort -un | tr '\\n' ' '").split()
    assert {"25", "465", "587", "10587"} <= set(listening)
    assert "143" not in listening, "Courier's IMAP server is another playbook's"


def test_a_second_run_changes_nothing(alone: LabSite) -> None:
    printed = play(alone, "postfix")
    assert " changed=0 " in printed, printed


def test_a_membership_that_was_taken_away_comes_back_with_a_restart(alone: LabSite) -> None:
    before = alone.host.starts()
    members = alone.host.sh("gpasswd -d postfix courier >&2; gpasswd -a nobody courier >&2; getent group courier")
    assert members.endswith(":nobody")
    play(alone, "postfix")
    assert alone.host.sh("getent group courier").rpartition(":")[2].split(",") == ["nobody", "postfix"]
    assert alone.host.starts()["postfix@-"] != before["postfix@-"]
    alone.host.sh("gpasswd -d nobody courier")


def test_a_limiter_that_is_killed_comes_back_before_anybody_notices(alone: LabSite) -> None:
    alone.host.sh("kill -9 $(systemctl show -P MainPID policyd-rate-limit)")
    assert offer(alone) == (354, "")
    assert alone.host.sh("systemctl is-active policyd-rate-limit") == "active"


def test_without_the_limiter_submission_is_put_off_and_mail_comes_in(alone: LabSite) -> None:
    alone.host.sh("systemctl stop policyd-rate-limit")
    try:
        assert offer(alone) == POLICY_DOWN
        with smtplib.SMTP(address(alone), 25, timeout=60) as stranger:
            assert stranger.sendmail(STRANGER, [SENDER], "Subject: while it is away\n\n") == {}
    finally:
        alone.host.sh("systemctl start policyd-rate-limit")
    assert offer(alone) == (354, "")


def test_a_request_that_the_limiter_cannot_read_does_not_free_a_login_of_its_limit(alone: LabSite) -> None:
    alone.host.sh("systemctl stop policyd-rate-limit; rm -f /var/lib/policyd-rate-limit/db.sqlite3")
    alone.host.sh("systemctl start policyd-rate-limit")
    assert offer(alone, recipients=LIMIT) == (354, "")
    assert offer(alone) == OVER_THE_LIMIT
    with logged_in(alone) as session:
        # The request is longer than the limiter reads at once, and breaks within a letter at one of both.
        for name in ("e" + "é" * 480, "ee" + "é" * 480):
            assert session.sock
            session.sock.sendall(f"EHLO {name}\r\n".encode())
            session.getreply()
            assert offered(session) in (POLICY_DOWN, OVER_THE_LIMIT)


def test_what_a_login_has_sent_is_remembered_when_the_limiter_starts_again(alone: LabSite) -> None:
    alone.host.sh("systemctl restart policyd-rate-limit")
    assert offer(alone) == OVER_THE_LIMIT


def test_without_postscreen_smtpd_greets_a_stranger_itself(alone: LabSite) -> None:
    Lab.load(alone.name).up(settings={"postfix_postscreen": False, "postfix_login_recipients_per_hour": LIMIT})
    play(alone, "postfix")
    assert "postscreen" not in alone.host.sh("postconf -M smtp/inet; postconf -n")
    with smtplib.SMTP(address(alone), 25, timeout=5) as stranger:
        assert stranger.sendmail(STRANGER, [SENDER], "Subject: greeted at once\n\n") == {}
