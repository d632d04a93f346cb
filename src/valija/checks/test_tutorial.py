"""The tutorial's six steps, each seen to work: web server, mailutils, Postfix, Courier, webmail, accounts."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

from valija.checks.mailbox import ARRIVAL_SECONDS, Mailbox
from valija.checks.marks import check, rfc
from valija.checks.site import Account
from valija.messages import N_, _
from valija.probes import message, wait


@check(
    "T-1",
    N_("Apache serves the site"),
    step=1,
    tier="quick",
    clauses=[rfc(9110, "15")],
    setting="apache_*",
    remedy=N_("Look at `systemctl status apache2` and `apachectl -t` on the host."),
)
def test_apache_serves_the_site(browser: Callable[..., Any], family: str) -> None:
    page = browser(family).get("/", follow=False)
    assert page.status < 500, _("GET / answered {status}.").format(status=page.status)
    assert page.header("server").startswith("Apache"), _("Another program answers: {server!r}.").format(
        server=page.header("server")
    )


@check(
    "T-2",
    N_("DocumentRoot is /var/www: a file put there is served"),
    step=1,
    vantage="host",
    mutates=True,
    setting="apache_document_root",
    remedy=N_("Run `valija apply`: the virtual host's DocumentRoot is /var/www."),
)
def test_document_root_is_var_www(host: Any, browser: Callable[..., Any]) -> None:
    name = f"valija-probe-{uuid.uuid4().hex}.txt"
    made = host.run(f"echo proof > /var/www/{name} && chmod 0644 /var/www/{name}")
    assert made.rc == 0, made.stderr
    try:
        page = browser().get(f"/{name}")
    finally:
        host.run(f"rm -f /var/www/{name}")
    assert (page.status, page.text) == (200, "proof\n"), _("/var/www/{name} was answered {status}.").format(
        name=name, status=page.status
    )


@check(
    "T-3",
    N_("/var/www/webmail leads to the webmail, and /webmail answers with its login form"),
    step=1,
    tier="quick",
    needs=["webmail"],
    setting="mail_webmail",
    remedy=N_("Run `valija apply --tags squirrelmail,apache`."),
)
def test_webmail_answers(host: Any, webmail: Callable[..., Any]) -> None:
    page = webmail(login=False).login_page()
    assert "/webmail/" in page.url
    assert host.run("test -e /var/www/webmail/.").rc == 0, _("/var/www/webmail is not there.")


@check(
    "T-4",
    N_("`echo hello | mail -s subject user@domain` on the host arrives"),
    step=2,
    vantage="host",
    mutates=True,
    tier="quick",
    clauses=[rfc(5321, "3.6.3")],
    setting="mail_domain",
    remedy=N_("Look at `mailq` and `journalctl -t postfix/local` on the host."),
)
def test_mailutils_mail_arrives(host: Any, imap: Callable[..., Any], alice: Account) -> None:
    subject = f"valija-{uuid.uuid4().hex}"
    sent = host.run(f"echo hello | mail -s {subject} {alice.address}")
    assert sent.rc == 0, sent.stderr
    with imap() as box:
        got = wait.until(lambda: box.found(f'SUBJECT "{subject}"'), ARRIVAL_SECONDS, _("the message of mailutils"))
    head, _blank, body = got[0].partition(b"\r\n\r\n")
    assert body == b"hello\r\n", _("The body came as {body!r}.").format(body=body)
    assert re.search(rb"^Return-Path: <\S+@\S+>", head), _("The sender is not a full address: {head}").format(
        head=head.decode()
    )


@check(
    "T-6",
    N_("home_mailbox = Maildir/: a message becomes a file in the owner's Maildir, and nowhere else"),
    step=3,
    mutates=True,
    vantage="host",
    tier="quick",
    setting="postfix_home_mailbox",
    remedy=N_("Run `valija apply --tags postfix`; `postconf home_mailbox` must say Maildir/."),
)
def test_mail_is_delivered_to_the_maildir(smtp: Callable[..., Any], host: Any, alice: Account) -> None:
    sent = message.new("sender@probe.invalid", alice.address)
    with smtp() as talk:
        talk.say_ehlo()
        assert talk.message("sender@probe.invalid", [alice.address], sent.content).code == 250
        talk.command("QUIT")

    def files() -> str:
        return str(
            host.run(f"grep -rl 'X-Test-Id: {sent.test_id}' /home/{alice.name}/Maildir /var/mail 2>/dev/null").stdout
        )

    paths = wait.until(files, ARRIVAL_SECONDS, _("a file in the Maildir")).split()
    assert [path.rpartition("/")[0] for path in paths] == [f"/home/{alice.name}/Maildir/new"], paths


@check(
    "T-9",
    N_("Courier IMAP: log in, list the folders, fetch a message"),
    step=4,
    mutates=True,
    tier="quick",
    clauses=[rfc(3501, "6.2.3", "6.3.8", "6.4.5")],
    setting="courier_imap_*",
    remedy=N_("Look at `journalctl -u courier-imap -u courier-authdaemon` on the host."),
)
def test_imap_login_list_fetch(
    smtp: Callable[..., Any], imap: Callable[..., Any], mailbox: Mailbox, alice: Account, family: str
) -> None:
    sent = message.new("sender@probe.invalid", alice.address)
    with smtp(family) as talk:
        talk.say_ehlo()
        assert talk.message("sender@probe.invalid", [alice.address], sent.content).code == 250
    mailbox.arrived(sent)
    with imap(family=family) as box:
        kind, folders = box.list()
        assert kind == "OK" and any(b'"INBOX"' in folder or folder.endswith(b"INBOX") for folder in folders), folders
        assert message.digest(message.sent_part(box.holding(sent.test_id)[0], sent.test_id)) == sent.digest
        box.logout()
