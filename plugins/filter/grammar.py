"""Filters that render configuration: each names a function of module_utils."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.valija.mailserver.plugins.module_utils import courier, header, postfix


def _said(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a value that the grammar refuses to the person as the template's error."""

    def call(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except ValueError as error:
            raise AnsibleFilterError(str(error)) from error

    return call


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {
            "header": header.header,
            "main_cf": _said(postfix.render_main_cf),
            "master_cf": _said(postfix.render_master_cf),
            "lookup_table": _said(postfix.render_table),
            "courier_rc": _said(courier.render_rc),
        }
