"""A host is refused for what stands in the way, and for nothing else."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import host, survey
from ansible_collections.valija.mailserver.plugins.module_utils.host import Listener

SURVEY: dict[str, Any] = {
    "hostname": "mail1",
    "hostname_resolves": True,
    "packages": {"base-files": "13"},
    "listeners": [],
    "hidden": [],
    "addresses": ["198.51.100.10", "2001:db8::10"],
}
SMTP = {"port": 25, "address": "any", "service": "smtp", "programs": ["master"]}
PROXY = {"port": 4190, "address": "loopback", "service": "proxy", "programs": []}


@pytest.mark.parametrize(
    ("name", "version", "release"),
    [
        ("debian", "12", "debian-12"),
        ("debian", "13", "debian-13"),
        ("ubuntu", "22.04", "ubuntu-22.04"),
        ("ubuntu", "26.04", "ubuntu-26.04"),
    ],
)
def test_supported_releases_have_a_key(name: str, version: str, release: str) -> None:
    os_release = host.parse_os_release(f'# a comment\nPRETTY_NAME="X"\nID={name}\nVERSION_ID="{version}"\n')
    assert host.release_of(os_release) == release
    assert host.release_refusal(os_release) is None


def test_ubuntu_24_04_is_refused_with_the_reason() -> None:
    told = host.release_refusal({"ID": "ubuntu", "VERSION_ID": "24.04", "PRETTY_NAME": "Ubuntu 24.04.1 LTS"})
    assert told and "courier-imap" in told and "Ubuntu 24.04.1 LTS" in told


def test_another_release_is_refused_with_the_list() -> None:
    told = host.release_refusal({"ID": "fedora", "VERSION_ID": "43"})
    assert told and "fedora 43" in told and host.SUPPORTED_NAMES in told


def test_a_host_with_nothing_in_the_way_is_not_refused() -> None:
    roles = [{"conflicts": [{"packages": ["exim4-*"], "reason": "x", "remedy": "y"}], "listens": [SMTP]}, {}]
    assert host.refusals(SURVEY, roles, "mail.example.org") == []


def test_a_name_that_does_not_resolve_is_refused_with_the_remedy() -> None:
    (told,) = host.refusals({**SURVEY, "hostname_resolves": False}, [])
    assert "mail1" in told and "/etc/hosts" in told


@pytest.mark.parametrize(
    "name", ["mail", "mail.example.123", "-x.example.org", "a b.example.org", "x" * 256, "mail..org", ""]
)
def test_a_mail_name_that_stops_postfix_is_refused(name: str) -> None:
    (told,) = host.refusals(SURVEY, [], name)
    assert told.startswith("mail_hostname")


@pytest.mark.parametrize(
    ("profile", "addresses", "refused"),
    [
        ("tutorial", ["10.0.0.5", "198.51.100.10", "2001:db8::10", "fd00::1"], False),
        ("tutorial", ["10.0.0.5", "9.9.9.9"], True),
        ("tutorial", ["2620:fe::fe"], True),
        ("internet", ["9.9.9.9"], False),
    ],
)
def test_the_class_rooms_server_is_refused_on_a_public_address(
    profile: str, addresses: list[str], refused: bool
) -> None:
    told = host.refusals({**SURVEY, "addresses": addresses}, [], "mail.example.org", profile)
    assert bool(told) == refused
    assert not refused or ("mail_profile" in told[0] and addresses[-1] in told[0])


def test_conflicts_are_told_with_versions_and_remedy() -> None:
    conflict = {"packages": ["exim4-*", "sendmail-bin"], "reason": "Another MTA is installed", "remedy": "Purge it."}
    installed = {"exim4-daemon-light": "4.96", "exim4-base": "4.96", "exim": "1"}
    (told,) = host.conflict_refusals([conflict], installed)
    assert told == "Another MTA is installed: exim4-base 4.96, exim4-daemon-light 4.96. Purge it."


PORTS: list[tuple[str, dict[str, Any], Listener, list[str], bool]] = [
    ("our own daemon", SMTP, Listener(25, "0.0.0.0", "master", 7), [], False),
    ("another program", SMTP, Listener(25, "0.0.0.0", "exim4", 7), [], True),
    ("another program on one address", SMTP, Listener(25, "192.0.2.1", "exim4", 7), [], True),
    ("another port", SMTP, Listener(26, "0.0.0.0", "exim4", 7), [], False),
    ("ours, hidden", SMTP, Listener(25, "0.0.0.0", "", 0), ["master"], False),
    ("somebody, hidden", SMTP, Listener(25, "0.0.0.0", "", 0), ["smtpd"], True),
    ("loopback, held elsewhere", PROXY, Listener(4190, "192.0.2.1", "x", 7), [], False),
    ("loopback, held everywhere", PROXY, Listener(4190, "::", "x", 7), [], True),
    ("loopback, held there", PROXY, Listener(4190, "127.0.0.1", "x", 7), [], True),
]


@pytest.mark.parametrize(
    ("wanted", "held", "hidden", "refused"), [case[1:] for case in PORTS], ids=[case[0] for case in PORTS]
)
def test_a_port_is_refused_when_another_program_holds_it(
    wanted: dict[str, Any], held: Listener, hidden: list[str], refused: bool
) -> None:
    told = host.port_refusals([wanted], [held], hidden)
    assert bool(told) is refused
    if told and held.pid:
        assert held.program in told[0] and "process 7" in told[0]


def test_a_port_held_on_both_families_is_told_once() -> None:
    held = [Listener(25, "0.0.0.0", "exim4", 7), Listener(25, "::", "exim4", 7)]
    assert len(host.port_refusals([SMTP, {**SMTP, "service": "again"}], held)) == 1


# Two lines of /proc/net/tcp and one of tcp6: a listener on 127.0.0.1:25, a connection, a listener on [::1]:143.
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:0019 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1
"""
TCP6 = """\
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000001000000:008F 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 4713 1 0 100 0 0
"""


def test_listening_sockets_are_read_from_proc() -> None:
    assert host.parse_sockets(TCP, socket.AF_INET) == [("127.0.0.1", 25, "4711")]
    (found,) = host.parse_sockets(TCP6.replace("0:0 00:0 0 0 0 4713", "0:0 00:0 0 0 0 4713"), socket.AF_INET6)
    assert found[:2] == ("::1", 143)


FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 198.51.100.0
        /26 link UNICAST
     |-- 198.51.100.10
        /32 host LOCAL
"""
IF_INET6 = """\
00000000000000000000000000000001 01 80 10 80       lo
20010db8019800510000000000000010 02 50 00 80     eth0
fe8000000000000000000000000000aa 02 40 20 80     eth0
"""


def test_addresses_are_those_that_others_can_reach() -> None:
    assert survey.local_addresses(FIB_TRIE, IF_INET6) == ["198.51.100.10", "2001:db8:198:51::10"]


def test_a_survey_is_plain_data_and_complete() -> None:
    seen = survey.survey()
    assert set(SURVEY) <= set(seen)
    assert isinstance(seen["packages"], dict) and isinstance(seen["listeners"], list)


def test_what_would_become_of_the_machine_itself_is_said_before_it_is_asked() -> None:
    first, packages, ports = host.take_over([PROXY, SMTP], ["courier-imap", "postfix"])
    assert "--yes" in first and "mail_take_over_confirmed" in first
    assert packages == "Packages to be installed: courier-imap, postfix."
    assert ports == "Ports that it would listen on: 25 (smtp), 4190 (proxy, loopback alone)."


def test_of_a_machine_with_all_packages_none_is_named() -> None:
    assert len(host.take_over([SMTP], [])) == 2
