#!/usr/bin/python
# Copyright: The Valija developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring the certificate of a host's mail services to what the site asks for; the part that runs on the host."""

from __future__ import annotations

DOCUMENTATION = """
---
module: certificate
short_description: Brings the certificate of the mail services to what the site asks for
version_added: 0.2.0
author: The Valija developers
description:
  - >-
    Settles the files and services of the role as M(valija.mailserver.configure) does, and the certificate with them,
    in one remote call.
  - A certificate is judged before it is put in place (that it can be read, belongs to its key, is signed by its chain,
    covers the names, and is valid today), written whole or not at all, and loaded by the daemons that run with an
    older one. A bad one is refused, and the one before stays.
  - The program C(valija-certificate) is left on the host; it does the same there at renewals.
options:
  owner_role:
    description: The role whose files these are.
    type: str
    required: true
  files:
    description: Files of the role, as for M(valija.mailserver.configure).
    type: list
    elements: dict
    default: []
  services:
    description: Services of the role, as for M(valija.mailserver.configure).
    type: list
    elements: dict
    default: []
  settings:
    description: What the certificate is to be; kept on the host for its renewals.
    type: dict
    required: true
    suboptions:
      source:
        description: Where the certificate comes from.
        type: str
        choices: [selfsigned, files, acme]
        required: true
      names:
        description: The DNS names that it must cover, the main one first.
        type: list
        elements: str
        required: true
      group:
        description: The group that may read it beside root, where it is there.
        type: str
        default: courier
      daemons:
        description: The daemons that load it at a reload, each with C(name) and C(unit).
        type: list
        elements: dict
        default: []
      acme:
        description: >-
          For the source V(acme), C(directory), C(challenge), C(email), C(webroot), C(hook) and C(ca); paths are the
          host's.
        type: dict
  issue:
    description: >-
      For the source V(acme), have certbot obtain the certificate, when it has none for these names from this CA.
      Without it a certificate of the site's own takes the place until then.
    type: bool
    default: false
  program:
    description: Directory on the host for what the program C(valija-certificate) imports; not touched when not set.
    type: path
  certificate_file:
    description: For the source V(files), the certificate and its chain on the control node.
    type: path
  key_file:
    description: For the source V(files), the private key on the control node.
    type: path
  export:
    description: For the source V(selfsigned), where the root is written on the control node, for the clients.
    type: path
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Names, issuer, serial number and dates; never a key.
  platform:
    platforms: debian
notes:
  - Needs root on the host, systemd and the openssl command.
"""

EXAMPLES = """
- name: Have a certificate of the site's own
  valija.mailserver.certificate:
    owner_role: tls
    settings:
      source: selfsigned
      names: [mail.example.org]
      daemons:
        - {name: postfix, unit: postfix.service}
    export: certificates/mail.pem
"""

RETURN = """
certificate:
  description: The certificate that the services are given.
  returned: success, when there is one
  type: dict
  sample: {serial: 1C5AA1D2, ends: "2027-12-24", names: [mail.example.org]}
ca_pem:
  description: The root of the site's own authority; empty for other sources.
  returned: success
  type: str
issue_due:
  description: Whether the certificate is still to be obtained from the ACME CA.
  returned: success
  type: bool
reloaded:
  description: The units that were reloaded.
  returned: success
  type: list
  elements: str
"""

import base64
import json
import os
import zlib

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.valija.mailserver.plugins.module_utils import certificates, lock, signals
from ansible_collections.valija.mailserver.plugins.module_utils.certificate_call import call_of, settle
from ansible_collections.valija.mailserver.plugins.module_utils.checking import Refused
from ansible_collections.valija.mailserver.plugins.module_utils.request import mask, request_of
from ansible_collections.valija.mailserver.plugins.module_utils.transaction import configure


def main() -> None:
    # As in configure: one opaque value, so that no secret ever becomes a readable parameter.
    module = AnsibleModule(
        argument_spec={**lock.ARGUMENTS, "payload": {"type": "str", "required": True, "no_log": True}},
        supports_check_mode=True,
    )
    if os.geteuid() != 0:
        module.fail_json(msg="This needs root on the host: set ansible_become to true.")
    signals.unwind()
    os.umask(0o022)
    owner = module.params["_lock_owner"]
    asked = json.loads(zlib.decompress(base64.b64decode(module.params["payload"])))
    request = request_of(asked)
    try:
        with lock.hold(owner):
            try:
                result = configure(request, check_mode=module.check_mode)
                call = call_of(asked["certificate"])
                result = settle(call, result, certificates.Store(call.settings), check_mode=module.check_mode)
            except Refused:
                lock.release(owner)  # the host is out of this play
                raise
    except (Refused, lock.Held, lock.Lost) as error:
        module.fail_json(msg=mask(str(error), request))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
