"""The options of `valija lab` say what they mean."""

from __future__ import annotations

import pytest

from valija.commands.lab import parse_settings
from valija.errors import InputError


def test_a_setting_is_yaml_or_else_text() -> None:
    assert parse_settings(("mail_relayhost=[mx.test]:587",)) == {"mail_relayhost": "[mx.test]:587"}
    assert parse_settings(("mail_webmail=none", "mail_domains=[a.test, b.test]", "mail_message_size_mib=5")) == {
        "mail_webmail": "none",
        "mail_domains": ["a.test", "b.test"],
        "mail_message_size_mib": 5,
    }


@pytest.mark.parametrize("pair", ["mail_webmail", "=x", "two words=1"])
def test_a_setting_that_cannot_be_read_is_refused(pair: str) -> None:
    with pytest.raises(InputError):
        parse_settings((pair,))
