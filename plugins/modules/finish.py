#!/usr/bin/python
# Copyright: The Valija developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The last step of every play: give the host's lock back."""

from __future__ import annotations

DOCUMENTATION = """
---
module: finish
short_description: Gives the lock of the host back
version_added: 0.1.0
author: The Valija developers
description:
  - The last step of every play that began with M(valija.mailserver.prepare).
  - One remote call. Never changes anything else.
options: {}
attributes:
  check_mode:
    support: full
    description: Gives the lock back in check mode too, for prepare takes it there too.
  diff_mode:
    support: none
  platform:
    platforms: debian
notes:
  - Needs root on the host.
"""

EXAMPLES = """
- name: Give the lock of the host back
  valija.mailserver.finish:
"""

RETURN = """
released:
  description: Whether this run still held the lock.
  returned: success
  type: bool
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.valija.mailserver.plugins.module_utils import lock


def main() -> None:
    module = AnsibleModule(argument_spec=dict(lock.ARGUMENTS), supports_check_mode=True)
    if os.geteuid() != 0:
        module.fail_json(msg="This needs root on the host: set ansible_become to true.")
    owner = module.params["_lock_owner"]
    try:
        with lock.hold(owner, wait_seconds=0):
            released = lock.release(owner)
    except (lock.Held, lock.Lost):
        released = False
    module.exit_json(changed=False, released=released)


if __name__ == "__main__":
    main()
