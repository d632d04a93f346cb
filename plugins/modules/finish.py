#!/usr/bin/python
# Copyright: The Valija developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The last step of every play: give the host's lock back. Its work on the host is a step of the module prepare.

That one is built and in the run's cache already, and a module takes Ansible 0.1 s to build.
"""

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
