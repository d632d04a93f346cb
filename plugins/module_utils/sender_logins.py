"""Which login names may send under which address: Postfix's smtpd_sender_login_maps.

Postfix looks for the whole address first, then without its extension (alice+shop), then for the local part alone when
the domain is one of ours (smtpd_sender_login_maps of postconf(5)). An account's own name is not in the table: Postfix
finds it in passwd(5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils.aliases import address_aliases, local_aliases


def sender_logins(
    aliases: Mapping[str, Any], accounts: Iterable[Mapping[str, Any]], postmaster: str, domains: Sequence[str]
) -> dict[str, list[str]]:
    """Each alias, and each address that is one, with the accounts that it reaches, through other aliases too; sorted.

    The arguments are those of ``aliases.local_aliases`` and the site's domains. Who is reached elsewhere has no login
    here; a name that reaches nobody but such is left out. An account whose name is an alias as well may send under it.
    """
    listed = [account for account in accounts if account.get("state") != "absent"]
    names = {account["name"].lower() for account in listed}
    graph = {**local_aliases(aliases, listed, postmaster), **address_aliases(aliases, listed)}
    ours = {domain.lower() for domain in domains}
    table = {}
    for name in graph:
        logins = sorted(_reached(name, graph, ours) | ({name} & names))
        if logins:
            table[name] = logins
    return table


def _reached(name: str, graph: Mapping[str, Sequence[str]], ours: set[str]) -> set[str]:
    """The login names at the ends of an alias; a loop ends nowhere."""
    ends: set[str] = set()
    seen = {name}
    todo = list(graph[name])
    while todo:
        target = todo.pop().lower()
        local, _, domain = target.partition("@")
        if domain in ours and target not in graph:
            target = local
        if target in seen:
            continue
        seen.add(target)
        if target in graph:
            todo += graph[target]
        elif "@" not in target:
            ends.add(target)
    return ends
