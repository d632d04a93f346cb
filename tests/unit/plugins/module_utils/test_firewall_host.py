"""The firewall on a host: the order in which rules, their return and their file come, with a host that is made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import files, firewall_host, services, survey
from ansible_collections.valija.mailserver.plugins.module_utils.checking import Refused
from ansible_collections.valija.mailserver.plugins.module_utils.command import Done
from ansible_collections.valija.mailserver.plugins.module_utils.firewall import REMOVE
from ansible_collections.valija.mailserver.plugins.module_utils.firewall_host import Found
from ansible_collections.valija.mailserver.plugins.module_utils.host import Listener

OLD, NEW = "table inet valija {\n}\n", "table inet valija {\n\tchain input {\n\t}\n}\n"


class Host:
    """What the programs of a host are asked, in order, and the table that is loaded."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        self.table = OLD
        self.refuses: set[str] = set()
        self.former = folder / "former.nft"
        self.acted: list[services.Steps] = []

    def run(self, argv: list[str], *, stdin: str | None = None, **_: Any) -> Done:
        line = " ".join(argv)
        self.said.append(line)
        if any(word in line for word in self.refuses):
            return Done(tuple(argv), 1, "", "Error: refused")
        if argv[0] == "nft" and "list" in argv:
            return Done(tuple(argv), 0 if self.table else 1, self.table, "")
        if argv[:2] == ["nft", "-f"]:
            text = stdin if argv[2] == "-" else Path(argv[2]).read_text()
            self.table = (text or "").removeprefix(REMOVE)
        return Done(tuple(argv), 0, "", "")

    def asked(self, word: str) -> list[str]:
        return [line for line in self.said if word in line]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)
    monkeypatch.setattr(firewall_host, "run", made.run)
    for name, file in (("FOLDER", ""), ("STATE", "state"), ("FORMER", "former.nft"), ("RETURNED", "returned.nft")):
        monkeypatch.setattr(firewall_host, name, tmp_path / file)
    monkeypatch.setattr(firewall_host.landing, "write_file", lambda path, content, *_: Path(path).write_bytes(content))
    monkeypatch.setattr(services, "act", made.acted.append)
    monkeypatch.setattr(services, "read", lambda _services: {})
    monkeypatch.setattr(services, "decide", lambda *_args, **_options: services.Steps())
    return made


def found(text: str = NEW, loaded: str = OLD) -> Found:
    return Found(REMOVE + text, text, loaded, (), services.Steps())


def test_the_return_is_armed_before_the_rules_are_loaded(host: Host) -> None:
    firewall_host.load(found(), 45)
    armed = next(number for number, line in enumerate(host.said) if "--on-active=45" in line)
    loaded = host.said.index("nft -f -")
    assert armed < loaded
    assert host.table == NEW
    assert host.former.read_text() == REMOVE + OLD


def test_where_no_return_can_be_armed_nothing_is_loaded(host: Host) -> None:
    host.refuses = {"systemd-run"}
    with pytest.raises(Refused, match="the former ones stay"):
        firewall_host.load(found(), 45)
    assert host.table == OLD
    assert not host.former.exists()


def test_rules_that_nft_refuses_leave_the_former_and_no_timer(host: Host) -> None:
    host.refuses = {"nft -f -"}
    with pytest.raises(Refused, match="refused"):
        firewall_host.load(found(), 45)
    assert host.table == OLD
    assert host.asked("stop valija-firewall-return.timer")[-1] and not host.former.exists()


def test_what_a_killed_run_would_return_to_stays_the_way_back(host: Host) -> None:
    firewall_host.load(found(), 45)
    firewall_host.load(found("table inet valija {\n\tother\n}\n", NEW), 45)
    assert host.former.read_text() == REMOVE + OLD


def test_a_confirmation_stops_the_timer_and_then_writes(host: Host) -> None:
    firewall_host.load(found(), 45)
    host.said.clear()
    firewall_host.confirm(found(loaded=NEW))
    assert "stop valija-firewall-return.timer" in host.said[0] and host.acted
    assert not host.former.exists() and host.table == NEW


@pytest.mark.parametrize("returned", [True, False])
def test_a_confirmation_that_comes_too_late_or_finds_other_rules_is_refused(host: Host, returned: bool) -> None:
    firewall_host.load(found(), 45)
    if returned:
        host.run(["nft", "-f", str(host.former)])
        host.former.unlink()
    else:
        host.table = "table inet valija {\n\tedited\n}\n"
    with pytest.raises(Refused, match="came back by themselves"):
        firewall_host.confirm(found(loaded=NEW))
    assert host.table == OLD
    assert not host.former.exists()
    assert not host.acted


def test_rules_that_cannot_be_kept_are_taken_back(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    firewall_host.load(found(), 45)

    def fail(_steps: services.Steps) -> None:
        raise services.ServiceError("the disk is full")

    monkeypatch.setattr(services, "act", fail)
    with pytest.raises(Refused, match="the disk is full"):
        firewall_host.confirm(found(loaded=NEW))
    assert host.table == OLD
    assert not host.former.exists()


def test_rules_that_an_empty_network_refuses_are_never_loaded(host: Host) -> None:
    host.refuses = {"unshare"}
    with pytest.raises(Refused, match="nothing was changed"):
        firewall_host.canonical("table x")
    assert host.table == OLD


def test_who_listens_and_is_not_let_in_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sockets = {
        "tcp": [
            Listener(22, "0.0.0.0", "sshd", 1),
            Listener(8080, "0.0.0.0", "node", 7),
            Listener(8080, "::", "node", 7),
            Listener(3306, "127.0.0.1", "mariadbd", 8),
        ],
        "udp": [Listener(68, "0.0.0.0", "dhclient", 3), Listener(51820, "::", "", 0)],
    }
    listeners: Callable[[str], Any] = lambda protocol="tcp": (sockets[protocol], [])  # noqa: E731
    monkeypatch.setattr(survey, "listeners", listeners)
    opened = firewall_host.openings([], {22}, [], [])
    assert firewall_host._shut_out(opened) == [
        "8080/tcp (node, process 7)",
        "51820/udp (a program that cannot be seen)",
    ]


def test_an_earlier_return_is_told_once(host: Host) -> None:
    firewall_host.RETURNED.write_text("")
    assert "never confirmed" in firewall_host.notes()[0]
    assert firewall_host.notes() == []


def test_the_diff_shows_the_file_or_else_what_is_loaded() -> None:
    wanted = files.Wanted(firewall_host.FILE, content=b"new\n")
    change = files.Change(wanted, files.Actual(), ("state",))
    heads = [
        [
            entry["after_header"]
            for entry in firewall_host.result_of(Found("t", NEW, OLD, changes, services.Steps()))["diff"]
        ]
        for changes in ((change,), ())
    ]
    assert heads == [[firewall_host.FILE], ["table inet valija, as loaded"]]
