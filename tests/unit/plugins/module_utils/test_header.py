"""The header of the files that are ours."""

from __future__ import annotations

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils.header import header, is_managed


def test_the_header_says_who_owns_the_file_and_what_happens_to_changes() -> None:
    assert header("postfix") == "# Managed by Valija, role postfix: changes made here are lost."


@pytest.mark.parametrize("sign", ["#", ";", "//"])
def test_a_file_with_the_header_is_known_as_ours(sign: str) -> None:
    assert is_managed(f"<?php\n{header('squirrelmail', sign)}\n$domain = 'example.org';\n")


def test_a_file_of_somebody_else_is_not_ours() -> None:
    assert not is_managed("# See /usr/share/postfix/main.cf.dist\nmyhostname = mail\n")
