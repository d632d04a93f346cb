#!/usr/bin/python
# Copyright: The Valija developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The part of prepare and finish that runs on the host: take the lock and look, install packages, let the lock go."""

from __future__ import annotations

DOCUMENTATION = """
---
module: prepare
short_description: Refuses what must be refused, then installs the packages of all roles
version_added: 0.1.0
author: The Valija developers
description:
  - The first step of every play. Everything that can be refused is refused before the host is touched.
  - >-
    Validates on the control node the values of all the roles together, unknown names with our prefixes included;
    every finding is reported.
  - Takes the lock of the host, waiting for another controller to end, and says who holds it.
  - >-
    Refuses a release that is not supported, another mail or web server in the way, a port that another program holds,
    and a host whose own name does not resolve.
  - >-
    Refuses the machine that it runs on (connection C(local)), with what would be installed and listened on, until
    C(mail_take_over_confirmed) is true. Not in check mode, and not on a host that Valija has provisioned before.
  - Fetches on the control node what a role needs from outside (SquirrelMail's source), so that a host needs no way out.
  - >-
    Installs what is missing of the packages that the roles declare (C(__<role>_packages)), in one transaction,
    without recommends. No daemon that it brings is started before M(valija.mailserver.configure) has written its files.
  - One remote call when nothing is missing, two otherwise; none when the run has already prepared these roles.
options:
  roles:
    description:
      - The roles of this play, without the collection's name.
      - The roles of the play (C(ansible_play_role_names)) when not set. The role C(mail) is always among them.
    type: list
    elements: str
  inventory_only:
    description: Only validate the values, on the control node; make no remote call.
    type: bool
    default: false
  lock_timeout_seconds:
    description: How long to wait for another controller to end.
    type: int
    default: 900
attributes:
  check_mode:
    support: full
    description: Says what would be installed. The lock is taken here too.
  diff_mode:
    support: full
  platform:
    platforms: debian
notes:
  - Needs root on the host.
  - M(valija.mailserver.finish) gives the lock back at the end of the play.
"""

EXAMPLES = """
- name: Refuse what must be refused, and install the packages of the mail server
  valija.mailserver.prepare:
    roles: [mail, accounts, postfix, courier]

- name: Validate the inventory alone
  valija.mailserver.prepare:
    inventory_only: true
"""

RETURN = """
ansible_facts:
  description: What the roles know of the host.
  returned: when the host was looked at
  type: dict
  contains:
    valija:
      description:
        - >-
          C(release) is the key of the release in the roles' data, C(distribution) and C(version) are those of
          os-release(5).
        - C(addresses) are the host's, without loopback and link-local, and C(memory_mib) is its memory.
        - C(owners) are the roles that had files on the host when the play began.
        - C(prepared) holds the roles prepared in the run C(run).
      type: dict
      sample:
        release: debian-13
        distribution: debian
        version: "13"
        addresses: [198.51.100.10]
        owners: [postfix]
        memory_mib: 1967
        prepared: [mail, postfix]
        run: "…"
installed:
  description: The packages that were installed, or would be.
  returned: success
  type: list
  elements: str
  sample: ["postfix 3.10.5-1+b1"]
valija_refused:
  description: >-
    C(inventory) when a value is wrong, C(host) when something on the host stands in the way, C(take_over) when the host
    is the machine itself and nobody has confirmed it. Nothing was touched.
  returned: refused
  type: str
msg:
  description: Why it was refused, a line for each finding.
  returned: failure
  type: str
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.valija.mailserver.plugins.module_utils import lock, packages
from ansible_collections.valija.mailserver.plugins.module_utils.survey import survey


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **lock.ARGUMENTS,
            "step": {"type": "str", "choices": ["survey", "install", "finish"], "default": "survey"},
            "packages": {"type": "list", "elements": "str", "default": []},
            "debconf": {"type": "list", "elements": "dict", "default": []},
            "wait_seconds": {"type": "int", "default": 20},
            "gone": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    if os.geteuid() != 0:
        module.fail_json(msg="This needs root on the host: set ansible_become to true.", valija_refused="host")
    wanted = module.params
    if wanted["step"] == "finish":
        module.exit_json(changed=False, released=_released(wanted["_lock_owner"]))
    try:
        with lock.hold(wanted["_lock_owner"], wait_seconds=wanted["wait_seconds"], gone=wanted["gone"]):
            module.exit_json(**_step(module, wanted))
    except lock.Held as held:
        holder = vars(held.lease.owner) if held.lease else None
        module.exit_json(changed=False, held_by=holder, msg=str(held))
    except (packages.PackageError, lock.Lost) as error:
        module.fail_json(msg=str(error))


def _step(module: AnsibleModule, wanted: dict[str, Any]) -> dict[str, Any]:
    if wanted["step"] == "survey":
        if not module.check_mode:
            packages.remove_left_over_policy()
        return {"changed": False, "survey": survey()}
    installed = packages.install(wanted["packages"], wanted["debconf"])
    return {"changed": True, "installed": installed}


def _released(owner: dict[str, Any]) -> bool:
    """Give the lock back; whether this run still held it."""
    try:
        with lock.hold(owner, wait_seconds=0):
            return lock.release(owner)
    except (lock.Held, lock.Lost):
        return False


if __name__ == "__main__":
    main()
