# Copyright: The Valija developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The accounts of a site for templates, wherever they are written."""

from __future__ import annotations

DOCUMENTATION = """
name: accounts
short_description: The accounts of a site, from the list and from the file, without secrets
version_added: 0.1.0
author: The Valija developers
description:
  - >-
    Joins C(mail_accounts) and the accounts of C(mail_accounts_file), of each its C(name), C(state) and C(aliases).
    Passwords and their hashes are left out.
  - The values of the file are taken as they stand.
options:
  _terms:
    description: C(mail_accounts), then C(mail_accounts_file).
    type: list
    elements: raw
    required: true
"""

EXAMPLES = """
- name: How many mailboxes there are
  ansible.builtin.debug:
    msg: "{{ lookup('valija.mailserver.accounts', mail_accounts, mail_accounts_file) | length }}"
"""

RETURN = """
_raw:
  description: One list of accounts, each with C(name), and C(state) and C(aliases) where they are given.
  type: list
  elements: list
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.valija.mailserver.plugins.plugin_utils import accounts_file

SHOWN = ("name", "state", "aliases")


class LookupModule(LookupBase):
    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        listed, file = terms
        read = accounts_file.load(str(file or ""), variables or {}, self._loader)
        if read.findings:
            raise AnsibleLookupError("\n".join(finding.text for finding in read.findings))
        accounts = [*listed, *read.accounts]
        return [[{key: account[key] for key in SHOWN if key in account} for account in accounts]]
