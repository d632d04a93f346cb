# ruff: noqa: E501 - a table reads best with one case a line
"""The rules about a site's values that no specification can say."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils.finding import Finding, path_name, shown
from ansible_collections.valija.mailserver.plugins.module_utils.site import check_site
from ansible_collections.valija.mailserver.plugins.module_utils.site_names import (
    account_problem,
    address_problem,
    alias_problem,
    domain_problem,
    hostname_problem,
)

ALICE: dict[str, Any] = {"name": "alice", "password": "correct horse"}
HASH = "$6$saltsalt$" + "a" * 86


def site(**values: Any) -> dict[str, Any]:
    """A good site, with these values in it."""
    good = {
        "mail_domain": "example.org",
        "mail_hostname": "mail.example.org",
        "mail_domains": ["example.net"],
        "mail_postmaster": "alice",
        "mail_accounts": [ALICE],
        "mail_aliases": {"info": ["alice", "bob@example.com"]},
        "mail_inet_protocols": "all",
        "mail_message_size_mib": 25,
        "mail_squirrelmail_source": {"git": "https://git.example.com/x", "commit": "0" * 40},
    }
    return {**good, **values}


def account(**values: Any) -> dict[str, Any]:
    return site(mail_accounts=[ALICE, {"name": "bob", "password": "battery staple", **values}])


def told(values: dict[str, Any]) -> list[str]:
    return [f"{finding.name}: {finding.problem}" for finding in check_site(values)]


def test_a_good_site_has_no_findings() -> None:
    assert check_site(site()) == []


@pytest.mark.parametrize(
    "values",
    [
        site(mail_accounts=[{"name": "alice", "password_hash": HASH}]),
        account(state="disabled", password_hash=HASH, password=None)
        | {"mail_accounts": [ALICE, {"name": "bob", "state": "disabled"}]},
        site(
            mail_aliases={
                "info": "alice",
                "alice@example.net": ["alice"],
                "shop": ["alice+shop"],
                "x": ["info@example.net"],
            }
        ),
        site(mail_aliases={"webmaster": ["alice"], "abuse": ["alice"]}),
        site(mail_postmaster="alice@example.org"),
        site(mail_postmaster="somebody@example.com", mail_accounts=[]) | {"mail_aliases": {}},
        account(aliases=["robert", "bob.builder@example.net"]),
        site(mail_relayhost="[smtp.example.com]:587", mail_relayhost_username="x", mail_relayhost_password="y"),
        site(mail_relayhost="[2001:db8::1]:submission"),
        site(mail_relayhost="192.0.2.1"),
        site(mail_squirrelmail_source={"archive": "/tmp/x.tar", "sha256": "0" * 64}),
        {},
        {"mail_accounts": "text", "mail_aliases": [], "mail_domains": {}, "mail_message_size_mib": "many"},
    ],
)
def test_what_is_allowed_is_not_told(values: dict[str, Any]) -> None:
    assert told(values) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (account(name=False), "mail_accounts[1].name: is a YAML boolean, not text"),
        (account(name=12), "mail_accounts[1].name: is a YAML number, not a name"),
        (account(name="postmaster"), "mail_accounts[1].name: is an address that mail_postmaster reads"),
        (account(name="valija-probe"), "mail_accounts[1].name: is a name that Valija keeps for itself"),
        (account(password_hash=HASH), "mail_accounts[1]: has both password and password_hash"),
        (account(password=""), "mail_accounts[1].password: is empty"),
        (account(password="bob-bob-", name="bob-bob-"), "mail_accounts[1].password: is the name of the account"),
        (account(password="two\nlines ok"), "mail_accounts[1].password: holds a line end or another control character"),
        (account(password=HASH), "mail_accounts[1].password: is a password hash"),
        (account(full_name="Bob: builder"), "mail_accounts[1].full_name: holds a colon, a comma or a line end"),
        (account(full_name="Bob\nroot"), "mail_accounts[1].full_name: holds a colon, a comma or a line end"),
        (account(shell="bash"), "mail_accounts[1].shell: is not an absolute path"),
        (account(purge=True), "mail_accounts[1].purge: would delete the mail of an account that stays"),
        (account(aliases=["Robert"]), "mail_accounts[1].aliases[0]: has upper-case letters"),
        (account(aliases=[True]), "mail_accounts[1].aliases[0]: is a YAML boolean, not text"),
        (account(aliases=["alice"]), "mail_accounts[1].aliases[0]: is the name of an account"),
        (account(aliases=["info"]), "mail_accounts[1].aliases[0]: is there twice"),
        (account(aliases=["postmaster"]), "mail_accounts[1].aliases[0]: is read by mail_postmaster"),
        (account(aliases=["bob@example.com"]), "mail_accounts[1].aliases[0]: is an alias of a domain that is not served here"),
        (site(mail_aliases={"info": []}), "mail_aliases.info: leads nowhere"),
        (site(mail_aliases={"info": {}}), "mail_aliases.info: is not a list of targets"),
        (site(mail_aliases={"info": [1]}), "mail_aliases.info[0]: is a YAML number, not text"),
        (site(mail_aliases={"@example.org": ["alice"]}), "mail_aliases['@example.org']: has nothing before the @"),
        (site(mail_aliases={"a@b.example": ["alice"]}), "mail_aliases['a@b.example']: is an alias of a domain that is not served here"),
        (site(mail_aliases={"info": ["|/bin/sh"]}), "mail_aliases.info[0]: is neither an account, an alias nor an address"),
        (site(mail_aliases={"info": ["a b@example.com"]}), "mail_aliases.info[0]: is not an address"),
        (site(mail_aliases={"info": ["a@b_c.example"]}), "mail_aliases.info[0]: is an address whose domain contains an underscore"),
        (site(mail_aliases={"info": ["carol@example.net"]}), "mail_aliases.info[0]: is neither an account, an alias nor an address"),
        (site(mail_aliases={"info": ["info@example.org"]}), "mail_aliases.info: leads back to itself"),
        (site(mail_postmaster="info", mail_aliases={"info": ["root"]}), "mail_aliases.info: leads back to itself"),
        (site(mail_postmaster="abuse"), "mail_postmaster: leads back to itself"),
        (account(state="disabled") | {"mail_postmaster": "bob"}, "mail_postmaster: is an account that is disabled"),
        (account(state="absent") | {"mail_postmaster": "bob"}, "mail_postmaster: is an account that is absent"),
        (site(mail_domains=["a.example", "a.example"]), "mail_domains[1]: is there twice"),
        (site(mail_domains=[False]), "mail_domains[0]: is a YAML boolean, not text"),
        (site(mail_message_size_mib=0), "mail_message_size_mib: is not above zero"),
        (site(mail_relayhost="smtp example"), "mail_relayhost: is not a smarthost as Postfix writes it"),
        (site(mail_relayhost="[smtp.example.com]:70000"), "mail_relayhost: has a port that does not exist"),
        (site(mail_relayhost="smtp"), "mail_relayhost: has a host name that is not a full name"),
        (site(mail_relayhost_username="x"), "mail_relayhost_username: has no smarthost to log in to"),
        (site(mail_relayhost_password="x"), "mail_relayhost_password: has no user name"),
        (site(mail_squirrelmail_source={}), "mail_squirrelmail_source: has neither git nor archive"),
        (site(mail_squirrelmail_source={"git": "x", "archive": "y"}), "mail_squirrelmail_source: has both git and archive"),
        (site(mail_squirrelmail_source={"archive": "y"}), "mail_squirrelmail_source: has no sha256"),
        (site(mail_squirrelmail_source={"git": "x", "commit": "main"}), "mail_squirrelmail_source.commit: is not 40 hexadecimal digits"),
        (site(mail_squirrelmail_source={"git": "x", "commit": "0" * 40, "sha256": "0" * 64}), "mail_squirrelmail_source.sha256: does not go with git"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_alone(values: dict[str, Any], expected: str) -> None:
    assert told(values) == [expected]


def test_a_loop_is_shown_as_a_chain_and_told_once() -> None:
    findings = check_site(site(mail_aliases={"a": ["b"], "b": ["c", "alice"], "c": ["a"], "d": ["a"]}))
    assert [finding.value for finding in findings] == ["a -> b -> c -> a"]


def test_no_finding_shows_a_password() -> None:
    wrong = site(
        mail_accounts=[{"name": "Alice", "password": "s3cr3t"}, {"name": "bob", "password_hash": "s3cr3t-hash"}],
        mail_relayhost_password="s3cr3t",
    )
    assert not [finding.text for finding in check_site(wrong) if "s3cr3t" in finding.text]


@pytest.mark.parametrize(
    "domain", ["example.org", "xn--bcher-kva.example", "1und1.example", "a-b.c.d.example", "ex.test"]
)
def test_good_domains(domain: str) -> None:
    assert domain_problem(domain) is None


@pytest.mark.parametrize(
    ("domain", "problem"),
    [
        ("", "is empty"),
        ("exam ple.org", "contains a space"),
        ("alice@example.org", "is an address, not a domain"),
        ("bücher.example", "has letters outside ASCII"),
        ("Example.org", "has upper-case letters"),
        ("ex_ample.org", "contains an underscore"),
        ("example..org", "has an empty part"),
        ("example.org.", "has an empty part"),
        ("example", "has no dot"),
        ("-x.example", "has the bad part '-x'"),
        ("a" * 64 + ".example", f"has the bad part '{'a' * 64}'"),
        (".".join(["a" * 60] * 5), "is longer than 253 characters"),
        ("192.0.2.1", "is a number, as IP addresses are"),
    ],
)
def test_bad_domains(domain: str, problem: str) -> None:
    verdict = domain_problem(domain)
    assert verdict is not None and verdict[0] == problem


def test_a_hostname_needs_its_domain() -> None:
    assert hostname_problem("mail.example.org") is None
    assert hostname_problem("mail") == ("is not a full name", "Write it with its domain, for example mail.example.org.")


@pytest.mark.parametrize("name", ["alice", "a", "b.ob", "x-1", "a_b", "a" * 32])
def test_good_login_names(name: str) -> None:
    assert account_problem(name) is None


@pytest.mark.parametrize(
    "name", ["", "1a", "a.", "a..b", ".a", "-a", "_a", "a b", "a:b", "a\n", "é", "a" * 33, "root", "www-data", "systemd-x"]
)  # fmt: skip
def test_bad_login_names(name: str) -> None:
    assert account_problem(name) is not None


def test_local_parts_and_addresses() -> None:
    assert alias_problem("first.last") is None
    assert alias_problem("a" * 65) is not None
    assert alias_problem("a b") is not None
    assert address_problem("o'hara+x@Example.COM") is None
    assert address_problem("a..b@example.com") is not None


def test_paths_and_values_are_written_on_one_line() -> None:
    assert path_name(("mail_aliases", "a@b.example", 0)) == "mail_aliases['a@b.example'][0]"
    assert shown("a\nb") == r"'a\nb'"
    assert shown({"password": "x"}) == "a mapping of 1"
    assert len(shown("x" * 500)) < 100
    assert Finding(("x",), None, "is not set", "Set it.").text == "x: is not set. Set it."
