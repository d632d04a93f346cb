"""What the checks are told about a host."""

from __future__ import annotations

import re
import string
from typing import Any

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils.account import PASSWORD_BYTES
from ansible_collections.valija.mailserver.plugins.plugin_utils import prove_site

SURVEY = """release debian-13
address 2: eth0    inet 198.51.100.10/26 brd 198.51.100.63 scope global eth0\\       valid_lft forever
address 2: eth0    inet6 2001:db8:198:51::10/80 scope global nodad \\       valid_lft forever
address 2: eth0    inet6 2001:db8::77/64 scope global temporary dynamic \\       valid_lft 100sec
"""


class Connection:
    """As much of a connection plugin as is asked."""

    def __init__(self, transport: str, **options: Any) -> None:
        self.transport, self.options = transport, options

    def get_option(self, name: str) -> Any:
        return self.options.get(name)


def test_the_survey_gives_the_release_and_the_lasting_addresses() -> None:
    assert prove_site.read_survey(SURVEY) == ("debian-13", ["198.51.100.10", "2001:db8:198:51::10"])


@pytest.mark.parametrize(
    ("named", "own", "told", "expected"),
    [
        ("198.51.100.10", ["198.51.100.10", "2001:db8::10"], {}, {"ipv4": "198.51.100.10", "ipv6": "2001:db8::10"}),
        ("198.51.100.10", ["10.0.0.5", "fd00::5"], {}, {"ipv4": "198.51.100.10"}),
        ("198.51.100.10", ["198.51.100.10"], {"ipv4": "192.0.2.7"}, {"ipv4": "192.0.2.7"}),
        ("no-such-host.invalid", ["198.51.100.10"], {}, {}),
        pytest.param(None, ["10.0.0.5", "10.0.0.6"], {}, {"ipv4": "10.0.0.5"}, id="the machine itself"),
        pytest.param(None, [], {}, {"ipv4": "127.0.0.1", "ipv6": "::1"}, id="the machine itself, without a network"),
        pytest.param(None, ["10.0.0.5"], {"ipv4": "192.0.2.7"}, {"ipv4": "192.0.2.7"}, id="the machine itself, told"),
    ],
)
def test_addresses_are_those_by_which_the_host_is_reached(
    named: str | None, own: list[str], told: dict[str, str], expected: dict[str, str]
) -> None:
    assert prove_site.reached_at(named, own, told) == expected


def test_secrets_stay_on_the_control_node() -> None:
    mail = {
        "mail_domain": "example.test",
        "mail_relayhost_password": "x",
        "mail_accounts": [{"name": "alice", "password": "x", "password_hash": "y", "aliases": []}],
    }
    assert prove_site.without_secrets(mail) == {
        "mail_domain": "example.test",
        "mail_accounts": [{"name": "alice", "aliases": []}],
    }


def test_probe_accounts_have_fresh_passwords() -> None:
    first, second = prove_site.probe_accounts("example.test"), prove_site.probe_accounts("example.test")
    assert [one["address"] for one in first] == [f"{one['name']}@example.test" for one in first]
    assert len({one["password"] for one in (*first, *second)}) == 12


def test_some_probe_accounts_have_passwords_of_every_special_kind() -> None:
    passwords = [one["password"] for one in prove_site.probe_accounts("example.test")]
    assert all(re.fullmatch(r"[\w-]+", password) for password in passwords[:3])
    assert set(passwords[3]) >= {*string.punctuation} and passwords[3] != passwords[3].strip()
    assert not passwords[4].isascii()
    assert len(passwords[5]) == PASSWORD_BYTES


def test_two_runs_at_once_have_accounts_of_their_own() -> None:
    first, second = prove_site.probe_accounts("example.test"), prove_site.probe_accounts("example.test")
    names = [one["name"] for one in (*first, *second)]
    assert len(set(names)) == 12
    assert all(re.fullmatch(r"valija-probe-[0-9a-f]{6}(-[2-6])?", name) for name in names)


def test_what_a_killed_run_left_is_taken_away_once_it_is_old() -> None:
    old, young = prove_site.OLD_SECONDS + 1, 60
    output = SURVEY + "".join(
        f"probe {name} {age}\n"
        for name, age in (
            ("valija-probe", old),
            ("valija-probe-3", old),
            ("valija-probe-0a1b2c-2", old),
            ("valija-probe-d4e5f6", young),
            ("valija-probes", old),
        )
    )
    assert prove_site.old_probes(output) == ["valija-probe", "valija-probe-3", "valija-probe-0a1b2c-2"]
    assert prove_site.read_survey(output) == prove_site.read_survey(SURVEY)


def test_the_accounts_of_the_inventory_and_of_its_file_are_to_be_there() -> None:
    inventory = [{"name": "alice"}, {"name": "bob", "state": "disabled"}]
    file = [{"name": "carol", "state": "present"}, {"name": "dave", "state": "absent"}]
    assert prove_site.account_names(inventory, file) == ["alice", "carol"]


def test_the_checks_reach_the_host_as_ansible_does() -> None:
    connection = Connection(
        "ansible.builtin.ssh",
        host="198.51.100.10",
        port=None,
        remote_user="ops",
        private_key_file="/k",
        ssh_common_args="-o ProxyJump=x",
        host_key_checking=False,
    )
    block = prove_site.ssh_block(connection, become=True)
    assert block == {
        "host": "198.51.100.10",
        "port": 22,
        "user": "ops",
        "key": "/k",
        "options": ["-o", "ProxyJump=x", "-o", "StrictHostKeyChecking=no"],
        "sudo": True,
    }
    assert prove_site.ssh_block(Connection("local"), become=False) == {"local": True, "sudo": False}
    with pytest.raises(ValueError, match="winrm"):
        prove_site.ssh_block(Connection("winrm"), become=False)


def test_listeners_carry_their_role() -> None:
    [listener] = prove_site.listeners({"postfix": [{"port": 25, "service": "smtp", "programs": ["master"]}]})
    assert listener["role"] == "postfix" and listener["address"] == "any" and listener["protocol"] == "tcp"


def test_what_else_stands_in_the_peer_s_block_stays_on_the_control_node() -> None:
    assert prove_site.peer_block({}) is None
    peer = {"api": "http://198.51.100.2:8025", "password": "x"}
    assert prove_site.peer_block(peer) == {"api": "http://198.51.100.2:8025"}
