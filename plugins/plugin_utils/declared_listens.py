"""What the roles of the site declare to listen (`__<role>_listens`), whichever of them the play itself has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.valija.mailserver.plugins.plugin_utils import prove_site, role_specs


def declared_listens(value: Callable[[str], Any], roles: Iterable[str] = prove_site.ROLES) -> dict[str, list[Any]]:
    """By role, the ports of the roles that this site uses. ``value`` resolves a variable as the roles see it."""
    known: Mapping[str, Any] = role_specs.variables_of_all(list(roles))
    webmail = value("mail_webmail")
    used = [role for role in roles if role not in prove_site.WEBMAILS or role == webmail]
    return {role: value(f"__{role}_listens") or [] for role in used if f"__{role}_listens" in known}
