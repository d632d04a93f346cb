# Copyright: The Valija developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The names of a site as the texts that Postfix reads, made outside templating."""

from __future__ import annotations

DOCUMENTATION = """
name: aliases
short_description: The names of a site as the texts that Postfix reads
version_added: 0.1.0
author: The Valija developers
description:
  - >-
    Joins C(mail_aliases) and the aliases of C(mail_aliases_file), those of the accounts, the postmaster and the names
    of RFC 2142, and writes one of the tables that come of it.
  - >-
    One text for each table: ten thousand names as values of templates would take seconds. A target that is a program, a
    file or an include is refused.
options:
  _terms:
    description:
      - C(local) is aliases(5), the names that hold in every domain. A name that the site gave to somebody stays there.
      - C(addresses) is virtual(5), the names that hold in one domain alone.
      - C(senders) has, for smtpd_sender_login_maps of postconf(5), the accounts that each name reaches.
    type: list
    elements: str
    choices: [local, addresses, senders]
    required: true
  aliases:
    description: C(mail_aliases).
    type: dict
    default: {}
  aliases_file:
    description: C(mail_aliases_file).
    type: str
    default: ""
  accounts:
    description: C(mail_accounts).
    type: list
    elements: dict
    default: []
  accounts_file:
    description: C(mail_accounts_file).
    type: str
    default: ""
  postmaster:
    description: C(mail_postmaster).
    type: str
    default: ""
  domains:
    description: All domains of the site; for C(senders).
    type: list
    elements: str
    default: []
"""

EXAMPLES = """
- name: Show the names that hold in every domain
  ansible.builtin.debug:
    msg: "{{ lookup('valija.mailserver.aliases', 'local', aliases=mail_aliases, postmaster=mail_postmaster) }}"
"""

RETURN = """
_raw:
  description: One text for each term.
  type: list
  elements: str
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.valija.mailserver.plugins.module_utils.aliases import (
    address_aliases,
    local_aliases,
    render_aliases,
)
from ansible_collections.valija.mailserver.plugins.module_utils.postfix import render_table
from ansible_collections.valija.mailserver.plugins.module_utils.sender_logins import sender_logins
from ansible_collections.valija.mailserver.plugins.plugin_utils import accounts_file, aliases_file
from ansible_collections.valija.mailserver.plugins.plugin_utils.memory import uncollected
from ansible_collections.valija.mailserver.plugins.plugin_utils.resolve import with_placeholders


class LookupModule(LookupBase):
    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        with uncollected():
            names = self._names(kwargs, variables or {})
            try:
                return [_text(str(term), *names) for term in terms]
            except ValueError as error:
                raise AnsibleLookupError(str(error)) from error

    def _names(
        self, given: Mapping[str, Any], variables: dict[str, Any]
    ) -> tuple[dict[str, Any], list[dict[str, Any]], str, list[str]]:
        """The aliases, the accounts, the postmaster and the domains, with those of the files."""
        aliases = aliases_file.load(str(given.get("aliases_file") or ""), variables, self._loader)
        accounts = accounts_file.load(str(given.get("accounts_file") or ""), variables, self._loader)
        if findings := [*aliases.findings, *accounts.findings]:
            raise AnsibleLookupError("\n".join(finding.text for finding in findings))
        listed = [with_placeholders(dict(account)) for account in given.get("accounts") or []]
        table = {**with_placeholders(dict(given.get("aliases") or {})), **aliases.aliases}
        domains = list(given.get("domains") or [])
        return table, [*listed, *accounts.accounts], str(given.get("postmaster") or ""), domains


def _text(
    which: str, aliases: Mapping[str, Any], accounts: list[dict[str, Any]], postmaster: str, domains: list[str]
) -> str:
    if which == "local":
        return render_aliases(local_aliases(aliases, accounts, postmaster))
    if which == "addresses":
        return render_table(address_aliases(aliases, accounts))
    if which == "senders":
        return render_table(sender_logins(aliases, accounts, postmaster, domains))
    raise AnsibleLookupError(f"aliases: no table {which!r}: there are local, addresses and senders")
