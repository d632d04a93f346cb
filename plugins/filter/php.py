"""Filters of the webmail: PHP's files from mappings, and SquirrelMail's tree."""

from __future__ import annotations

DOCUMENTATION = r"""
name: php_settings
short_description: A PHP settings file from a mapping
description:
  - Writes C($name = literal;) lines as C(squirrelmail-configure) does, in the order of the mapping.
  - A list or a mapping becomes C($name[0]), C($name['key']). C({SM_PATH: images/x.png}) becomes C(SM_PATH . 'images/x.png').
options:
  _input:
    description: Setting names with their values.
    type: dict
    required: true
"""

EXAMPLES = r"""
content: "<?php\n{{ {'domain': 'example.org', 'smtpPort': 25} | valija.mailserver.php_settings }}"
"""

RETURN = r"""
_value:
  description: The lines, without C(<?php).
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.valija.mailserver.plugins.module_utils import php
from ansible_collections.valija.mailserver.plugins.plugin_utils import squirrelmail_source


def _squirrelmail_archive(source: Mapping[str, Any]) -> dict[str, str]:
    """The archive of ``mail_squirrelmail_source``: path, digest of the tree, version."""
    archive = squirrelmail_source.obtain(source)
    return {"path": str(archive.path), "digest": archive.digest, "version": archive.version}


def _of_a_mapping(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def call(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise AnsibleFilterError(f"a mapping is needed, not {value!r}")
        try:
            return function(value)
        except (ValueError, squirrelmail_source.SourceError) as error:
            raise AnsibleFilterError(str(error)) from error

    return call


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Callable[[Any], Any]]:
        """Name to function."""
        return {
            "php_settings": _of_a_mapping(php.render_settings),
            "php_pool": _of_a_mapping(php.render_pool),
            "squirrelmail_archive": _of_a_mapping(_squirrelmail_archive),
        }
