"""All specifications together, against variables as Ansible loads them from a site."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from ansible_collections.valija.mailserver.plugins.plugin_utils import places, role_specs
from ansible_collections.valija.mailserver.plugins.plugin_utils.specs import PREFIXES, findings

ROLES = ["mail", "accounts", "postfix", "courier", "apache", "squirrelmail"]
GOOD = "mail_domain: example.org\nmail_postmaster: alice\nmail_accounts:\n  - {name: alice, password: correct horse}\n"

Told = Callable[..., list[str]]


@pytest.fixture(scope="module", autouse=True)
def plugins() -> None:
    """Ansible finds the collection's filters, as it does inside a play."""
    init_plugin_loader([])


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    """The findings for a site with this text as its mail.yml, and further variables as a play would add them."""

    def ask(text: str, roles: list[str] | None = None, **more: Any) -> list[str]:
        path = tmp_path / "group_vars" / "all" / "mail.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        loader = DataLoader()
        values = loader.load_from_file(str(path), trusted_as_template=True)
        variables = {"inventory_dir": str(tmp_path), "inventory_file": str(tmp_path / "hosts.yml"), **more, **values}
        return findings(roles or ROLES, variables, Templar(loader=loader, variables=variables))

    return ask


def test_a_good_site_has_none_for_all_roles_before_anything_is_known_of_the_host(told: Told) -> None:
    assert told(GOOD) == []


def test_values_in_a_play_come_with_the_roles_defaults(told: Told) -> None:
    (line,) = told(GOOD.replace("example.org", "exam ple.org"), **role_specs.variables_of_all(ROLES))
    assert line.startswith("group_vars/all/mail.yml:1: mail_domain: contains a space")


def test_a_later_roles_value_is_judged_only_when_the_role_is_asked_for(told: Told) -> None:
    text = GOOD + "squirrelmail_php_processes: many\n"
    assert told(text, roles=["postfix"]) == []
    assert told(text) == [
        "group_vars/all/mail.yml:5: squirrelmail_php_processes: is not a whole number: 'many'. Write digits alone."
    ]


def test_what_only_follows_from_a_missing_domain_is_not_told(told: Told) -> None:
    text = GOOD.replace("mail_domain: example.org\n", "") + 'mail_hostname: "mx.{{ mail_domain }}"\n'
    (line,) = told(text)
    assert line.startswith("group_vars/all/mail.yml: mail_domain: is not set.")


def test_findings_stand_in_the_order_of_the_file(told: Told) -> None:
    text = "mail_message_size_mib: -1\nmail_domian: x\n" + GOOD + "mail_webmail: rondcube\n"
    assert [line.split(":")[1] for line in told(text)] == ["1", "2", "7"]


@pytest.mark.parametrize(
    "secret",
    [
        "mail_relayhost_password: [hunter22]",
        "mail_relayhost_password: {hunter22: hunter22}",
        "mail_relayhost_password: 2222222222",
        "mail_relayhost_password: hunter22",
        "mail_accounts: {alice: hunter22}",
        "mail_accounts: [{name: bob, password: [hunter22]}, hunter22]",
        "mail_accounts: [{name: bob, password: 2222222222}]",
        "mail_accounts: [{name: bob, password_hash: hunter22}]",
        "mail_accounts: [{name: bob, password: 'hunter22 {{ nothing }}'}]",
    ],
)
def test_a_secret_is_told_without_its_value(secret: str, told: Told) -> None:
    lines = told(f"mail_domain: example.org\nmail_postmaster: x@example.com\n{secret}\n")
    assert lines
    assert not [line for line in lines if "hunter22" in line or "2222222222" in line]


def test_every_prefix_of_ours_is_guarded_and_nobody_elses(told: Told) -> None:
    names = [f"{prefix}nonsense" for prefix in PREFIXES]
    text = GOOD + "".join(f"{name}: 1\n" for name in [*names, "mailman_x", "prove_peer", "vault_x"])
    lines = told(text)
    assert [line.split(": ")[1] for line in lines] == names


def test_another_roles_defaults_with_our_prefix_are_its_own_affair(told: Told, tmp_path: Path) -> None:
    other = tmp_path / "roles" / "postfix" / "defaults"
    other.mkdir(parents=True)
    (other / "main.yml").write_text("postfix_of_somebody_else: text\n", encoding="utf-8")
    more = DataLoader().load_from_file(str(other / "main.yml"), trusted_as_template=True)
    assert told(GOOD, **more) == []


def test_templates_are_resolved_before_they_are_judged(told: Told) -> None:
    text = GOOD + "size: -4\nmail_message_size_mib: '{{ size }}'\nmail_domains: '{{ [mail_domain] }}'\n"
    assert told(text) == [
        "group_vars/all/mail.yml:1: mail_domains[0]: is there twice: 'example.org'. "
        "Remove it: mail_domain counts as well.",
        "group_vars/all/mail.yml:6: mail_message_size_mib: is not above zero: -4. "
        "Write the largest message in MiB, for example 25.",
    ]


def test_null_is_told_as_empty(told: Told) -> None:
    (line,) = told(GOOD + "mail_relayhost:\n")
    assert line == "group_vars/all/mail.yml:5: mail_relayhost: is empty. Write a value, or remove the line."


def test_places_are_searched_for_where_ansible_keeps_no_origin(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "Origin", None)
    (line,) = told(GOOD + "mail_message_size_mib: -1\n")
    assert line.startswith("group_vars/all/mail.yml:5: mail_message_size_mib: is not above zero")


def test_a_missing_value_is_to_be_set_where_the_site_keeps_its_values(told: Told, tmp_path: Path) -> None:
    (line,) = told(GOOD.replace("mail_postmaster: alice\n", ""))
    assert line.startswith("group_vars/all/mail.yml: mail_postmaster: is not set. Set it here: ")


def test_every_profile_says_the_same_things() -> None:
    variables = role_specs.variables_of("mail")
    profiles = {name: value for name, value in variables.items() if name.startswith("__mail_profile_")}
    choices = role_specs.options_of("mail")["mail_profile"]["choices"]
    assert sorted(profiles) == sorted(f"__mail_profile_{choice}" for choice in choices)
    assert len({frozenset(profile) for profile in profiles.values()}) == 1
    assert profiles["__mail_profile_tutorial"]["inet_protocols"] == "ipv4"


FILED = GOOD + "mail_accounts_file: accounts.csv\n"


def test_the_rows_of_the_accounts_file_are_judged_with_the_list(told: Told, tmp_path: Path) -> None:
    rows = "name,password,aliases\nbob,correct horse,al\nalice,correct horse,\nCarol,correct horse,al\nbob,short,\n"
    (tmp_path / "accounts.csv").write_text(rows, encoding="utf-8")
    lines = told(FILED)
    assert [line.split(": ")[:3] for line in lines] == [
        ["accounts.csv:3", "name", "is there twice"],
        ["accounts.csv:4", "aliases[0]", "is there twice"],
        ["accounts.csv:4", "name", "has upper-case letters"],
        ["accounts.csv:5", "name", "is there twice"],
        ["accounts.csv:5", "password", "is shorter than 8 characters. Set a longer password."],
    ]
    assert "It is mail_accounts[0] already" in lines[0]
    assert "It is line 2 of mail_accounts_file already" in lines[3]


def test_an_accounts_file_that_cannot_be_read_is_told_where_it_is_named(told: Told) -> None:
    (line,) = told(FILED)
    assert line.startswith(
        "group_vars/all/mail.yml:5: mail_accounts_file: names a file that cannot be read (No such file"
    )


def test_aliases_may_lead_to_accounts_of_the_file(told: Told, tmp_path: Path) -> None:
    (tmp_path / "accounts.csv").write_text("name,password\nbob,correct horse\n", encoding="utf-8")
    assert told(FILED + "mail_aliases: {info: bob}\n") == []


ALIASED = GOOD + "mail_aliases: {info: alice}\nmail_aliases_file: aliases\n"


def test_the_lines_of_the_aliases_file_are_judged_with_the_table(told: Told, tmp_path: Path) -> None:
    text = (
        "# ours\nsales: alice,\n  alcie\ninfo: alice\nalice: info\nlog: |cat\nx@elsewhere.test: alice\n"
        "one: two\ntwo: one\nno colon\n"
    )
    (tmp_path / "aliases").write_text(text, encoding="utf-8")
    assert told(ALIASED) == [
        "aliases:2: sales: is neither an account, an alias nor an address: 'alcie'. Did you mean 'alice'?",
        "aliases:4: info: is there twice: 'info'. Give it all its targets in one place.",
        "aliases:5: alice: is the name of an account: 'alice'. Its mail would no longer reach the account: give the "
        "alias another name.",
        "aliases:6: log: leads to a program, a file or an include: '|cat'. Name accounts, aliases or addresses: "
        "programs, files and includes are not run from here.",
        "aliases:7: x@elsewhere.test: is an alias of a domain that is not served here: 'x@elsewhere.test'. Add the "
        "domain to mail_domains, or write the name without it.",
        "aliases:8: one: leads back to itself: 'one -> two -> one'. Let one of them lead to an account or to an "
        "address elsewhere.",
        "aliases:10: the line is no alias. Write `name: target`, several targets with commas between them.",
    ]


def test_aliases_of_the_file_may_lead_to_those_of_the_table_and_the_other_way_round(told: Told, tmp_path: Path) -> None:
    (tmp_path / "aliases").write_text("Sales: info\n", encoding="utf-8")
    assert told(ALIASED.replace("{info: alice}", "{info: alice, shop: sales}")) == []


def test_an_aliases_file_that_cannot_be_read_is_told_where_it_is_named(told: Told) -> None:
    (line,) = told(ALIASED)
    assert line.startswith(
        "group_vars/all/mail.yml:6: mail_aliases_file: names a file that cannot be read (No such file"
    )


def test_ten_thousand_aliases_of_a_thousand_domains_are_judged_soon(told: Told, tmp_path: Path) -> None:
    domains = [f"d{number}.example.net" for number in range(1_000)]
    lines = "".join(f"name{number}@{domains[number % 1_000]}: alice\n" for number in range(10_000))
    (tmp_path / "aliases").write_text(lines, encoding="utf-8")
    begun = time.process_time()
    assert told(f"{GOOD}mail_aliases_file: aliases\nmail_domains: [{', '.join(domains)}]\n") == []
    assert time.process_time() - begun < 3


def test_a_table_with_thousands_of_faults_is_told_in_part_and_soon(told: Told, tmp_path: Path) -> None:
    rows = "".join(f"user{number},short,\n" for number in range(10_000))
    (tmp_path / "accounts.csv").write_text(f"name,password,aliases\n{rows}", encoding="utf-8")
    begun = time.process_time()
    lines = told(FILED)
    assert time.process_time() - begun < 5
    assert len(lines) == 201
    assert lines[-1] == "... and 9800 findings more."
