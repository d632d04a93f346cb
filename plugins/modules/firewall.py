#!/usr/bin/python
# Copyright: The Valija developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The part of firewall that runs on the host: compare, load with an automatic return, confirm."""

from __future__ import annotations

DOCUMENTATION = """
---
module: firewall
short_description: Brings the host's firewall to its rules, and never locks SSH out
version_added: 0.1.0
author: The Valija developers
description:
  - >-
    Lets in what the roles of the site declare to listen for everybody (C(__<role>_listens)), SSH, and the ports given
    here; refuses everything else by IPv4 and IPv6. Established connections, loopback, what RFC 4890 asks of ICMP, and a
    DHCP client's answers are let in. What the host sends is not filtered.
  - >-
    All of it is one table of nftables, C(inet valija), which is replaced as a whole. No other table is touched, and
    C(/etc/nftables.conf) is not either.
  - >-
    The ports of SSH are those at which sshd listens or is configured to listen, those of C(ssh.socket), the one by
    which this run came in, and O(ssh_ports).
  - >-
    New rules are loaded while a timer on the host waits to bring the former ones back. The control node opens a new
    SSH connection; only when that succeeds the timer is stopped, and the rules are written to
    C(/etc/valija/firewall.nft), which C(valija-firewall.service) loads at every boot. A run that is killed in between,
    or a host that boots, ends with the former rules.
  - One remote call when nothing is to be changed, two otherwise.
options:
  state:
    description: Whether there is a firewall. V(absent) takes the table, the unit and the file away.
    type: str
    choices: [present, absent]
    default: present
  tcp_ports:
    description: Further TCP ports that are let in, or ranges such as C(60000-61000).
    type: list
    elements: str
    default: []
  udp_ports:
    description: Further UDP ports that are let in, or ranges.
    type: list
    elements: str
    default: []
  ssh_ports:
    description: Ports of SSH beside those that the host itself tells of.
    type: list
    elements: str
    default: []
  return_seconds:
    description: How long new rules wait for their confirmation before the former ones come back.
    type: int
    default: 60
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    description: The rules as text, and what listens on the host without being let in.
  platform:
    platforms: debian
notes:
  - Needs root on the host, nftables, and systemd.
"""

EXAMPLES = """
- name: Let in the mail server, SSH and a monitoring agent
  valija.mailserver.firewall:
    tcp_ports: [6556]

- name: Take the firewall away
  valija.mailserver.firewall:
    state: absent
"""

RETURN = """
paths:
  description: The files that changed, or would.
  returned: success
  type: list
  elements: str
not_let_in:
  description: What listens on the host and is not let in, a line each with port, protocol, program and process.
  returned: success
  type: list
  elements: str
  sample: ["8080/tcp (node, process 4711)"]
notes:
  description: What a person should know, such as that the rules of an earlier run were never confirmed.
  returned: success
  type: list
  elements: str
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.valija.mailserver.plugins.module_utils import firewall_host, lock, ssh_ports
from ansible_collections.valija.mailserver.plugins.module_utils.checking import Refused

ARGUMENTS = {
    **lock.ARGUMENTS,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "listens": {"type": "list", "elements": "dict", "default": []},
    "tcp_ports": {"type": "list", "elements": "str", "default": []},
    "udp_ports": {"type": "list", "elements": "str", "default": []},
    "ssh_ports": {"type": "list", "elements": "int", "default": []},
    "return_seconds": {"type": "int", "default": 60},
    # `settle` compares and loads; `confirm` comes by a new connection, and names the one by which `settle` came. A
    # connection that cannot be cut, on the machine itself, settles and confirms at once.
    "step": {"type": "str", "choices": ["settle", "confirm", "at_once"], "default": "at_once"},
    "session": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    if os.geteuid() != 0:
        module.fail_json(msg="This needs root on the host: set ansible_become to true.")
    os.umask(0o022)
    owner = module.params["_lock_owner"]
    try:
        with lock.hold(owner):
            try:
                result = _settle(module)
            except Refused:
                lock.release(owner)  # the host is out of this play
                raise
    except (Refused, ValueError, lock.Held, lock.Lost) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


def _settle(module: AnsibleModule) -> dict[str, Any]:
    wanted = module.params
    asked = firewall_host.Asked(
        present=wanted["state"] == "present",
        listens=wanted["listens"],
        tcp=tuple(wanted["tcp_ports"]),
        udp=tuple(wanted["udp_ports"]),
        ssh=tuple(wanted["ssh_ports"]),
        return_seconds=wanted["return_seconds"],
    )
    found = firewall_host.look(asked, check_mode=module.check_mode)
    result = firewall_host.result_of(found)
    if module.check_mode:
        return result
    if wanted["step"] == "confirm":
        if wanted["session"] and wanted["session"] == ssh_ports.session():
            return {"changed": False, "same_connection": True}
        firewall_host.confirm(found)
        return result
    result["notes"] = firewall_host.notes()
    if not asked.present:
        if found.any:
            firewall_host.remove(found)
        return result
    if found.loaded == found.wanted and not found.waiting:
        if found.any:
            firewall_host.persist(found)
        return result
    firewall_host.load(found, asked.return_seconds)
    if wanted["step"] == "at_once":
        firewall_host.confirm(firewall_host.look(asked))
        return result
    return {**result, "unconfirmed": True, "session": ssh_ports.session()}


if __name__ == "__main__":
    main()
