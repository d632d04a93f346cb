"""The tutorial's six steps, each seen to work: web server, mailutils, Postfix, Courier, webmail, accounts."""

from __future__ import annotations

import re
import shlex
import uuid
from collections.abc import Callable
from typing import Any

from valija.checks.host_state import listening
from valija.checks.mailbox import ARRIVAL_SECONDS, Mailbox
from valija.checks.marks import check, rfc
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import message, wait
from valija.probes.webmail import visible_text


@check(
    "T-1",
    N_("Apache serves the site"),
    vantage="client",
    step=1,
    tier="quick",
    clauses=[rfc(9110, "15")],
    setting="apache_*",
    remedy=N_("Look at `systemctl status apache2` and `apachectl -t` on the host."),
)
def test_apache_serves_the_site(browser: Callable[..., Any], family: str) -> None:
    page = browser(family).get("/", follow=False)
    assert 200 <= page.status < 400, _("GET / answered {status}.").format(status=page.status)
    assert page.header("server").startswith("Apache"), _("Another program answers: {server!r}.").format(
        server=page.header("server")
    )


@check(
    "T-1",
    N_("DocumentRoot is /var/www: a file put there is served"),
    step=1,
    vantage="host",
    mutates=True,
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
    "T-1",
    N_("/var/www/webmail leads to the webmail, and /webmail answers with its login form"),
    vantage="client",
    step=1,
    tier="quick",
    needs=["webmail"],
    setting="mail_webmail",
    remedy=N_("Run `valija apply --tags squirrelmail,roundcube,apache`."),
)
def test_webmail_answers(host: Any, webmail: Callable[..., Any]) -> None:
    page = webmail(login=False).login_page()
    assert "/webmail/" in page.url
    assert host.run("test -e /var/www/webmail/.").rc == 0, _("/var/www/webmail is not there.")


@check(
    "T-2",
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
    "T-3",
    N_("home_mailbox = Maildir/: a message becomes a file in the owner's Maildir, and nowhere else"),
    step=3,
    mutates=True,
    vantage="host",
    tier="quick",
    setting="postfix_main_cf_extra: home_mailbox",
    remedy=N_("Run `valija apply --tags postfix`; `postconf home_mailbox` must say Maildir/."),
)
def test_mail_is_delivered_to_the_maildir(smtp: Callable[..., Any], host: Any, sender: str, alice: Account) -> None:
    sent = message.new(sender, alice.address)
    with smtp() as talk:
        talk.say_ehlo()
        assert talk.message(sender, [alice.address], sent.content).code == 250
        talk.command("QUIT")

    def files() -> str:
        return str(
            host.run(f"grep -rl 'X-Test-Id: {sent.test_id}' /home/{alice.name}/Maildir /var/mail 2>/dev/null").stdout
        )

    paths = wait.until(files, ARRIVAL_SECONDS, _("a file in the Maildir")).split()
    assert [path.rpartition("/")[0] for path in paths] == [f"/home/{alice.name}/Maildir/new"], paths


@check(
    "T-4",
    N_("Courier IMAP, under TLS unless the site has none: log in, list the folders, fetch a message"),
    vantage="client",
    step=4,
    mutates=True,
    tier="quick",
    clauses=[rfc(3501, "6.2.3", "6.3.8", "6.4.5"), rfc(8314, "3.2")],
    setting="courier_imap_*",
    remedy=N_("Look at `journalctl -u courier-imap -u courier-authdaemon` on the host."),
)
def test_imap_login_list_fetch(
    smtp: Callable[..., Any], imap: Callable[..., Any], mailbox: Mailbox, sender: str, alice: Account, family: str
) -> None:
    sent = message.new(sender, alice.address)
    with smtp(family) as talk:
        talk.say_ehlo()
        assert talk.message(sender, [alice.address], sent.content).code == 250
    mailbox.arrived(sent)
    with imap(family=family) as box:
        kind, folders = box.list()
        assert kind == "OK" and any(b'"INBOX"' in folder or folder.endswith(b"INBOX") for folder in folders), folders
        assert message.digest(message.sent_part(box.holding(sent.test_id)[0], sent.test_id)) == sent.digest
        box.logout()


@check(
    "T-3",
    N_("Postfix has the mail name asked for, and the IP protocols asked for"),
    step=3,
    vantage="host",
    tier="quick",
    setting="mail_domain, mail_hostname, mail_inet_protocols",
    remedy=N_("Run `valija apply --tags postfix`; a change of the protocols needs the restart that it makes."),
)
def test_names_and_protocols(host: Any, site: Site) -> None:
    said = dict(
        line.split(" = ", 1)
        for line in host.run("postconf myhostname mydomain inet_protocols home_mailbox").stdout.splitlines()
        if " = " in line
    )
    assert said == {
        "myhostname": site.hostname,
        "mydomain": site.domain,
        "inet_protocols": site.protocols,
        "home_mailbox": "Maildir/",
    }, said
    local = {socket.address for socket in listening(host) if socket.port == 25}
    has4, has6 = any("." in address for address in local), any(":" in address for address in local)
    asked = {"all": (True, True), "ipv4": (True, False), "ipv6": (False, True)}[site.protocols]
    assert (has4, has6) == asked, _("Port 25 is open on {addresses}; {protocols} was asked for.").format(
        addresses=", ".join(sorted(local)), protocols=site.protocols
    )


@check(
    "T-4",
    N_("Courier POP3, under TLS unless the site has none: log in, list and fetch a message"),
    vantage="client",
    step=4,
    mutates=True,
    tier="quick",
    clauses=[rfc(1939, "5", "7"), rfc(8314, "3.2")],
    setting="courier_pop3_*",
    remedy=N_("Look at `journalctl -u courier-pop -u courier-authdaemon` on the host."),
)
def test_pop3_login_list_fetch(
    smtp: Callable[..., Any], pop3: Callable[..., Any], mailbox: Mailbox, sender: str, alice: Account, family: str
) -> None:
    sent = message.new(sender, alice.address)
    with smtp(family) as talk:
        talk.say_ehlo()
        assert talk.message(sender, [alice.address], sent.content).code == 250
    mailbox.arrived(sent)
    with pop3(family=family) as drop:
        _status, listed = drop.ask("LIST", multiline=True)
        number = drop.number_of(sent.test_id)
        assert any(line.split()[0] == str(number).encode() for line in listed), listed
        assert message.digest(message.sent_part(drop.content(number), sent.test_id)) == sent.digest
        drop.quit()


@check(
    "T-5",
    N_("The webmail: log in, list the messages, read one"),
    vantage="client",
    step=5,
    mutates=True,
    tier="quick",
    needs=["webmail"],
    setting="mail_webmail",
    remedy=N_("Run `valija apply --tags squirrelmail,roundcube`; then look at the logs of Apache and of php-fpm."),
)
def test_webmail_login_list_read(
    smtp: Callable[..., Any], webmail: Callable[..., Any], mailbox: Mailbox, sender: str, alice: Account
) -> None:
    subject = f"Read me {uuid.uuid4().hex}"
    sent = message.new(sender, alice.address, subject=subject, body=b"A line for the webmail.\r\n")
    with smtp() as talk:
        talk.say_ehlo()
        assert talk.message(sender, [alice.address], sent.content).code == 250
    mailbox.arrived(sent)
    person = webmail()
    row = next((row for row in person.messages() if row.subject == subject), None)
    assert row is not None, _("The webmail does not list the message.")
    assert "A line for the webmail." in visible_text(person.read(row.uid))


@check(
    "T-5",
    N_("The webmail: a message written there arrives, and a copy lies in Sent"),
    vantage="client",
    step=5,
    mutates=True,
    needs=["webmail"],
    setting="mail_webmail",
    remedy=N_("The webmail sends by SMTP to this host: look at `journalctl SYSLOG_FACILITY=2` there."),
)
def test_webmail_sends(webmail: Callable[..., Any], imap: Callable[..., Any], alice: Account, bob: Account) -> None:
    subject = f"Written {uuid.uuid4().hex}"
    webmail(alice).send(bob.address, subject, "Written in the webmail.")
    with imap(bob) as box:
        found = f'SUBJECT "{subject}"'
        got = wait.until(lambda: box.found(found), ARRIVAL_SECONDS, _("the webmail's message"))[0]
    assert b"Written in the webmail." in got
    assert re.search(rf"^From:.*{re.escape(alice.address)}".encode(), got, re.M), got
    with imap(alice) as box:
        assert box.found(found, "INBOX.Sent"), _("No copy of the message lies in INBOX.Sent.")


@check(
    "T-6",
    N_("Each account is a user of the host with a home and a Maildir: new, cur, tmp, 0700, its owner's"),
    step=6,
    vantage="host",
    tier="quick",
    setting="mail_accounts",
    remedy=N_("Run `valija apply --tags accounts`: it makes what is missing and puts owners and modes right."),
)
def test_accounts_have_their_maildirs(host: Any, site: Site) -> None:
    names = [*site.accounts, *(account.name for account in site.probe)]
    users = [line.split(":") for line in host.run("getent passwd").stdout.splitlines()]
    homes = {user[0]: user[5] for user in users}
    missing = [name for name in names if name not in homes]
    assert not missing, _("These accounts are no users of the host: {names}").format(names=", ".join(missing[:20]))
    # A few look-ups for thousands of accounts: a command line has an end.
    look = "".join(
        f"find {shlex.quote(folder)} -mindepth {depth} -maxdepth {depth} -type d {which} -printf '%u %m %p\\n';"
        for folder in sorted({homes[name].rpartition("/")[0] or "/" for name in names})
        for depth, which in ((1, ""), (2, "-name Maildir"), (3, r"-path '*/Maildir/*' -regex '.*/\(new\|cur\|tmp\)'"))
    )
    found = {
        path: f"{user} {mode}" for user, mode, path in (x.split(" ", 2) for x in host.run(look).stdout.splitlines())
    }
    wrong = [
        f"{path}: {found.get(path) or _('is not there')}"
        for name in names
        for path in (homes[name] + part for part in ("", "/Maildir", "/Maildir/new", "/Maildir/cur", "/Maildir/tmp"))
        if found.get(path) != f"{name} 700"
    ]
    assert not wrong, "\n".join(wrong[:20])


@check(
    "T-6",
    N_("The account files of the host are whole: pwck and grpck have nothing to say"),
    step=6,
    vantage="host",
    setting="mail_accounts",
    remedy=N_("Read what pwck -r and grpck -r say; they are right about their own files."),
)
def test_account_files_are_whole(host: Any) -> None:
    for command in ("pwck -r -q", "grpck -r"):
        said = host.run(command)
        lines = [line for line in (said.stdout + said.stderr).splitlines() if "does not exist" not in line]
        lines = [line for line in lines if line.strip() not in ("", "pwck: no changes", "grpck: no changes")]
        assert not lines, f"{command}: " + "\n".join(lines)
