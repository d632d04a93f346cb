"""Who may send under an alias: the accounts that it reaches, by whatever way, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils.sender_logins import sender_logins

ACCOUNTS: list[dict[str, Any]] = [
    {"name": "alice", "aliases": ["Al", "al.ice", "ice@second.test"]},
    {"name": "bob", "state": "disabled"},
    {"name": "gone", "state": "absent", "aliases": ["former"]},
]
DOMAINS = ["example.test", "second.test"]


def table(aliases: dict[str, Any], postmaster: str = "alice") -> dict[str, list[str]]:
    return sender_logins(aliases, ACCOUNTS, postmaster, DOMAINS)


def test_an_accounts_own_aliases_are_its_own() -> None:
    found = table({})
    assert found["al"] == found["al.ice"] == found["ice@second.test"] == ["alice"]
    assert "former" not in found
    assert "alice" not in found  # its own name is found in passwd(5)


def test_the_role_addresses_are_their_persons() -> None:
    found = table({})
    assert found["postmaster"] == found["abuse"] == found["root"] == ["alice"]
    elsewhere = table({}, postmaster="team@remote.test")
    assert "postmaster" not in elsewhere and "abuse" not in elsewhere


@pytest.mark.parametrize(
    ("aliases", "name", "logins"),
    [
        ({"sales": ["alice", "bob"]}, "sales", ["alice", "bob"]),
        ({"sales": "alice"}, "sales", ["alice"]),
        ({"SALES": ["Alice"]}, "sales", ["alice"]),
        ({"all": ["sales", "carol"], "sales": ["bob"]}, "all", ["bob", "carol"]),
        ({"sales": ["bob", "partner@remote.test"]}, "sales", ["bob"]),
        ({"info@second.test": ["bob"]}, "info@second.test", ["bob"]),
        ({"info@second.test": ["bob@example.test"]}, "info@second.test", ["bob"]),
        ({"info@second.test": ["sales@example.test"], "sales": ["bob"]}, "info@second.test", ["bob"]),
        ({"info@second.test": ["info@example.test"], "info@example.test": ["bob"]}, "info@second.test", ["bob"]),
        ({"loop": ["pool", "bob"], "pool": ["loop"]}, "loop", ["bob"]),
        # Mail to bob goes to alice as well, or instead: both are bob's senders, for bob logs in as bob.
        ({"bob": ["bob", "alice"]}, "bob", ["alice", "bob"]),
        ({"bob": ["alice"]}, "bob", ["alice", "bob"]),
    ],
)
def test_an_alias_belongs_to_the_accounts_at_its_ends(aliases: dict[str, Any], name: str, logins: list[str]) -> None:
    assert table(aliases)[name] == logins


@pytest.mark.parametrize("target", ["partner@remote.test", "info"])
def test_a_name_that_reaches_nobody_here_has_no_login(target: str) -> None:
    assert "info" not in table({"info": [target]})


def test_an_address_elsewhere_in_one_of_our_names_is_not_ours() -> None:
    assert "x" not in table({"x": ["alice@remote.test"]})
