"""The firewall's rules as text, and where the ports of SSH are found."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import firewall, ssh_ports
from ansible_collections.valija.mailserver.plugins.module_utils.firewall import Opening, openings, parse_ports, render
from ansible_collections.valija.mailserver.plugins.module_utils.host import Listener

LISTENS = [
    {"port": 25, "address": "any", "service": "smtp"},
    {"port": "993", "service": "imaps", "protocol": "tcp"},
    {"port": 10587, "address": "loopback", "service": "webmail-submission"},
]


def opened(text: str) -> list[str]:
    """The ports that a ruleset lets in, as its rules say them."""
    return re.findall(r"^\t\t(tcp|udp) dport (\S+) accept", text, re.MULTILINE)


def test_exactly_ssh_the_declared_ports_and_the_sites_own_are_let_in() -> None:
    text = render(openings(LISTENS, {22}, ["8443", "60000-61000"], ["53"]))
    assert opened(text) == [
        ("tcp", "22"),
        ("tcp", "25"),
        ("tcp", "993"),
        ("tcp", "8443"),
        ("tcp", "60000-61000"),
        ("udp", "53"),
    ]
    assert "10587" not in text


def test_a_port_is_let_in_once_under_the_name_of_its_service() -> None:
    text = render(openings([*LISTENS, LISTENS[0]], {25}, ["25"], []))
    assert text.count("dport 25 ") == 1
    assert 'tcp dport 25 accept comment "ssh"' in text


def test_nothing_but_our_own_table_is_named() -> None:
    text = render(openings(LISTENS, {22}, [], []))
    assert "flush" not in text
    assert set(re.findall(r"^(?:delete )?table .*?(?= ?\{?$)", text, re.MULTILINE)) == {
        "table inet valija",
        "delete table inet valija",
    }
    assert set(re.findall(r"hook (\w+)", text)) == {"input"}


def test_a_service_cannot_break_out_of_its_comment() -> None:
    (opening,) = openings([{"port": 1, "service": 'x" accept; drop #'}], [], [], [])
    assert opening.rule == '\t\ttcp dport 1 accept comment "x accept drop "\n'


def test_what_comes_back_is_the_former_table_or_none() -> None:
    listing = render(openings(LISTENS, {22}, [], [])).partition("delete table inet valija\n")[2]
    assert firewall.restoring(listing) == f"{firewall.REMOVE}{listing}"
    assert firewall.restoring("") == firewall.REMOVE


@pytest.mark.parametrize(
    ("text", "ports"), [("22", (22, 22)), (" 8443 ", (8443, 8443)), ("1-65535", (1, 65535)), ("7-7", (7, 7))]
)
def test_ports_and_ranges_are_read(text: str, ports: tuple[int, int]) -> None:
    assert parse_ports(text) == ports


@pytest.mark.parametrize("text", ["", "0", "65536", "9-8", "22,23", "ssh", "22; drop", "-1", "22-"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither a port nor a range"):
        parse_ports(text)


def test_a_range_lets_in_what_is_between_and_of_its_protocol() -> None:
    opening = Opening("udp", 10, 20, "x")
    assert [opening.lets_in("udp", port) for port in (9, 10, 15, 20, 21)] == [False, True, True, True, False]
    assert not opening.lets_in("tcp", 15)


@pytest.mark.skipif(shutil.which("nft") is None or os.geteuid() != 0, reason="nft is not here, or may not be used")
def test_nft_takes_the_rules() -> None:
    text = render(openings(LISTENS, {22}, ["8443"], ["60000-61000"]))
    subprocess.run(["nft", "-c", "-f", "-"], input=text, text=True, check=True)


# SSH


def test_ports_of_sshd_are_read_from_its_effective_configuration() -> None:
    said = "port 22\nport 2222\naddressfamily any\nlistenaddress [::]:22\nlistenaddress 0.0.0.0:2022\nmaxauthtries 6\n"
    assert ssh_ports.from_sshd(said) == {22, 2222, 2022}


def test_ports_of_a_socket_unit_are_read() -> None:
    said = "ActiveState=active\nListen=0.0.0.0:2200 (Stream)\nListen=[::]:2201 (Stream)\nListen=/run/x (Stream)\n"
    assert ssh_ports.from_socket_unit(said) == {2200, 2201}


def test_all_sources_count_and_loopback_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    class Done:
        def __init__(self, out: str) -> None:
            self.out = out

    said = {"sshd": "port 2222\n", "systemctl": "ActiveState=inactive\nListen=0.0.0.0:2300 (Stream)\n"}
    monkeypatch.setattr(ssh_ports, "run", lambda argv, **_: Done(said[argv[0]]))
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.7 50000 198.51.100.10 2022")
    monkeypatch.setattr(ssh_ports, "_parent", {100: 1, 200: 100}.__getitem__)
    listeners = [
        Listener(22, "0.0.0.0", "sshd", 100),
        Listener(6010, "127.0.0.1", "sshd", 100),
        Listener(8080, "0.0.0.0", "sshd", 200),  # forwarded in the session of a user
        Listener(25, "::", "master", 3),
    ]
    assert ssh_ports.ports(listeners) == {22, 2222, 2022}


def test_the_connection_is_found_through_the_parents(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.setattr(ssh_ports, "_PROC", tmp_path)
    for pid, parent, environment in (
        (30, 20, b"PATH=/bin\0"),
        (20, 1, b"A=1\0SSH_CONNECTION=192.0.2.7 5 192.0.2.1 22\0"),
    ):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "environ").write_bytes(environment)
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a) b) S {parent} 0 0\n")
    assert ssh_ports.session(30) == "192.0.2.7 5 192.0.2.1 22"
    assert ssh_ports.session(1) == ""
