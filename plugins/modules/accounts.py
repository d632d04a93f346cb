#!/usr/bin/python
# Copyright: The Valija developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The part of accounts that runs on the host: all the accounts in one call."""

from __future__ import annotations

DOCUMENTATION = """
---
module: accounts
short_description: Brings all mail accounts of a host to what the site asks for, in one call
version_added: 0.1.0
author: The Valija developers
description:
  - >-
    Makes system users with a home and a C(Maildir), changes them, disables them, and takes them away; each account file
    is rewritten once.
  - >-
    Valija's own accounts are those whose primary group is O(group). No other account is touched: a wanted name that
    belongs to one is refused, with everything else that is wrong, before anything changes.
  - >-
    Refuses to make accounts on the machine that it runs on (connection C(local)) until C(mail_take_over_confirmed) is
    true. Not in check mode, and not on a host that Valija has provisioned before.
  - Takes the locks of the account files as useradd and passwd do, for a moment and only when something changes.
  - An account that is not listed is reported in RV(unlisted), not removed.
  - >-
    An account that is made again gets a new uid and an empty home; the mail of the earlier one is kept in
    C(.valija-former) below O(home).
  - The sessions of an account end when it is disabled or removed, and when its password is changed here.
options:
  accounts:
    description:
      - >-
        The accounts, each with C(name), and as wanted C(password) or C(password_hash), C(full_name), C(state),
        C(purge), C(shell). C(aliases) is accepted and left alone. Any other key is refused.
      - >-
        C(state=disabled) locks the password and keeps it, and expires the account; its mail still arrives.
        C(state=absent) takes the account off the host, so that its address is refused, and keeps its mail; with
        C(purge=true) the mail is deleted.
      - Required, unless O(of_the_site) is set.
    type: list
    elements: dict
  accounts_file:
    description:
      - >-
        A file on the control node with more accounts, CSV with a header or JSON Lines, for lists too long for YAML. A
        relative path counts from the folder of the inventory. Its values are taken as they stand, never as templates.
      - In CSV an empty cell is a key that is not given, and several C(aliases) are separated by spaces.
    type: path
    default: ""
  only:
    description:
      - >-
        Names of the accounts that this call is about; all when it is empty. The others are judged with them, and
        are not looked at on the host.
    type: list
    elements: str
    default: []
  group:
    description: The group of Valija's accounts; a system group, made when it is missing.
    type: str
    default: valija
  home:
    description: The folder of the homes.
    type: path
    default: /home
  password_policy:
    description:
      - V(initial) sets a password when the account is made, and leaves it to its owner.
      - >-
        V(enforced) sets it again in every run. To verify a password costs 10 to 20 ms of one core for each account; a
        C(password_hash) costs nothing.
    type: str
    choices: [initial, enforced]
    default: initial
  enforce:
    description: Accounts whose password is set in this run whatever the policy.
    type: list
    elements: str
    default: []
  hash_scheme:
    description: How new passwords are hashed; V(sha512) is taken where the host knows no yescrypt.
    type: str
    choices: [yescrypt, sha512]
    default: yescrypt
  hash_cost:
    description: >-
      Cost of yescrypt (1 to 11) or rounds of sha512; V(0) takes the default, 10 to 20 ms for a verification on a small
      server.
    type: int
    default: 0
  report_unlisted:
    description: Whether to report accounts of Valija that are not listed.
    type: bool
    default: true
  of_the_site:
    description:
      - >-
        Take all of the above from the site's variables, as the role does, once the whole of its values is judged as
        M(valija.mailserver.prepare) does it. One task then does all that the accounts alone need.
      - O(accounts) is required otherwise.
    type: bool
    default: false
  release_lock:
    description: Give the lock of the host back at the end; for a play that does nothing else on the host.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    description: One line for each account that changes; never a password, never a hash.
  platform:
    platforms: debian
notes:
  - Needs root on the host.
"""

EXAMPLES = """
- name: Bring the accounts to what the site asks for
  valija.mailserver.accounts:
    accounts: "{{ mail_accounts }}"
    accounts_file: "{{ mail_accounts_file }}"
    password_policy: "{{ mail_password_policy }}"

- name: Bring the accounts to what the site asks for, and nothing else
  valija.mailserver.accounts:
    of_the_site: true
    release_lock: true

- name: Remove a probe account and its mail, and nothing else
  valija.mailserver.accounts:
    accounts: [{name: valija-probe, state: absent, purge: true}]
    report_unlisted: false
"""

RETURN = """
created:
  description: Accounts that were made.
  returned: success
  type: list
  elements: str
updated:
  description: Accounts that existed and were changed.
  returned: success
  type: list
  elements: str
enabled:
  description: Accounts that were disabled before.
  returned: success
  type: list
  elements: str
disabled:
  description: Accounts that were locked, their password and mail kept.
  returned: success
  type: list
  elements: str
removed:
  description: Accounts that were taken off the host.
  returned: success
  type: list
  elements: str
purged:
  description: Accounts whose mail was deleted.
  returned: success
  type: list
  elements: str
repaired:
  description: Accounts whose home or Maildir had another owner or mode, or was missing.
  returned: success
  type: list
  elements: str
unlisted:
  description: Accounts of Valija on the host that the list does not name.
  returned: success
  type: list
  elements: str
notes:
  description: What a person should know, such as where the mail of a removed account is kept.
  returned: success
  type: list
  elements: str
valija_refused:
  description: V(inventory) when the list is wrong, V(host) when the host stands against it. Nothing was touched.
  returned: refused
  type: str
msg:
  description: Why it was refused, a line for each finding.
  returned: failure
  type: str
"""

import base64
import gc
import json
import os
import zlib
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.valija.mailserver.plugins.module_utils import lock
from ansible_collections.valija.mailserver.plugins.module_utils.account import read_accounts
from ansible_collections.valija.mailserver.plugins.module_utils.account_host import Outcome, Refused, converge
from ansible_collections.valija.mailserver.plugins.module_utils.accounts import Settings
from ansible_collections.valija.mailserver.plugins.module_utils.command import run
from ansible_collections.valija.mailserver.plugins.module_utils.hashing import HashingError
from ansible_collections.valija.mailserver.plugins.module_utils.shadow_files import LockError

# What makes the standard folders in new mailboxes, where the role courier has put it.
NEW_MAILBOXES_UNIT = "valija-folders.service"

# The accounts come as one text, JSON compressed: in a list with secrets Ansible would search every result for each.
ARGUMENTS = {
    **lock.ARGUMENTS,
    "accounts": {"type": "str", "required": True, "no_log": True},
    "group": {"type": "str", "default": "valija"},
    "home": {"type": "path", "default": "/home"},
    "password_policy": {"type": "str", "choices": ["initial", "enforced"], "default": "initial", "no_log": False},
    "enforce": {"type": "list", "elements": "str", "default": []},
    "hash_scheme": {"type": "str", "choices": ["yescrypt", "sha512"], "default": "yescrypt"},
    "hash_cost": {"type": "int", "default": 0},
    "report_unlisted": {"type": "bool", "default": True},
    "release_lock": {"type": "bool", "default": False},
    "wait_seconds": {"type": "int", "default": 20},
    "gone": {"type": "str", "default": ""},
}


def main() -> None:
    gc.disable()  # a tenth of the time with ten thousand accounts; the process ends before garbage counts
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    if os.geteuid() != 0:
        module.fail_json(msg="This needs root on the host: set ansible_become to true.", valija_refused="host")
    wanted = module.params
    owner = wanted["_lock_owner"]
    try:
        with lock.hold(owner, wait_seconds=wanted["wait_seconds"], gone=wanted["gone"]):
            try:
                result = _converge(module, wanted)
            finally:
                if wanted["release_lock"]:
                    lock.release(owner)
    except lock.Held as held:
        holder = vars(held.lease.owner) if held.lease else None
        module.exit_json(changed=False, held_by=holder, msg=str(held))
    except lock.Lost as lost:
        module.fail_json(msg=str(lost))
    except (HashingError, LockError, OSError) as error:
        module.fail_json(msg=f"{error}. Run it again: it goes on where it stopped.")
    (module.fail_json if "valija_refused" in result else module.exit_json)(**result)


def _converge(module: AnsibleModule, wanted: dict[str, Any]) -> dict[str, Any]:
    accounts, refusals = read_accounts(json.loads(zlib.decompress(base64.b64decode(wanted["accounts"]))))
    if refusals:
        return {"valija_refused": "inventory", "msg": "\n".join(map(str, refusals))}
    settings = Settings(
        group=wanted["group"],
        home=wanted["home"],
        password_policy=wanted["password_policy"],
        enforce=frozenset(wanted["enforce"]),
        report_unlisted=wanted["report_unlisted"],
    )
    try:
        outcome = converge(
            accounts, settings, scheme=wanted["hash_scheme"], cost=wanted["hash_cost"], check=module.check_mode
        )
    except Refused as refused:
        return {"valija_refused": "host", "msg": str(refused)}
    if outcome.plan.created and not module.check_mode:
        # New mailboxes get their folders meanwhile; nothing is there to start before the mail server itself is.
        run(["systemctl", "start", "--no-block", NEW_MAILBOXES_UNIT])
    return _result(outcome)


def _result(outcome: Outcome) -> dict[str, Any]:
    plan = outcome.plan
    lines = [*plan.diff, *outcome.repairs]
    return {
        "changed": outcome.changed,
        "created": plan.created,
        "updated": plan.updated,
        "enabled": plan.enabled,
        "disabled": plan.disabled,
        "removed": plan.removed,
        "purged": sorted(plan.purge),
        "repaired": outcome.repaired,
        "unlisted": plan.unlisted,
        "notes": [*plan.notes, *outcome.notes],
        "diff": [
            {
                "before_header": "accounts",
                "after_header": "accounts",
                "before": "",
                "after": "".join(f"{line}\n" for line in lines),
            }
        ]
        if lines
        else [],
    }


if __name__ == "__main__":
    main()
