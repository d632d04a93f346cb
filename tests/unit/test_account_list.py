"""`mail_accounts` edited in place: only the place that is meant changes, whatever way the list is written."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest
import yaml

from valija import account_list
from valija.errors import InputError
from valija.skeleton import SiteHost, write_site

HASH = "$y$j8T$salt$hash"
ERIN = {"name": "erin", "full_name": "Erin O'Hara", "password_hash": HASH}

INDENTED = """---
# A site.
mail_domain: example.org

mail_accounts:
  # the first
  - name: alice   # she
    password: "{{ vault_passwords['alice'] }}"  # in the vault
    aliases: [a, b]
  - {name: bob, password: 'b: "b"', state: disabled}

  - name: carol
    password: !vault |
      $ANSIBLE_VAULT;1.1;AES256
      6162

# More that can be set.
# mail_domains: []
mail_webmail: none
"""
FLUSH = """mail_accounts:
- full_name: Alice
  name: alice
- name: bob
  password_hash: $6$old$hash # made by hand
  state: present
"""
FLOW = "mail_accounts: [{name: alice, password: x}, {name: bob}] # all\n"
EMPTY = "mail_accounts: []  # nobody yet\nmail_domain: example.org\n"
LAST = "mail_accounts:\n  - name: alice"


def changed_lines(old: str, new: str) -> list[str]:
    return [line for line in difflib.ndiff(old.splitlines(), new.splitlines()) if line[0] in "+-"]


def accounts_of(text: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = yaml.safe_load(text.replace("!vault ", ""))["mail_accounts"]
    return found


@pytest.mark.parametrize(
    "text", [INDENTED, FLUSH, FLOW, EMPTY, LAST], ids=["indented", "flush", "flow", "empty", "last"]
)
def test_a_new_account_comes_last_and_nothing_else_changes(text: str) -> None:
    new = account_list.with_account(text, ERIN)
    assert accounts_of(new) == [*accounts_of(text), ERIN]
    if text not in (FLOW, EMPTY, LAST):
        assert [line[0] for line in changed_lines(text, new)] == ["+"] * 3


def test_a_new_account_stands_before_the_comments_that_follow_the_list() -> None:
    new = account_list.with_account(INDENTED, ERIN)
    assert new.index("erin") < new.index("# More that can be set.")


@pytest.mark.parametrize(
    ("text", "name", "lines"),
    [
        (
            INDENTED,
            "alice",
            [
                "-     password: \"{{ vault_passwords['alice'] }}\"  # in the vault",
                f'+     password_hash: "{HASH}"  # in the vault',
            ],
        ),
        (
            INDENTED,
            "bob",
            [
                "-   - {name: bob, password: 'b: \"b\"', state: disabled}",
                f'+   - {{name: bob, password_hash: "{HASH}", state: disabled}}',
            ],
        ),
        (
            INDENTED,
            "carol",
            [
                "-     password: !vault |",
                "-       $ANSIBLE_VAULT;1.1;AES256",
                "-       6162",
                f'+     password_hash: "{HASH}"',
            ],
        ),
        (FLUSH, "alice", [f'+   password_hash: "{HASH}"']),
        (
            FLUSH,
            "bob",
            ["-   password_hash: $6$old$hash # made by hand", f'+   password_hash: "{HASH}" # made by hand'],
        ),
        (LAST, "alice", [f'+     password_hash: "{HASH}"']),
    ],
)
def test_a_new_password_takes_the_place_of_the_old(text: str, name: str, lines: list[str]) -> None:
    new = account_list.with_password_hash(text, name, HASH)
    assert sorted(changed_lines(text, new)) == sorted(lines)
    assert next(one for one in accounts_of(new) if one["name"] == name)["password_hash"] == HASH


def test_an_account_in_a_flow_list_gets_its_first_password() -> None:
    new = account_list.with_password_hash(FLOW, "bob", HASH)
    assert accounts_of(new) == [{"name": "alice", "password": "x"}, {"name": "bob", "password_hash": HASH}]


def test_what_cannot_be_edited_safely_is_refused() -> None:
    anchored = "mail_accounts:\n  - &a\n    name: alice\n  - *a\n"
    with pytest.raises(InputError, match="by hand"):
        account_list.with_password_hash(anchored, "alice", HASH)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    accounts = [{"name": "alice", "password": "one two three"}]
    write_site(tmp_path, domain="example.org", hosts=[SiteHost("mail")], accounts=accounts, postmaster="alice")
    return tmp_path


def test_the_file_of_a_new_site_is_found_and_keeps_its_mode(site: Path) -> None:
    file = account_list.the_file([str(site)])
    assert file.path == site / "group_vars/all/mail.yml"
    assert file.names == ["alice"]
    file.path.chmod(0o640)
    file.write(account_list.with_account(file.text, ERIN))
    assert account_list.the_file([str(site)], "erin").names == ["alice", "erin"]
    assert file.path.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in file.path.parent.iterdir()) == ["mail.yml", "secrets.yml"]


def test_a_list_in_several_files_is_edited_where_the_account_is(site: Path) -> None:
    other = site / "host_vars" / "mail.yml"
    other.parent.mkdir()
    other.write_text("mail_accounts:\n  - name: zoe\n")
    assert account_list.the_file([str(site)], "zoe").path == other
    with pytest.raises(InputError, match="several files"):
        account_list.the_file([str(site)])
    with pytest.raises(InputError, match="nobody is not in mail_accounts"):
        account_list.the_file([str(site)], "nobody")


def test_a_site_without_the_list_and_one_that_computes_it_are_refused(site: Path) -> None:
    file = site / "group_vars/all/mail.yml"
    file.write_text("mail_accounts: '{{ people }}'\n")
    with pytest.raises(InputError, match="is no list here"):
        account_list.the_file([str(site)])
    file.write_text("mail_domain: example.org\n")
    with pytest.raises(InputError, match="No file of the site"):
        account_list.the_file([str(site)])
