"""Which lines of the journal count against an address: those of real hosts, and what strangers write into user names.

On lab hosts `fail2ban-regex` reads the same lines (tests/lab/test_bans.py). Here fail2ban's own words for an address
(failregex.py, ipdns.py) stand for what it makes of `<ADDR>`.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FAIL2BAN = ROOT / "roles/fail2ban/templates/etc/fail2ban"
LINES = ROOT / "tests/data/fail2ban"

IPV4 = r"(?:::f{4,6}:)?(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})"
IPV6 = r"(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|::){1,7}(?:[0-9a-fA-F]{1,4}|(?<=:):))"


def expression(name: str, daemon: str = "") -> re.Pattern[str]:
    """The failregex of a filter, as fail2ban reads it."""
    parser = configparser.RawConfigParser()
    parser.read_string((FAIL2BAN / f"filter.d/{name}.conf.j2").read_text().partition("\n")[2])
    text = parser["Definition"]["failregex"]
    for tag, stands_for in (
        ("<ADDR>", rf"\[?(?:{IPV4}|{IPV6})\]?"),
        ("<daemon>", daemon),
        ("<F-PORT>", "(?P<port>"),
        ("</F-PORT>", ")"),
    ):
        text = text.replace(tag, stands_for)
    assert "<F-" not in text and "<H" not in text
    return re.compile(text)


FILTERS = [expression("valija-smtp"), expression("valija-courier", "imapd"), expression("valija-courier", "pop3d")]


def counted(line: str) -> str:
    """The address that a line counts against, `-` for none; no line may count in two jails."""
    matches = [match for match in (pattern.search(line) for pattern in FILTERS) if match]
    assert len(matches) < 2, line
    return next((match["ip4"] or match["ip6"] for match in matches), "-")


def cases() -> list[tuple[str, str, str]]:
    found = []
    for path in sorted(LINES.glob("*.txt")):
        for line in path.read_text().splitlines():
            if not line.startswith("#"):
                address, _, text = line.partition(" | ")
                found.append((path.stem, address, text))
    return found


def test_every_recorded_line_counts_against_its_client_alone() -> None:
    assert len(cases()) > 100
    wrong = [(release, text, counted(text), address) for release, address, text in cases() if counted(text) != address]
    assert not wrong
    assert {release for release, address, _ in cases() if address != "-"} == {"debian-12", "debian-13"}


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("mail imapd-ssl[9]: LOGIN FAILED, user=a, ip=[2001:db8:1::7], port=[40123]", "2001:db8:1::7"),
        ("mail pop3d[9]: LOGIN FAILED, method=CRAM-MD5, ip=[2001:db8::], port=[1]", "2001:db8::"),
        (
            "mail postfix/submissions/smtpd[9]: warning: host.example.net[2001:db8:1::7]: SASL PLAIN authentication "
            "failed: authentication failure, sasl_username=a",
            "2001:db8:1::7",
        ),
        # Postfix before 3.5 and a name that cannot be had say nothing of the user.
        (
            "mail postfix/smtps/smtpd[9]: warning: unknown[192.0.2.7]: SASL LOGIN authentication failed: "
            "authentication failure",
            "192.0.2.7",
        ),
    ],
)
def test_addresses_of_both_protocols_are_read(line: str, address: str) -> None:
    assert counted(line) == address


@pytest.mark.parametrize(
    "line",
    [
        "mail postfix/smtpd[9]: warning: x[192.0.2.7]: SASL PLAIN authentication failed: Connection lost to "
        "authentication server, sasl_username=a",
        "mail postfix/smtpd[9]: warning: x[192.0.2.7]: SASL PLAIN authentication failed: Invalid mechanism",
        "mail postfix/submission/smtpd[9]: warning: hostname x[1] [192.0.2.7]: SASL PLAIN authentication failed: "
        "authentication failure",
        "mail sshd[9]: LOGIN FAILED, user=a, ip=[192.0.2.7], port=[1]",
        "mail imapd-ssl[9]: aaLOGIN FAILED, user=a, ip=[192.0.2.7], port=[1]",
        "mail imapd-ssl[9]: LOGIN FAILED, user=a, ip=[192.0.2.7], port=[1]v",
        "mail imapd-ssl[9]: LOGIN FAILED, user=a, ip=[192.0.2.7]",
        "mail imapd-ssl[9]: LOGIN FAILED, user=a, ip=[mail.example.net], port=[1]",
        "mail imapd-ssl[9]: LOGIN FAILED, user=" + "a" * 256 + ", ip=[192.0.2.7], port=[1]",
        "mail imapd-ssl[9]: Connection, ip=[192.0.2.7], port=[1]",
    ],
)
def test_other_lines_count_against_nobody(line: str) -> None:
    assert counted(line) == "-"


# the command that fail2ban asks whether to ignore a line

PEERS = """\
ESTAB  0 0 [::ffff:198.51.100.10]:993 [::ffff:192.0.2.7]:40123
CLOSE-WAIT 0 0 198.51.100.10:995 192.0.2.8:40123
ESTAB  0 0 [2001:db8::10]:993 [2001:db8:1::7]:40123
"""
UP = "ActiveState=active\nActiveEnterTimestamp=@1000\n"


def ignored(folder: Path, arguments: list[str], unit: str = UP) -> bool:
    """Whether the command says so, with these peers and this state of authdaemond."""
    script = folder / "no-verdict"
    text = (FAIL2BAN / "filter.d/ignorecommands/valija-no-verdict.j2").read_text()
    script.write_text("\n".join(line for line in text.splitlines() if "{{" not in line) + "\n")
    for name, output in (("ss", PEERS), ("systemctl", unit)):
        program = folder / name
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{output}END\n")
        program.chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", str(script), *arguments], env={"PATH": path}, capture_output=True, text=True, check=False
    )
    assert not done.stderr and done.returncode in (0, 1), done
    return done.returncode == 0


@pytest.mark.parametrize(
    ("address", "port", "judged"),
    [
        ("192.0.2.7", "40123", True),
        ("192.0.2.8", "40123", True),
        ("2001:db8:1::7", "40123", True),
        ("198.51.100.99", "40123", False),
        ("2.0.2.7", "40123", False),
        ("192.0.2.7", "4012", False),
    ],
)
def test_a_line_counts_only_while_its_connection_is_there(
    address: str, port: str, judged: bool, tmp_path: Path
) -> None:
    assert ignored(tmp_path, ["0", "2000.5", address, port]) is not judged


@pytest.mark.parametrize(
    ("unit", "judged"),
    [
        (UP, True),
        ("ActiveEnterTimestamp=@1000\nActiveState=active\n", True),
        ("ActiveState=active\nActiveEnterTimestamp=@2000\n", False),
        ("ActiveState=active\nActiveEnterTimestamp=@2001\n", False),
        ("ActiveState=inactive\nActiveEnterTimestamp=@1000\n", False),
        ("ActiveState=activating\nActiveEnterTimestamp=@1000\n", False),
        ("ActiveState=failed\nActiveEnterTimestamp=\n", False),
    ],
)
def test_a_line_counts_only_while_somebody_was_there_to_judge(unit: str, judged: bool, tmp_path: Path) -> None:
    assert ignored(tmp_path, ["0", "2000.5", "192.0.2.7", "40123"], unit) is not judged


@pytest.mark.parametrize("restored", ["1", "<restored>"])
def test_a_ban_that_is_brought_back_is_not_asked_about(restored: str, tmp_path: Path) -> None:
    assert not ignored(tmp_path, [restored, "<time>", "198.51.100.99", "<F-PORT>"])
