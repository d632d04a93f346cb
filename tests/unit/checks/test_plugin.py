"""The suite as a program: what it runs, what a red check says, and what it leaves behind."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from valija.checks import plugin
from valija.checks.host_state import parse_sockets, queued
from valija.checks.postfix_replies import help_verb, unknown_verb, version_of
from valija.checks.postfix_tables import look_up, split_tables
from valija.checks.site import from_mapping
from valija.errors import InputError

SITE: dict[str, Any] = {
    "schema": 1,
    "name": "here",
    "release": "debian-13",
    "domain": "example.test",
    "hostname": "mail.example.test",
    "addresses": {"ipv4": "127.0.0.1", "ipv6": None},
    "ssh": {"local": True},
    "mail": {"mail_inet_protocols": "all", "mail_webmail": "none", "mail_message_size_mib": 25},
    "listens": [{"port": 25, "address": "any", "service": "smtp", "role": "postfix"}],
    "probe": [
        {"name": f"valija-probe-{n}", "password": f"geheim{n}", "address": f"valija-probe-{n}@example.test"}
        for n in (1, 2, 3)
    ],
    "peer": None,
}


def run(
    tmp_path: Path, *options: str, site_values: dict[str, Any] = SITE, **environment: str
) -> subprocess.CompletedProcess[str]:
    site = tmp_path / "site.json"
    site.write_text(json.dumps(site_values))
    return subprocess.run(
        [sys.executable, "-m", "valija.checks", "--site", str(site), *options],
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_results_and_the_report_are_in_the_language_of_the_environment(tmp_path: Path) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 25)) == 0:
            pytest.skip("this machine has a mail server of its own on port 25")
    done = run(tmp_path, "--check", "A-05", "--report-dir", "out", LANGUAGE="es")
    assert done.returncode == 1, done.stdout + done.stderr
    [check] = json.loads((tmp_path / "out" / "results.json").read_text())["checks"]
    assert check["title"] == "A HELO se responde con una línea, sin lista"
    assert "127.0.0.1 no responde en el puerto 25" in check["message"]
    assert "cláusula: RFC 5321" in done.stdout
    assert '<html lang="es">' in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_a_red_check_says_what_was_wrong_the_clause_and_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 25)) == 0:
            pytest.skip("this machine has a mail server of its own on port 25")
    done = run(tmp_path, "--check", "A-05", "--report-dir", "out", "--junitxml", "out/junit.xml", LANGUAGE="C")
    assert done.returncode == 1, done.stdout + done.stderr
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    [check] = results["checks"]
    assert (check["id"], check["outcome"], check["behaviour"]) == ("A-05", "failed", "greeting")
    assert check["clauses"] == ["RFC 5321 sections 4.1.1.1, F.3"]
    assert "127.0.0.1 port 25 does not answer" in check["message"]
    assert "clause: RFC 5321" in done.stdout
    assert results["summary"] == {"passed": 0, "failed": 1, "waiting": 0, "skipped": 0}
    assert (tmp_path / "out" / "report.html").exists() and (tmp_path / "out" / "junit.xml").exists()


def test_what_a_site_lacks_is_skipped_with_its_reason(tmp_path: Path) -> None:
    done = run(tmp_path, "--check", "M-06", "--check", "E-20", "--check", "E-04", "--report-dir", "out")
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    skipped = {check["id"]: check["reason"] for check in results["checks"] if check["outcome"] == "skipped"}
    assert set(skipped) == {"M-06", "E-04"}, done.stdout
    assert skipped["M-06"].startswith("no peer") and skipped["E-04"].startswith("no webmail")


def test_where_every_check_is_skipped_nothing_is_proved(tmp_path: Path) -> None:
    done = run(tmp_path, "--check", "M-06", "--report-dir", "out", LANGUAGE="C")
    assert done.returncode == 1, done.stdout
    assert "nothing is proved" in done.stdout and "no peer" in done.stdout


def test_no_way_to_the_host_is_red_and_to_its_second_address_skipped(tmp_path: Path) -> None:
    for addresses, outcome in (
        ({"ipv4": "224.0.0.1", "ipv6": None}, ["failed"]),
        ({"ipv4": "224.0.0.1", "ipv6": "ff02::1"}, ["failed", "skipped"]),
    ):
        done = run(tmp_path, "--check", "A-05", "--report-dir", "out", site_values=SITE | {"addresses": addresses})
        checks = json.loads((tmp_path / "out" / "results.json").read_text())["checks"]
        assert [check["outcome"] for check in checks] == outcome, done.stdout


def test_on_the_host_itself_a_person_s_program_is_tried(tmp_path: Path) -> None:
    done = run(tmp_path, "--check", "T-1", "--report-dir", "out", site_values=SITE | {"outside": False})
    checks = json.loads((tmp_path / "out" / "results.json").read_text())["checks"]
    tried = [check["outcome"] for check in checks if check["vantage"] == "client" and not check["reason"]]
    assert tried, done.stdout


def test_on_the_host_itself_what_the_world_sees_is_skipped_never_green(tmp_path: Path) -> None:
    done = run(tmp_path, "--check", "A-05", "--report-dir", "out", site_values=SITE | {"outside": False})
    [check] = json.loads((tmp_path / "out" / "results.json").read_text())["checks"]
    assert (check["vantage"], check["outcome"]) == ("outside", "skipped"), done.stdout
    assert check["reason"].startswith("no outside")


def test_the_settings_of_the_place_where_it_runs_have_no_say(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (tmp_path / "conftest.py").write_text("raise RuntimeError('somebody else')\n")
    done = run(tmp_path, "--collect-only", "-q", PYTEST_ADDOPTS="--no-such-option", PYTEST_PLUGINS="no_such_plugin")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_session.py::test_the_whole_session" in done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--check", "Z-99"], "No check has the id Z-99"), (["--tier", "huge"], "invalid choice")],
)
def test_wrong_usage_is_told(tmp_path: Path, options: list[str], said: str) -> None:
    done = run(tmp_path, *options)
    assert done.returncode == 4
    assert said in done.stdout + done.stderr


def test_the_suite_ends_when_its_parent_is_gone(tmp_path: Path) -> None:
    site = tmp_path / "site.json"
    site.write_text(json.dumps(SITE | {"addresses": {"ipv4": "192.0.2.1"}}))
    suite = subprocess.Popen(
        [sys.executable, "-m", "valija.checks", "--with-parent", "--site", str(site), "--check", "A-05"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert suite.stdin is not None
    suite.stdin.close()
    assert suite.wait(timeout=20) != 0


def test_no_row_of_the_catalogue_is_both_built_and_waiting(tmp_path: Path) -> None:
    done = run(tmp_path, "--collect-only", "-q", "--tier", "slow")
    assert done.returncode == 0, done.stdout
    folder = Path(plugin.__file__).parent
    text = "".join(path.read_text() for path in folder.glob("test_*.py"))
    rows = plugin.waiting()
    ids = [row["id"] for row in rows]
    assert len(ids) == len(set(ids))
    assert [id for id in ids if f'"{id}"' in text] == []
    assert all(row["title"] and row["waits_for"] for row in rows)


def test_families_are_what_is_asked_for_and_there() -> None:
    assert from_mapping(SITE).families == ["ipv4"]
    both = SITE | {"addresses": {"ipv4": "127.0.0.1", "ipv6": "::1"}}
    assert from_mapping(both).families == ["ipv4", "ipv6"]
    alone = both | {"mail": {"mail_inet_protocols": "ipv6"}}
    assert from_mapping(alone).families == ["ipv6"]
    assert "geheim1" not in repr(from_mapping(SITE))


def test_a_site_file_of_another_schema_is_refused() -> None:
    with pytest.raises(InputError, match="schema 2"):
        from_mapping(SITE | {"schema": 2})


def test_listening_sockets_are_read() -> None:
    text = (
        'tcp LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("apache2",pid=752,fd=3))\n'
        "tcp   LISTEN 0 100 [::]:25 [::]:*\n"
        'tcp LISTEN 0 4096 *:143 *:* users:(("couriertcpd",pid=574,fd=3))\n'
        'udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:* users:(("systemd-resolve",pid=9,fd=1))\n'
    )
    assert [str(one) for one in parse_sockets(text)] == [
        "tcp 0.0.0.0:80 apache2",
        "tcp :::25",
        "tcp 0.0.0.0:143 couriertcpd",
        "tcp :::143 couriertcpd",
        "udp 127.0.0.53%lo:53 systemd-resolve",
    ]
    assert [one.loopback for one in parse_sockets(text)] == [False, False, False, False, True]


class Host:
    """A host that answers commands from a table."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers

    def run(self, command: str, *words: str) -> Any:
        line = command % words if words else command
        text = next((answer for part, answer in self.answers.items() if part in line), "")
        return type("Result", (), {"rc": 0 if text else 1, "stdout": text, "stderr": ""})()


def test_an_alias_is_followed_to_its_ends() -> None:
    tables = split_tables("lmdb:/etc/aliases, pipemap:{unix:passwd.byname, regexp:/x}  hash:/y\n")
    assert tables == ["lmdb:/etc/aliases", "pipemap:{unix:passwd.byname, regexp:/x}", "hash:/y"]
    host = Host(
        {
            "-q root ": "postmaster\n",
            "-q postmaster ": "alice, ops@example.net\n",
            "-q loop ": "loop2\n",
            "-q loop2 ": "loop",
        }
    )
    assert look_up(host, tables, "root") == ["alice", "ops@example.net"]
    assert look_up(host, tables, "loop") == []
    assert look_up(host, tables, "bob") == ["bob"]


def test_only_queued_mail_of_the_checks_is_ours() -> None:
    def entry(sender: str, recipient: str) -> str:
        return json.dumps({"queue_id": sender[:1], "sender": sender, "recipients": [{"address": recipient}]})

    lines = [
        entry("a@x.test", "b@y.test"),
        entry("c@x.test", "valija-probe@y.test"),
        entry("d@remote.test", "e@y.test"),
    ]
    host = Host({"postqueue -j": "\n".join(lines)})
    assert [one["queue_id"] for one in queued(host, ["valija-probe@", "@remote.test"])] == ["c", "d"]


def test_a_queue_that_cannot_be_read_is_not_empty() -> None:
    with pytest.raises(AssertionError, match="postqueue -j"):
        queued(Host({}), ["valija-probe@"])


def test_replies_depend_on_the_release() -> None:
    assert str(unknown_verb(version_of("3.6.4"))) == "502 5.5.2"
    assert str(unknown_verb(version_of("3.10.13"))) == "500 5.5.2"
    assert str(help_verb(version_of("3.7.11"))) == "500 5.5.2"
    assert str(help_verb(version_of("3.10.13"))) == "214 2.0.0"
