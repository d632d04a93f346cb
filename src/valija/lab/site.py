"""The site of a lab: what `valija init` would write, with the lab's addresses and keys in it."""

from __future__ import annotations

import os
from typing import Any

import yaml

from valija.lab.state import Host, Place, Record, write_private


def write(place: Place, record: Record, hosts: list[Host]) -> None:
    """Write inventory, settings and secrets."""
    files: dict[str, Any] = {
        "hosts.yml": {"mail": {"hosts": {host.name: None for host in hosts}}},
        "group_vars/all/mail.yml": {
            **({"mail_domain": hosts[0].domain} if len(hosts) == 1 else {}),
            "mail_profile": record.profile,
            "mail_postmaster": "alice",
            "mail_accounts": [
                {"name": name, "password": f"{{{{ mail_password_of.{name} }}}}"} for name in record.passwords
            ],
            **record.settings,
        },
        "group_vars/all/secrets.yml": {"mail_password_of": record.passwords},
    }
    for host in hosts:
        files[f"host_vars/{host.name}.yml"] = {
            **({"mail_domain": host.domain} if len(hosts) > 1 else {}),
            **connection(place, host),
        }
    for path, content in files.items():
        write_private(place.site / path, "---\n" + yaml.safe_dump(content, sort_keys=False))
    write_private(
        place.site / "ansible.cfg",
        "[defaults]\ninventory = hosts.yml\ninject_facts_as_vars = false\nhost_key_checking = true\n\n"
        "[ssh_connection]\npipelining = true\n",
    )


def connection(place: Place, host: Host) -> dict[str, Any]:
    """How Ansible reaches a host of the lab."""
    control = place.directory / "cp"
    values: dict[str, Any] = {
        "ansible_host": host.ipv4,
        "ansible_user": "root",
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_private_key_file": str(place.key),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={place.known_hosts} -o IdentitiesOnly=yes",
    }
    # A Unix socket's path has 107 characters at most; ssh adds 17 of its own while it makes one.
    if len(os.fspath(control)) < 75:
        values["ansible_control_path_dir"] = str(control)
    return values
