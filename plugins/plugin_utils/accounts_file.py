"""The file that `mail_accounts_file` names, read on the control node, outside templating."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible_collections.valija.mailserver.plugins.module_utils.account_rows import NAME, AccountRows, parse_rows
from ansible_collections.valija.mailserver.plugins.module_utils.finding import Finding
from ansible_collections.valija.mailserver.plugins.plugin_utils.site_file import path_of, read

__all__ = ["load", "path_of"]


def load(value: str, variables: Mapping[str, Any], loader: DataLoader) -> AccountRows:
    """What the file holds; nothing when no file is named. A file that a vault encrypts is opened as Ansible's are."""
    if not value:
        return AccountRows()
    data = read(NAME, value, variables, loader)
    if isinstance(data, Finding):
        return AccountRows(findings=(data,))
    return parse_rows(data, path_of(value, variables).name)
