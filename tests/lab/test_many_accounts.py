"""Ten thousand accounts from a table, in one call; and programs of others, at the same time, lose nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils.hashing import hash_password

from .conftest import LabSite, Run, summary_of

pytestmark = pytest.mark.slow

MANY = 10_000
PASSWORD = "a word for everybody"

# Until it is told to stop: make a user, give it a password, and note what went well.
OTHERS = """
rm -f /run/others-stop /run/others-done; number=0
until [ -e /run/others-stop ]; do
    number=$((number + 1))
    useradd -M other$number && echo other$number:word$number | chpasswd && echo other$number >>/run/others-done
done
"""


def apply_accounts(lab: LabSite, count: int) -> Run:
    """Write a table of so many accounts, and bring the accounts of the host to it."""
    made = hash_password(PASSWORD)
    rows = "".join(f"user{number:05},{made},User {number}\n" for number in range(count))
    (lab.path / "accounts.csv").write_text(f"name,password_hash,full_name\n{rows}")
    return lab.valija("apply", "--json", "--tags", "accounts", "-e", "mail_accounts_file=accounts.csv")


def ours(lab: LabSite) -> set[str]:
    """The accounts of Valija on the host."""
    return set(
        lab.host.sh("awk -F: -v g=$(getent group valija | cut -d: -f3) '$4 == g {print $1}' /etc/passwd").split()
    )


def test_others_who_make_users_and_passwords_meanwhile_lose_nothing(converged: LabSite) -> None:
    with ThreadPoolExecutor(1) as beside:
        others = beside.submit(converged.host.sh, OTHERS, check=False)
        try:
            runs = [apply_accounts(converged, count) for count in (500, 1_000, 1_500)]
        finally:
            converged.host.sh("touch /run/others-stop")
        others.result(timeout=120)
    assert [run.code for run in runs] == [0, 0, 0], "\n".join(run.output for run in runs)
    done = converged.host.sh("cat /run/others-done").split()
    assert len(done) > 10
    known = set(converged.host.sh("cut -d: -f1 /etc/passwd").split())
    with_password = set(converged.host.sh("grep -F ':$' /etc/shadow | cut -d: -f1").split())
    assert set(done) - known == set()
    assert set(done) - with_password == set()
    assert {f"user{number:05}" for number in range(1_500)} <= ours(converged)
    converged.host.sh("pwck -r -q && grpck -r")


def test_ten_thousand_accounts_come_in_one_call_and_a_second_run_changes_nothing(converged: LabSite) -> None:
    run = apply_accounts(converged, MANY)
    assert run.code == 0, run.output
    assert summary_of(run)["remote_calls"] == {converged.host.name: 3}  # prepare, accounts, finish
    assert {f"user{number:05}" for number in range(MANY)} <= ours(converged)
    assert converged.host.sh("ls -d /home/user*/Maildir/new | wc -l") == str(MANY)
    converged.host.sh("pwck -r -q && grpck -r")
    again = converged.valija("apply", "--json", "--tags", "accounts", "-e", "mail_accounts_file=accounts.csv")
    assert summary_of(again)["changed"] == 0
