"""What changes while the server is used: tables that are looked up, and accounts that somebody is logged in with."""

from __future__ import annotations

import itertools
import re
import smtplib
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
import yaml

from valija.probes import imap, smtp, wait
from valija.probes.web import Browser
from valija.probes.webmail import SquirrelMail

from .conftest import LabSite, find_host, valija

pytestmark = pytest.mark.slow

DOMAIN = "example.test"

# Until it is told to stop: look names up in the compiled tables, and note what was not found.
LOOK_UPS = """
rm -f /run/look-ups-stop /run/look-ups-lost; number=0
until [ -e /run/look-ups-stop ] || [ $number -ge 100000 ]; do
    number=$((number + 1))
    postalias -q name1 lmdb:/etc/aliases >/dev/null || echo local >>/run/look-ups-lost
    postmap -q name1@{domain} lmdb:/etc/postfix/virtual >/dev/null || echo virtual >>/run/look-ups-lost
    printf 'EHLO x\\r\\nMAIL FROM:<>\\r\\nRCPT TO:<name1@{domain}>\\r\\nRCPT TO:<name2@{domain}>\\r\\nQUIT\\r\\n' |
        sendmail -bs 2>&1 | grep -c '^250 2.1.5' | grep -qx 2 || echo rcpt >>/run/look-ups-lost
done
echo $number
"""


@pytest.fixture(scope="module")
def served(lab: LabSite) -> Iterator[LabSite]:
    """The profile internet, with a file of aliases; alice and bob have passwords of the lab."""
    write_aliases(lab.path, "alice")
    (lab.path / "group_vars/all/zz_test.yml").write_text("mail_aliases_file: aliases.txt\n")
    run = lab.valija("apply")
    assert run.code == 0, run.output
    yield lab


def write_aliases(site: Path, reader: str) -> None:
    names = range(2_000)
    lines = [f"name{number}: {reader}\n" for number in names]
    (site / "aliases.txt").write_text("".join([*lines, *(f"name{number}@{DOMAIN}: {reader}\n" for number in names)]))


def test_no_look_up_fails_while_tables_are_replaced_and_the_new_ones_count_at_once(served: LabSite) -> None:
    host = served.host
    started = host.starts()
    with ThreadPoolExecutor(1) as beside:
        looking = beside.submit(host.sh, LOOK_UPS.format(domain=DOMAIN), check=False)
        try:
            for reader, number in zip(itertools.cycle(("bob", "alice")), range(6), strict=False):
                write_aliases(served.path, reader)
                run = served.valija("apply", "--tags", "postfix")
                assert run.code == 0, run.output
                token = f"swap-{number}-{time.time_ns()}"
                host.sh(f"printf 'Subject: {token}\\n\\n{token}\\n' | sendmail -f '' name7@{DOMAIN}")
                arrived = partial(host.sh, f"grep -rl {token} /home/{reader}/Maildir/new", check=False)
                wait.until(arrived, within=20, what=f"mail for {reader}")
        finally:
            host.sh("touch /run/look-ups-stop")
        looked_up = int(looking.result(timeout=120).splitlines()[-1])
    assert looked_up > 50
    assert host.sh("cat /run/look-ups-lost", check=False).splitlines()[:3] in ([], ["cat: /run/look-ups-lost"])
    assert host.starts() == started, "no daemon was restarted for a table"
    assert host.sh("ls -A /etc /etc/postfix | grep valija-new", check=False) == ""


class Person:
    """Somebody who is logged in by IMAP, in the webmail, and twice to hand mail in: with and without a message.

    The stack ends what is left of it.
    """

    def __init__(self, stack: ExitStack, lab: LabSite, name: str, password: str) -> None:
        address = find_host(yaml.safe_load((lab.path / "hosts.yml").read_text()), lab.host.name)["ansible_host"]
        trust = ssl.create_default_context(cafile=str(lab.path / "certificates" / f"{lab.host.name}.pem"))
        self.imap = imap.connect(address, 993, tls=trust, server_name=f"mail.{DOMAIN}")
        stack.enter_context(self.imap)
        self.imap.login(name, password)
        self.webmail = SquirrelMail(Browser(f"https://mail.{DOMAIN}", host=address, tls=trust))
        self.webmail.login(name, password)
        self.address = f"{name}@{DOMAIN}"
        self.silent, self.writing = (
            stack.enter_context(smtp.connect(address, 465, tls=trust, server_name=f"mail.{DOMAIN}")) for _ in range(2)
        )
        for session in (self.silent, self.writing):
            assert session.say_ehlo().accepted and session.log_in(name, password).accepted
        assert self.hands_in(self.writing)

    def hands_in(self, session: smtp.Session) -> bool:
        """Whether the server still takes a message in this session."""
        try:
            return session.message(self.address, [self.address], b"Subject: one more\r\n\r\nOne more.\r\n").accepted
        except OSError:
            return False

    def reads_by_imap(self) -> bool:
        try:
            return self.imap.ask("NOOP")[0] == "OK"
        except (OSError, self.imap.abort):
            return False

    def reads_in_the_webmail(self) -> bool:
        page = self.webmail.inbox()
        return page.status == 200 and self.webmail.logged_in(page)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as held:
        yield held


def test_a_changed_password_and_a_disabled_account_end_the_sessions_of_that_user_alone(
    served: LabSite, stack: ExitStack
) -> None:
    words = yaml.safe_load((served.path / "group_vars/all/secrets.yml").read_text())["vault_passwords"]
    alice, bob = Person(stack, served, "alice", words["alice"]), Person(stack, served, "bob", words["bob"])
    assert all([alice.reads_by_imap(), alice.reads_in_the_webmail(), bob.reads_by_imap(), bob.reads_in_the_webmail()])

    changed = valija("accounts", "password", "alice", "-i", str(served.path), "--generate")
    assert changed.code == 0, changed.output
    begun = time.monotonic()
    wait.until(lambda: not alice.reads_by_imap(), within=5, what="the end of alice's IMAP session")
    assert not alice.reads_in_the_webmail()
    assert not alice.hands_in(alice.silent) and not alice.hands_in(alice.writing)
    assert time.monotonic() - begun < 10
    assert bob.reads_by_imap() and bob.reads_in_the_webmail() and bob.hands_in(bob.writing)
    word = re.search(r"Password of alice: (\S+)", changed.output)
    assert word is not None
    Person(stack, served, "alice", word[1])

    mail = served.path / "group_vars/all/mail.yml"
    mail.write_text(mail.read_text().replace("  - name: bob\n", "  - name: bob\n    state: disabled\n"))
    disabled = served.valija("apply", "--tags", "accounts")
    assert disabled.code == 0, disabled.output
    wait.until(lambda: not bob.reads_by_imap(), within=5, what="the end of bob's IMAP session")
    assert not bob.reads_in_the_webmail()
    assert not bob.hands_in(bob.writing)
    with smtplib.SMTP(served.host.sh("hostname -I").split()[0], 25, timeout=30) as postfix:
        postfix.sendmail("", [f"bob@{DOMAIN}"], "Subject: still\r\n\r\nBob's mail still arrives.\r\n")
