"""What belongs to one account stays its own, stays as it was, and what fails says why."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from valija.checks.doors import doors_of
from valija.checks.expect import answered
from valija.checks.mailbox import Mailbox
from valija.checks.marks import check, rfc
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import message, wait
from valija.probes.pop3 import Session as Pop3
from valija.probes.routes import Route
from valija.probes.smtp import Session as Smtp

COURIER = N_("Look at `journalctl -u courier-imap-ssl -u courier-pop-ssl -u courier-authdaemon` on the host.")

# Ways in which one account may name another's mail; {other} is its name, {path} its Maildir.
OTHERS_MAIL = (
    "shared.{other}",
    "#shared.{other}",
    "#shared.{other}.INBOX",
    "user.{other}",
    "~{other}/Maildir",
    "INBOX.../{other}",
    "INBOX./../{other}/Maildir",
    "INBOX.{path}",
    "{path}",
    "../{other}/Maildir",
    "INBOX..",
    "INBOX.%2e%2e",
)


@check(
    "D-08",
    N_("No name of a folder leads into the mail of another account"),
    vantage="client",
    clauses=[rfc(3501, "5.1"), rfc(4314, "4"), "CWE-22"],
    setting="courier_imapd_extra",
    remedy=COURIER,
    mutates=True,
)
def test_others_mail_by_name(
    smtp: Callable[..., Smtp],
    imap: Callable[..., Any],
    mailbox: Mailbox,
    host: Any,
    sender: str,
    alice: Account,
    bob: Account,
) -> None:
    sent = message.new(sender, bob.address)
    with smtp() as talk:
        talk.say_ehlo()
        answered(talk.message(sender, [bob.address], sent.content), 250)
    mailbox.arrived(sent, bob)  # so that there is something to see
    path = f"{home_of(host, bob)}/Maildir"
    wrong = []
    with imap(alice) as box:
        for pattern in OTHERS_MAIL:
            name = pattern.format(other=bob.name, path=path)
            for command in ("SELECT", "EXAMINE"):
                kind, lines = box.ask(f'{command} "{name}"')
                if kind == "OK" and b"* 0 EXISTS\r\n" not in lines:
                    wrong.append(_("{command} {name} is answered OK.").format(command=command, name=name))
            kind, lines = box.ask(f'COPY 1 "{name}"')
            if kind == "OK":
                wrong.append(_("{command} {name} is answered OK.").format(command="COPY", name=name))
        for command in (f'LIST "" "*{bob.name}*"', 'LIST "#shared" "*"', 'LIST "" "#shared*"', f'LIST "{path}" "*"'):
            _kind, lines = box.ask(command)
            wrong += [f"{command}: {line!r}" for line in lines if bob.name.encode() in line or b"#shared." in line]
        for command in (f'SETACL INBOX "user={bob.name}" lr', f'GETACL "#shared.{bob.name}"'):
            kind, lines = box.ask(command)
            if kind == "OK":
                wrong.append(f"{command}: {lines}")
    assert not wrong, "\n".join(wrong)


@check(
    "D-08",
    N_("A link that an account puts into its own Maildir shows nothing of another's, and every Maildir is its owner's"),
    vantage="host",
    clauses=["CWE-59"],
    remedy=N_("chmod 0700 the Maildir and its owner's home: `valija apply --tags accounts` does both."),
    mutates=True,
)
def test_others_mail_by_link(
    imap: Callable[..., Any], pop3: Callable[..., Any], host: Any, alice: Account, bob: Account
) -> None:
    with imap(bob) as box:
        box.append("INBOX", "", None, message.new(bob.address, bob.address).content)
    own, others = (f"{home_of(host, account)}/Maildir" for account in (alice, bob))
    link = f"{own}/.Stolen"
    made = host.run("setpriv --reuid=%s --clear-groups --regid=65534 ln -s %s %s", alice.name, others, link)
    assert made.rc == 0, made.stderr
    try:
        with imap(alice) as box:
            kind, lines = box.ask("EXAMINE INBOX.Stolen")
            assert kind != "OK" or b"* 0 EXISTS\r\n" in lines, _("The link shows {lines!r}.").format(lines=lines)
    finally:
        host.run("rm -f %s", link)
    modes = host.run(
        "stat -c '%%a %%U %%n' %s %s %s %s", *(f"{path}{part}" for path in (own, others) for part in ("", "/cur"))
    )
    assert modes.rc == 0, modes.stderr
    wrong = [line for line in modes.stdout.splitlines() if int(line.split()[0], 8) & 0o077]
    wrong += [line for line in modes.stdout.splitlines() if line.split()[1] not in (alice.name, bob.name)]
    assert not wrong, "\n".join(wrong)


def home_of(host: Any, account: Account) -> str:
    return str(host.run("getent passwd %s", account.name).stdout.strip().split(":")[5])


@check(
    "D-23",
    N_("Old mail in Trash stays: nothing is deleted behind its owner's back"),
    vantage="host",
    clauses=["imapd(8)"],
    setting="courier_imapd_extra: IMAP_EMPTYTRASH",
    remedy=N_("Take IMAP_EMPTYTRASH out of /etc/courier/imapd altogether: an empty one deletes after a day."),
    mutates=True,
)
def test_trash_is_kept(imap: Callable[..., Any], host: Any, alice: Account) -> None:
    sent = message.new(alice.address, alice.address)
    with imap() as box:
        box.ask("CREATE INBOX.Trash")  # the webmail may have made it
        box.append("INBOX.Trash", "(\\Seen)", None, sent.content)
    host.run("find %s/Maildir/.Trash -type f -exec touch -d '-8 days' {} +", home_of(host, alice))
    with imap() as box:
        assert box.holding(sent.test_id, "INBOX.Trash"), _("The message is gone from Trash.")
        # The age that counts is that of the last rename, which nobody can set back: so what is asked is whether the
        # process that serves this very session would look.
        said = host.run("cat /proc/$(pgrep -n -u %s imapd)/environ | tr '\\0' '\\n'", alice.name)
        assert "MAILDIRPATH=" in said.stdout, said.stderr
        purging = [line for line in said.stdout.splitlines() if line.startswith("IMAP_EMPTYTRASH")]
        assert not purging, _("imapd runs with {setting}.").format(setting=purging)
        box.ask("DELETE INBOX.Trash")


@check(
    "D-27",
    N_("STLS where TLS is already, and after the login, is an error that changes nothing"),
    vantage="client",
    clauses=[rfc(2595, "4")],
    remedy=COURIER,
    needs=["tls"],
)
def test_stls_out_of_turn(
    site: Site, pop3: Callable[..., Any], loopback: Route, tls_context: ssl.SSLContext, alice: Account, main_family: str
) -> None:
    with pop3(login=False) as drop:
        assert drop.ask("STLS")[0].startswith("-ERR")
    doors = [door for door in doors_of(site, main_family, loopback) if door.service == "pop3"]
    sessions: list[Pop3] = [door.session(tls_context) for door in doors]
    with pop3() as drop:
        sessions.append(drop)
        for one in sessions[:-1]:
            one.user(alice.name)
            one.pass_(alice.password)
        for one in sessions:
            assert one.ask("STLS")[0].startswith("-ERR"), one.transcript
            assert one.ask("STAT")[0].startswith("+OK"), one.transcript
            assert one.ask("QUIT")[0].startswith("+OK"), one.transcript
    for one in sessions:
        one.close()


@check(
    "D-29",
    N_("While nobody can say whether a password is right, IMAP and POP3 speak of a temporary failure"),
    vantage="stranger",
    clauses=[rfc(3206, "4"), rfc(5530, "3")],
    remedy=COURIER,
    needs=["tls", "peer"],
    mutates=True,
)
def test_backend_down(
    imap: Callable[..., Any], pop3: Callable[..., Any], guesser: Callable[..., Route], host: Any, alice: Account
) -> None:
    def by_imap() -> str:
        with imap(login=False, route=guesser()) as box:
            return b" ".join(box.ask(f'LOGIN "{alice.name}" "{alice.password}"')[1]).decode()

    def by_pop3() -> str:
        with pop3(login=False, route=guesser()) as drop:
            said = str(drop.ask(f"USER {alice.name}")[0])
            return str(drop.ask(f"PASS {alice.password}")[0]) if said.startswith("+OK") else said

    # The host itself puts the socket back, whatever becomes of this check.
    away = "cd /run/courier/authdaemon && mv socket away && sleep 5; mv -n away socket"
    began = host.run("systemd-run --quiet --collect --unit=valija-probe-away sh -c %s", away)
    assert began.rc == 0, began.stderr
    try:
        wait.until(lambda: not host.file("/run/courier/authdaemon/socket").exists, 5, _("the backend to be away"))
        with ThreadPoolExecutor(2) as pool:
            answers = {"IMAP": pool.submit(by_imap), "POP3": pool.submit(by_pop3)}
        wrong = [
            f"{name}: {answer.result()!r}" for name, answer in answers.items() if "emporary" not in answer.result()
        ]
    finally:
        wait.until(lambda: host.file("/run/courier/authdaemon/socket").exists, 20, _("the backend to be back"))
    with imap() as box:
        assert box.select()[0] == "OK"
    assert not wrong, "\n".join(wrong)


@check(
    "D-30",
    N_("ENABLE UTF8=ACCEPT: names of folders travel as they are written"),
    vantage="client",
    clauses=[rfc(6855, "3"), rfc(5161, "3.1")],
    remedy=COURIER,
    mutates=True,
)
def test_utf8_accept(imap: Callable[..., Any]) -> None:
    name, encoded = "INBOX.Grüße 日本", b"INBOX.Gr&APwA3w-e &ZeVnLA-"
    with imap() as box:
        _kind, lines = box.ask("CAPABILITY")
        assert b"UTF8=ACCEPT" in lines[0] and b"ENABLE" in lines[0], lines
        kind, lines = box.ask("ENABLE UTF8=ACCEPT")
        assert kind == "OK" and any(line.startswith(b"* ENABLED UTF8=ACCEPT") for line in lines), lines
        assert box.ask(f'CREATE "{name}"')[0] == "OK"
        try:
            _kind, lines = box.ask('LIST "" "INBOX.Gr*"')
            assert any(f'"{name}"'.encode() in line for line in lines), lines
            assert box.ask(f'SELECT "{name}"')[0] == "OK"
            with imap() as other:  # which has not said that it reads UTF-8 (RFC 3501 section 5.1.3)
                _kind, lines = other.ask('LIST "" "INBOX.Gr*"')
                assert any(b'"%s"' % encoded in line for line in lines), lines
        finally:
            box.ask("CLOSE")
            box.ask(f'DELETE "{name}"')
