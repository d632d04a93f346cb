"""The file that `mail_aliases_file` names, read on the control node, outside templating."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible_collections.valija.mailserver.plugins.module_utils.alias_rows import NAME, AliasRows, parse_alias_rows
from ansible_collections.valija.mailserver.plugins.module_utils.finding import Finding
from ansible_collections.valija.mailserver.plugins.plugin_utils import site_file


def load(value: str, variables: Mapping[str, Any], loader: DataLoader) -> AliasRows:
    """What the file holds; nothing when no file is named. A file that a vault encrypts is opened as Ansible's are."""
    if not value:
        return AliasRows()
    data = site_file.read(NAME, value, variables, loader)
    return AliasRows(findings=(data,)) if isinstance(data, Finding) else _parsed(data)


@lru_cache(maxsize=2)
def _parsed(data: bytes) -> AliasRows:
    """The rows of a text; several tables are made of the same."""
    return parse_alias_rows(data)
