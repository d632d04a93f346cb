"""Who receives the mail to a name."""

from __future__ import annotations

from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils.aliases import address_aliases, local_aliases

ROLES = ["abuse", "hostmaster", "root"]
ACCOUNTS: list[dict[str, Any]] = [{"name": "alice", "aliases": ["info"]}, {"name": "bob"}]


def test_the_names_of_rfc_2142_lead_to_the_postmaster() -> None:
    assert local_aliases({}, ACCOUNTS, "alice", ROLES) == {
        "abuse": ["postmaster"],
        "hostmaster": ["postmaster"],
        "info": ["alice"],
        "postmaster": ["alice"],
        "root": ["postmaster"],
    }


def test_a_name_that_the_site_gave_to_somebody_stays_there() -> None:
    table = local_aliases({"abuse": ["bob"]}, [*ACCOUNTS, {"name": "hostmaster"}], "alice", ROLES)
    assert table["abuse"] == ["bob"]
    assert "hostmaster" not in table


def test_a_postmaster_with_an_account_of_that_name_is_no_loop() -> None:
    table = local_aliases({}, [{"name": "postmaster"}], "postmaster", ROLES)
    assert "postmaster" not in table
    assert table["root"] == ["postmaster"]


def test_a_role_name_as_postmaster_is_no_loop() -> None:
    table = local_aliases({}, [{"name": "abuse"}], "abuse", ROLES)
    assert table["postmaster"] == ["abuse"]
    assert "abuse" not in table


def test_the_postmaster_may_read_elsewhere() -> None:
    assert local_aliases({}, [], "ops@example.net")["postmaster"] == ["ops@example.net"]


def test_an_absent_account_takes_its_aliases_away() -> None:
    assert local_aliases({}, [{"name": "carol", "state": "absent", "aliases": ["cc"]}], "") == {}


def test_a_disabled_account_keeps_its_aliases() -> None:
    assert local_aliases({}, [{"name": "dave", "state": "disabled", "aliases": ["dd"]}], "") == {"dd": ["dave"]}


def test_names_are_folded_and_targets_listed_once() -> None:
    assert local_aliases({"Info": ["bob", "alice"]}, ACCOUNTS, "")["info"] == ["alice", "bob"]


def test_a_name_with_a_domain_holds_in_that_domain_alone() -> None:
    wanted = {"sales@second.example.org": ["alice"], "sales": ["bob"]}
    assert address_aliases(wanted) == {"sales@second.example.org": ["alice"]}
    assert local_aliases(wanted, [], "") == {"sales": ["bob"]}
