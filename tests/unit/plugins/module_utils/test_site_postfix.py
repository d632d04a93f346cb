"""Rules about block lists and the limits of Postfix."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils.site_postfix import check_postfix


def told(**values: Any) -> list[str]:
    return [finding.text for finding in check_postfix(values)]


@pytest.mark.parametrize(
    "site",
    ["bl.test", "zen.example.net*2", "zen.example.net=127.0.0.[2..11]*3", "list.example.org=127.0.[0..255].[1;3]*-2"],
)
def test_a_block_list_as_postscreen_writes_it_is_good(site: str) -> None:
    assert told(mail_dnsbl_sites=[site]) == []


@pytest.mark.parametrize(
    "site", ["", "zen.example.net, other.example.net", "https://bl.test", "bl.test*two", "bl.test="]
)
def test_what_postscreen_could_not_read_is_told(site: str) -> None:
    (text,) = told(mail_dnsbl_sites=["bl.test", site])
    assert text.startswith("mail_dnsbl_sites[1]")


def test_a_list_that_is_no_text_is_told() -> None:
    assert len(told(mail_dnsbl_sites=[True])) == 1


@pytest.mark.parametrize(
    ("name", "bad", "good"),
    [
        ("postfix_postscreen_greet_wait_seconds", 0, 2),
        ("postfix_postscreen_dnsbl_threshold", 0, 3),
        ("postfix_recipients_per_message", 99, 100),
        ("postfix_client_connections", -1, 0),
        ("postfix_client_connections_per_minute", -1, 0),
        ("postfix_client_tls_sessions_per_minute", -1, 0),
        ("postfix_client_messages_per_minute", -1, 0),
        ("postfix_client_recipients_per_minute", -1, 0),
        ("postfix_client_logins_per_minute", -1, 0),
        ("postfix_login_recipients_per_hour", 0, 1),
        ("postfix_login_recipients_per_day", 0, 1),
    ],
)
def test_a_limit_out_of_bounds_is_told(name: str, bad: int, good: int) -> None:
    (text,) = told(**{name: bad})
    assert text.startswith(name)
    assert told(**{name: good}) == []


def test_a_day_allows_what_an_hour_does() -> None:
    (text,) = told(postfix_login_recipients_per_hour=300, postfix_login_recipients_per_day=200)
    assert text.startswith("postfix_login_recipients_per_day")
