"""What a site may write in `mail_accounts`, by case files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.valija.mailserver.plugins.module_utils.account import PASSWORD_BYTES, Account, read_accounts

CASES = yaml.safe_load((Path(__file__).parent / "data" / "account_cases.yml").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_list_is_read_or_refused_line_by_line(case: dict[str, Any]) -> None:
    accounts, refusals = read_accounts(case["accounts"])
    lines = [str(refusal) for refusal in refusals]
    expected = case.get("refused", [])
    assert len(lines) == len(expected), lines
    for line, part in zip(lines, expected, strict=True):
        assert part in line
    if not expected:
        assert [account.name for account in accounts] == [item["name"] for item in case["accounts"]]


def test_no_refusal_quotes_a_password() -> None:
    secret = "hunter2 is secret\n"
    for key in ("password", "password_hash"):
        _, refusals = read_accounts([{"name": "alice", key: secret}, {"name": 5, key: secret}])
        assert refusals
        assert "hunter2" not in "\n".join(map(str, refusals))


def test_a_password_may_be_long_up_to_a_limit() -> None:
    assert not read_accounts([{"name": "alice", "password": "x" * PASSWORD_BYTES}])[1]
    assert read_accounts([{"name": "alice", "password": "ö" * PASSWORD_BYTES}])[1]


def test_what_is_not_written_has_its_default() -> None:
    accounts, _ = read_accounts([{"name": "alice", "full_name": "", "aliases": ["a"]}])
    assert accounts == [Account(name="alice", shell="/usr/sbin/nologin", state="present")]
    assert not accounts[0].may_log_in
