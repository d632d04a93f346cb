"""Who receives the mail to a name."""

from __future__ import annotations

from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils.aliases import address_aliases, local_aliases
from ansible_collections.valija.mailserver.plugins.module_utils.site_names import ROLE_ADDRESSES

ACCOUNTS: list[dict[str, Any]] = [{"name": "alice", "aliases": ["info"]}, {"name": "bob"}]


def names(table: dict[str, list[str]]) -> dict[str, list[str]]:
    """A table without the role addresses."""
    return {name: targets for name, targets in table.items() if name not in ROLE_ADDRESSES}


def test_the_role_addresses_lead_to_the_postmaster() -> None:
    table = local_aliases({}, ACCOUNTS, "alice")
    assert table["postmaster"] == ["alice"]
    assert {table[name][0] for name in ROLE_ADDRESSES if name != "postmaster"} == {"postmaster"}
    assert names(table) == {"info": ["alice"]}


def test_a_name_that_the_site_gave_to_somebody_stays_there() -> None:
    table = local_aliases({"abuse": ["bob"]}, [*ACCOUNTS, {"name": "webmaster"}], "alice")
    assert table["abuse"] == ["bob"]
    assert "webmaster" not in table


def test_a_postmaster_with_an_account_of_that_name_is_no_loop() -> None:
    table = local_aliases({}, [{"name": "postmaster"}], "postmaster")
    assert "postmaster" not in table
    assert table["root"] == ["postmaster"]


def test_a_role_address_as_postmaster_is_no_loop() -> None:
    table = local_aliases({}, [{"name": "security"}], "security")
    assert table["postmaster"] == ["security"]
    assert "security" not in table


def test_the_postmaster_may_read_elsewhere() -> None:
    assert local_aliases({}, [], "ops@example.net")["postmaster"] == ["ops@example.net"]


def test_an_absent_account_takes_its_aliases_away() -> None:
    carol = {"name": "carol", "state": "absent", "aliases": ["cc"]}
    assert names(local_aliases({}, [carol], "alice")) == {}


def test_a_disabled_account_keeps_its_aliases() -> None:
    dave = {"name": "dave", "state": "disabled", "aliases": ["dd"]}
    assert names(local_aliases({}, [dave], "alice")) == {"dd": ["dave"]}


def test_names_are_folded_and_targets_listed_once() -> None:
    assert local_aliases({"Info": ["bob", "alice"]}, ACCOUNTS, "alice")["info"] == ["alice", "bob"]


def test_a_name_with_a_domain_holds_in_that_domain_alone() -> None:
    wanted = {"sales@second.example.org": ["alice"], "sales": ["bob"]}
    assert address_aliases(wanted) == {"sales@second.example.org": ["alice"]}
    assert names(local_aliases(wanted, [], "alice")) == {"sales": ["bob"]}


def test_an_account_has_whole_addresses_among_its_aliases() -> None:
    eve = {"name": "eve", "aliases": ["ev", "Info@second.example.org"]}
    gone = {"name": "gone", "state": "absent", "aliases": ["former@second.example.org"]}
    assert names(local_aliases({}, [eve, gone], "alice")) == {"ev": ["eve"]}
    assert address_aliases({}, [eve, gone]) == {"info@second.example.org": ["eve"]}
