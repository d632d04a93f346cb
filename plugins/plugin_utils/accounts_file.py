"""The file that `mail_accounts_file` names, read on the control node, outside templating."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible_collections.valija.mailserver.plugins.module_utils.account_rows import NAME, AccountRows, parse_rows
from ansible_collections.valija.mailserver.plugins.module_utils.finding import Finding

_VAULT = b"$ANSIBLE_VAULT;"


def path_of(value: str, variables: Mapping[str, Any]) -> Path:
    """The file that is meant: a relative path counts from the folder of the inventory."""
    return Path(str(variables.get("inventory_dir") or Path.cwd()), value)


def load(value: str, variables: Mapping[str, Any], loader: DataLoader) -> AccountRows:
    """What the file holds; nothing when no file is named. A file that a vault encrypts is opened as Ansible's are."""
    if not value:
        return AccountRows()
    path = path_of(value, variables)
    try:
        data = path.read_bytes()
        if data.startswith(_VAULT):
            data = str(loader.get_text_file_contents(str(path))).encode("utf-8", "surrogateescape")
    except OSError as error:
        remedy = "Correct the path (a relative one counts from the inventory's folder), or its permissions."
        problem = f"names a file that cannot be read ({error.strerror})"
        return AccountRows(findings=(Finding((NAME,), value, problem, remedy),))
    except AnsibleError:
        remedy = "Give the vault's password: vault_password_file in ansible.cfg, or ANSIBLE_VAULT_PASSWORD_FILE."
        return AccountRows(findings=(Finding((NAME,), value, "is encrypted and cannot be read", remedy),))
    return parse_rows(data, path.name)
