"""A file that a variable of a site names, read on the control node, outside templating."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible_collections.valija.mailserver.plugins.module_utils.finding import Finding

_VAULT = b"$ANSIBLE_VAULT;"


def path_of(value: str, variables: Mapping[str, Any]) -> Path:
    """The file that is meant: a relative path counts from the folder of the inventory."""
    return Path(str(variables.get("inventory_dir") or Path.cwd()), value)


def read(name: str, value: str, variables: Mapping[str, Any], loader: DataLoader) -> bytes | Finding:
    """What the file named by the variable `name` holds, or why it cannot be read.

    A file that a vault encrypts is opened as Ansible's own are.
    """
    path = path_of(value, variables)
    try:
        data = path.read_bytes()
        if data.startswith(_VAULT):
            data = str(loader.get_text_file_contents(str(path))).encode("utf-8", "surrogateescape")
    except OSError as error:
        remedy = "Correct the path (a relative one counts from the inventory's folder), or its permissions."
        return Finding((name,), value, f"names a file that cannot be read ({error.strerror})", remedy)
    except AnsibleError:
        remedy = "Give the vault's password: vault_password_file in ansible.cfg, or ANSIBLE_VAULT_PASSWORD_FILE."
        return Finding((name,), value, "is encrypted and cannot be read", remedy)
    return data
