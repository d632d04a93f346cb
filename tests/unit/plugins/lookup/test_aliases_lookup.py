"""The lookup that makes the tables of names, as a role calls it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleLookupError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.valija.mailserver.plugins.lookup.aliases import LookupModule

ACCOUNTS = [{"name": "alice", "aliases": ["al"]}, {"name": "bob", "state": "absent", "aliases": ["b"]}]


def tables(folder: Path, *which: str, loader: DataLoader | None = None, **given: Any) -> list[str]:
    lookup = LookupModule(loader=loader or DataLoader())
    return lookup.run(list(which), {"inventory_dir": str(folder)}, accounts=ACCOUNTS, postmaster="alice", **given)


def test_the_table_and_the_file_become_the_texts_that_postfix_reads(tmp_path: Path) -> None:
    (tmp_path / "aliases").write_text("sales@b.example: info, x@elsewhere.test\nshop: info\n")
    (tmp_path / "accounts.csv").write_text("name,aliases\ncarol,c.example\n")
    local, addresses, senders = tables(
        tmp_path,
        "local",
        "addresses",
        "senders",
        aliases={"info": ["alice", "carol"]},
        aliases_file="aliases",
        accounts_file="accounts.csv",
        domains=["a.example", "b.example"],
    )
    assert {"al: alice", "c.example: carol", "info: alice, carol", "shop: info", "postmaster: alice"} <= set(
        local.splitlines()
    )
    assert "b: bob" not in local
    assert addresses == "sales@b.example info, x@elsewhere.test\n"
    assert "sales@b.example alice, carol" in senders.splitlines()


def test_a_file_that_a_vault_encrypts_is_opened(tmp_path: Path) -> None:
    secret = VaultSecret(b"word")
    (tmp_path / "aliases").write_bytes(VaultLib([("default", secret)]).encrypt(b"shop@a.example: alice\n", secret))
    loader = DataLoader()
    with pytest.raises(AnsibleLookupError, match="mail_aliases_file: is encrypted and cannot be read"):
        tables(tmp_path, "addresses", loader=loader, aliases_file="aliases")
    loader.set_vault_secrets([("default", secret)])
    assert tables(tmp_path, "addresses", loader=loader, aliases_file="aliases") == ["shop@a.example alice\n"]


@pytest.mark.parametrize("given", [{"aliases": {"info": "|cat"}}, {"aliases_file": "nowhere"}])
def test_what_cannot_be_a_table_is_an_error(given: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(AnsibleLookupError):
        tables(tmp_path, "local", **given)


def test_a_table_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AnsibleLookupError, match="there are local, addresses and senders"):
        tables(tmp_path, "remote")
