"""Filters of the webmail: PHP's files from mappings, and SquirrelMail's tree."""

from __future__ import annotations

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
