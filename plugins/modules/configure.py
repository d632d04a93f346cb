#!/usr/bin/python
# Copyright: The Valija developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The part of configure that runs on the host: the transaction."""

from __future__ import annotations

DOCUMENTATION = """
---
module: configure
short_description: Brings the files and the daemons of one service to their state, as one transaction
version_added: 0.1.0
author: The Valija developers
description:
  - Renders the templates on the control node, and does all the rest in one remote call.
  - >-
    Compares what is on the host with what is wanted; tries the new files with the product's own checker on a staged
    copy; keeps the originals aside; writes each file atomically; compiles tables; runs the checks; starts, restarts or
    reloads the daemons; and waits until they answer.
  - >-
    When any of this is refused, every file is put back, the daemons run again with the former configuration, and the
    task fails with the checker's words or the last lines of the daemons' log. A run that is killed leaves a journal in
    C(/var/lib/valija/rollback/<role>), from which the next run knows the last good configuration.
  - >-
    A restart is decided from what the daemon has loaded (a file that changed after its unit became active), so that a
    run killed between a write and a restart is completed by the next one.
  - >-
    The first time that a file of somebody else is replaced, it is kept beside ours as C(<path>.before-valija).
options:
  owner_role:
    description: The role that owns the files; names its journal.
    type: str
    required: true
  files:
    description: The files, folders and links of the role.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path on the host.
        type: str
        required: true
      state:
        description: What is to be there. A folder is removed by V(absent) only when it is empty.
        type: str
        choices: [file, directory, link, absent]
        default: file
      template:
        description: >-
          Template below the role's C(templates); the path without its first slash, and C(.j2), when neither this nor
          O(files[].content) is given.
        type: str
      content:
        description: Literal text instead of a template.
        type: str
      target:
        description: What a link points to.
        type: str
      owner:
        description: Name of the user.
        type: str
        default: root
      group:
        description: Name of the group.
        type: str
        default: root
      mode:
        description: >-
          Permission bits, four octal digits. C(0755) for a folder, C(0600) for a secret and C(0644) for a file when
          not set.
        type: str
      secret:
        description: Show nothing of the content.
        type: bool
        default: false
      keep:
        description: Keep somebody else's file as C(.before-valija); V(false) for folders in which every file counts.
        type: bool
        default: true
      restarts:
        description: The services, by name, that must be restarted to load this file.
        type: list
        elements: str
        default: []
      reloads:
        description: The services, by name, that load this file with a reload.
        type: list
        elements: str
        default: []
      compile:
        description: >-
          A command that makes other files from this one; run when it changed, or when one of them is missing or
          older.
        type: dict
        suboptions:
          command:
            description: The command and its arguments.
            type: list
            elements: str
            required: true
          output:
            description: The files that it makes.
            type: list
            elements: str
            required: true
  trees:
    description: >-
      Directories that are shipped as an archive and replaced whole. Files of O(files) below one are not part of it.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path of the directory on the host.
        type: str
        required: true
      archive:
        description: >-
          Tar archive on the control node; its members are relative to the directory. Sent only when the directory
          differs.
        type: path
        required: true
      digest:
        description: Digest of the content (C(module_utils/trees.py)); computed from the archive when not set.
        type: str
      owner:
        description: Name of the user who owns all of it.
        type: str
        default: root
      group:
        description: Name of the group.
        type: str
        default: root
      restarts:
        description: The services, by name, that must be restarted to load it.
        type: list
        elements: str
        default: []
      reloads:
        description: The services, by name, that load it with a reload.
        type: list
        elements: str
        default: []
  members:
    description: >-
      Users of the host who must be members of a group, beside those who are; a membership is never taken away.
    type: list
    elements: dict
    default: []
    suboptions:
      group:
        description: Name of the group.
        type: str
        required: true
      users:
        description: Names of the users.
        type: list
        elements: str
        required: true
      restarts:
        description: The services, by name, that must be restarted to have the rights of a new membership.
        type: list
        elements: str
        default: []
  stage_checks:
    description:
      - Commands that read the wanted files below C({stage}) before anything is written.
      - >-
        Each is a list, or a dictionary with C(command) and C(fails_on), an expression that must not match its
        standard error.
    type: list
    elements: raw
    default: []
  checks:
    description: >-
      Commands that must pass after the files were written and before a daemon is touched; written like
      O(stage_checks).
    type: list
    elements: raw
    default: []
  services:
    description: The daemons of the role.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name, for O(files[].restarts) and O(files[].reloads).
        type: str
        required: true
      unit:
        description: The unit whose state and times tell what runs; the name when not set.
        type: str
      control:
        description: The unit that systemctl acts upon; O(services[].unit) when not set.
        type: str
      state:
        description: Whether it runs.
        type: str
        choices: [started, stopped]
        default: started
      enabled:
        description: Whether it starts with the host.
        type: bool
        default: true
  health:
    description: How to see that the daemons serve, after a start, a restart or a reload.
    type: list
    elements: dict
    default: []
    suboptions:
      port:
        description: TCP port; either this or O(health[].path).
        type: int
      address:
        description: Address to connect to.
        type: str
        default: 127.0.0.1
      path:
        description: Unix socket.
        type: str
      tls:
        description: Speak TLS from the start; the certificate is not looked at.
        type: bool
        default: false
      send:
        description: What to send first.
        type: str
      expect:
        description: Expression that the first line must match; the connection is enough when not set.
        type: str
      within_seconds:
        description: How long to try, from the start of all the probes.
        type: float
        default: 15
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    platforms: debian
notes:
  - Needs root on the host, and systemd.
"""

EXAMPLES = """
- name: Bring Postfix to its configuration
  valija.mailserver.configure:
    owner_role: postfix
    files:
      - path: /etc/postfix/main.cf
        restarts: [postfix]
      - path: /etc/postfix/sasl_passwd
        mode: "0600"
        secret: true
        compile:
          command: [postmap, "lmdb:/etc/postfix/sasl_passwd"]
          output: [/etc/postfix/sasl_passwd.lmdb]
    stage_checks:
      - command: [postconf, -c, "{stage}/etc/postfix"]
        fails_on: "warning|fatal"
    services:
      - name: postfix
    health:
      - port: 25
        expect: "^220 "
"""

RETURN = """
paths:
  description: The paths that changed, or would.
  returned: success
  type: list
  elements: str
  sample: [/etc/postfix/main.cf]
restarted:
  description: The units that were restarted, or would be.
  returned: success
  type: list
  elements: str
  sample: [postfix.service]
reloaded:
  description: The units that were reloaded.
  returned: success
  type: list
  elements: str
started:
  description: The units that were not running and were started.
  returned: success
  type: list
  elements: str
stopped:
  description: The units that were stopped.
  returned: success
  type: list
  elements: str
enabled:
  description: The units that were enabled.
  returned: success
  type: list
  elements: str
disabled:
  description: The units that were disabled.
  returned: success
  type: list
  elements: str
"""

import base64
import json
import os
import zlib

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.valija.mailserver.plugins.module_utils import lock, signals
from ansible_collections.valija.mailserver.plugins.module_utils.checking import Refused
from ansible_collections.valija.mailserver.plugins.module_utils.request import mask, request_of
from ansible_collections.valija.mailserver.plugins.module_utils.transaction import configure


def main() -> None:
    # The action plugin sends the rendered options as one opaque value: a secret never becomes a readable parameter.
    module = AnsibleModule(
        argument_spec={**lock.ARGUMENTS, "payload": {"type": "str", "required": True, "no_log": True}},
        supports_check_mode=True,
    )
    if os.geteuid() != 0:
        module.fail_json(msg="This needs root on the host: set ansible_become to true.")
    signals.unwind()
    os.umask(0o022)
    owner = module.params["_lock_owner"]
    request = request_of(json.loads(zlib.decompress(base64.b64decode(module.params["payload"]))))
    try:
        with lock.hold(owner):
            try:
                result = configure(request, check_mode=module.check_mode)
            except Refused:
                lock.release(owner)  # the host is out of this play
                raise
    except (Refused, lock.Held, lock.Lost) as error:
        module.fail_json(msg=mask(str(error), request))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
