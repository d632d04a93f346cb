"""Reading mail by IMAP and POP3: what the servers offer, how they refuse, what they keep."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from valija.checks.expect import answered
from valija.checks.mailbox import Mailbox
from valija.checks.marks import check, rfc
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import message
from valija.probes.imap import Session as Imap
from valija.probes.message import Message
from valija.probes.pop3 import Session as Pop3
from valija.probes.routes import Route
from valija.probes.smtp import Session as Smtp

COURIER = N_("Look at `journalctl -u courier-imap -u courier-pop -u courier-authdaemon` on the host.")


def deliver(
    smtp: Callable[..., Smtp], mailbox: Mailbox, sender: str, account: Account, count: int = 1
) -> list[Message]:
    """Send messages to a probe account and wait until they are there."""
    sent = [message.new(sender, account.address, body=b"one\r\ntwo\r\nthree\r\n") for _number in range(count)]
    with smtp() as talk:
        talk.say_ehlo()
        for one in sent:
            answered(talk.message(sender, [account.address], one.content), 250)
    for one in sent:
        mailbox.arrived(one, account)
    return sent


@check(
    "D-01",
    N_("IMAP greets, and says truly what it can do before and after the login"),
    vantage="client",
    tier="quick",
    clauses=[rfc(3501, "6.1.1", "7.1")],
    setting="courier_imap_*",
    remedy=COURIER,
)
def test_imap_capabilities(imap: Callable[..., Any], site: Site, alice: Account, family: str) -> None:
    with imap(login=False, family=family) as box:
        assert box.welcome.startswith(b"* OK"), box.welcome
        before = capabilities(box)
        assert "IMAP4REV1" in before, before
        if site.tls is None:
            assert "AUTH=PLAIN" not in before or "LOGINDISABLED" in before, _("AUTH=PLAIN is offered without TLS.")
        else:
            assert "AUTH=PLAIN" in before and "LOGINDISABLED" not in before, before
        box.login(alice.name, alice.password)
        after = capabilities(box)
        assert {"IMAP4REV1", "IDLE", "UIDPLUS", "NAMESPACE"} <= after, after
        kind, _lines = box.ask("LOGOUT")
        assert kind == "OK"


def capabilities(box: Imap) -> set[str]:
    kind, lines = box.ask("CAPABILITY")
    assert kind == "OK", lines
    return {word.decode().upper() for line in lines if line.startswith(b"* CAPABILITY") for word in line.split()[2:]}


@check(
    "D-04",
    N_("LOGIN takes a quoted name and a literal; what is no command is refused and the session goes on"),
    vantage="client",
    clauses=[rfc(3501, "6.2.3", "4.3")],
    remedy=COURIER,
)
def test_forms_of_login(imap: Callable[..., Any], alice: Account) -> None:
    with imap(login=False) as box:
        kind, lines = box.ask("LOGIN")
        assert kind in ("NO", "BAD"), lines
        kind, lines = box.ask("XNOSUCHCOMMAND")
        assert kind in ("NO", "BAD"), lines
        kind, lines = box.ask("NOOP")
        assert kind == "OK", lines
        kind, lines = box.ask(f'LOGIN "{alice.name}" {{{len(alice.password)}}}')
        assert kind == "+", lines
        box.send(alice.password.encode() + b"\r\n")
        assert b" OK " in box.readline(), box.transcript


@check(
    "D-05",
    N_("A wrong password and an unknown name are refused alike, by IMAP and by POP3"),
    vantage="client",
    clauses=[rfc(3501, "11.2"), rfc(1939, "7")],
    remedy=COURIER,
)
def test_bad_logins(
    imap: Callable[..., Any], pop3: Callable[..., Any], guesser: Callable[..., Route], alice: Account
) -> None:
    pairs = [(alice.name, "wrong"), (alice.name, f"{alice.password}x"), ("nobody-x", alice.password)]

    def by_imap(pair: tuple[str, str]) -> str:
        with imap(login=False, route=guesser()) as box:
            kind, lines = box.ask(f'LOGIN "{pair[0]}" "{pair[1]}"')
            text = lines[-1].decode().partition(" ")[2].strip() if lines else "closed"
            again, _lines = box.ask("SELECT INBOX") if kind else ("", [])
            return f"{text}, SELECT {again}"

    def by_pop3(pair: tuple[str, str]) -> str:
        with pop3(login=False, route=guesser()) as drop:
            drop.ask(f"USER {pair[0]}")
            status, _lines = drop.ask(f"PASS {pair[1]}")
            return str(status)

    # A refused login sleeps some seconds in the daemon: side by side.
    with ThreadPoolExecutor(2 * len(pairs)) as pool:
        both = pool.map(by_imap, pairs), pool.map(by_pop3, pairs)
        imap_answers, pop3_answers = map(list, both)
    assert all(answer.startswith("NO") and "SELECT OK" not in answer for answer in imap_answers), imap_answers
    assert all(answer.startswith("-ERR") for answer in pop3_answers), pop3_answers
    assert len(set(imap_answers)) == 1 and len(set(pop3_answers)) == 1, _(
        "The answers tell which names exist: {answers}"
    ).format(answers=[*imap_answers, *pop3_answers])


@check(
    "D-06",
    N_("Folders live below INBOX., which can be made, used and deleted; INBOX itself cannot"),
    vantage="client",
    clauses=[rfc(2342, "5"), rfc(3501, "5.1")],
    mutates=True,
    remedy=COURIER,
)
def test_folders(imap: Callable[..., Any]) -> None:
    with imap() as box:
        _kind, lines = box.ask("NAMESPACE")
        assert b'* NAMESPACE (("INBOX." "."))' in lines[0], lines
        expected = [
            ("CREATE Foo", "NO"),
            ("CREATE INBOX.Proof", "OK"),
            ("SELECT INBOX.Proof", "OK"),
            ("SELECT inbox", "OK"),
            ("DELETE INBOX", "NO"),
            ("DELETE INBOX.Proof", "OK"),
            ("SELECT INBOX.Proof", "NO"),
        ]
        for command, owed in expected:
            kind, lines = box.ask(command)
            assert kind == owed, (command, lines)


@check(
    "D-25",
    N_("POP3 keeps its order of states and refuses wrong numbers"),
    vantage="client",
    clauses=[rfc(1939, "4", "5", "6")],
    mutates=True,
    remedy=COURIER,
)
def test_pop3_order_and_numbers(
    smtp: Callable[..., Smtp], pop3: Callable[..., Any], mailbox: Mailbox, sender: str, bob: Account, family: str
) -> None:
    [sent] = deliver(smtp, mailbox, sender, bob)
    with pop3(bob, family, login=False) as drop:
        for early in ("STAT", "LIST", "RETR 1", "XNOSUCHCOMMAND"):
            assert drop.ask(early)[0].startswith("-ERR"), early
        drop.user(bob.name)
        drop.pass_(bob.password)
        for wrong in ("RETR 0", "RETR 99999", "RETR", "DELE x", "LIST 99999", "USER again", "XNOSUCHCOMMAND"):
            assert drop.ask(wrong)[0].startswith("-ERR"), wrong
        for good in ("NOOP", "STAT", "RSET", "LIST 1"):
            assert drop.ask(good)[0].startswith("+OK"), good
        number = drop.number_of(sent.test_id)
        octets = int(drop.ask(f"LIST {number}")[0].split()[2])
        assert len(drop.content(number)) == octets, _("LIST says {octets} octets, RETR gives others.").format(
            octets=octets
        )
        assert drop.ask("QUIT")[0].startswith("+OK")


@check(
    "D-25",
    N_("POP3 deletes at QUIT alone: a connection that drops deletes nothing"),
    vantage="client",
    clauses=[rfc(1939, "5", "6")],
    mutates=True,
    remedy=COURIER,
)
def test_pop3_deletes_at_quit(
    smtp: Callable[..., Smtp], pop3: Callable[..., Any], mailbox: Mailbox, sender: str, bob: Account
) -> None:
    [sent] = deliver(smtp, mailbox, sender, bob)

    def mark(drop: Pop3) -> None:
        number = drop.number_of(sent.test_id)
        assert number, _("POP3 does not list the message.")
        assert drop.ask(f"DELE {number}")[0].startswith("+OK")
        assert drop.ask(f"RETR {number}")[0].startswith("-ERR")

    with pop3(bob) as drop:
        mark(drop)
    assert mailbox.holds(sent, bob), _("The message is gone although the connection was dropped before QUIT.")
    with pop3(bob) as drop:
        mark(drop)
        drop.ask("RSET")
        drop.ask("QUIT")
    assert mailbox.holds(sent, bob), _("The message is gone although RSET took the deletion back.")
    with pop3(bob) as drop:
        mark(drop)
        assert drop.ask("QUIT")[0].startswith("+OK")
    assert not mailbox.holds(sent, bob), _("The message is still there after DELE and QUIT.")


@check(
    "D-26",
    N_("TOP gives the head and as many lines as asked; UIDL names a message the same in every session"),
    vantage="client",
    clauses=[rfc(1939, "7"), rfc(2449, "5")],
    mutates=True,
    remedy=COURIER,
)
def test_pop3_top_uidl_capa(
    smtp: Callable[..., Smtp], pop3: Callable[..., Any], mailbox: Mailbox, sender: str, bob: Account
) -> None:
    [sent] = deliver(smtp, mailbox, sender, bob)
    ids = []
    for _session in range(2):
        with pop3(bob) as drop:
            number = drop.number_of(sent.test_id)
            ids.append(drop.ask(f"UIDL {number}")[0].split()[2])
            _status, listed = drop.ask("UIDL", multiline=True)
            assert f"{number} {ids[-1]}".encode() in listed, listed
            for lines, body in ((0, []), (2, [b"one", b"two"]), (9, [b"one", b"two", b"three"])):
                _status, top = drop.ask(f"TOP {number} {lines}", multiline=True)
                assert top[top.index(b"") + 1 :] == body, (lines, top)
            _status, offered = drop.ask("CAPA", multiline=True)
            assert {b"TOP", b"UIDL"} <= set(offered), offered
            drop.quit()
    assert ids[0] == ids[1], _("UIDL named one message {first}, then {second}.").format(first=ids[0], second=ids[1])


@check(
    "T-4",
    N_("A mailbox that never received mail logs in, and is empty, by IMAP and by POP3"),
    vantage="client",
    step=4,
    tier="quick",
    clauses=[rfc(3501, "6.3.1"), rfc(1939, "5")],
    setting="mail_accounts",
    remedy=N_("The Maildir is made with the account: run `valija apply --tags accounts`."),
)
def test_mailbox_that_never_received_mail(
    imap: Callable[..., Any], pop3: Callable[..., Any], newcomer: Account
) -> None:
    with imap(newcomer) as box:
        kind, lines = box.ask("SELECT INBOX")
        assert kind == "OK" and b"* 0 EXISTS\r\n" in lines, lines
    with pop3(newcomer) as drop:
        assert drop.ask("STAT")[0] == "+OK 0 0"
        drop.quit()


@pytest.fixture(autouse=True)
def _courier_is_there(site: Site) -> None:
    if not all(site.listens_on(name) for name in (("imaps", "pop3s") if site.tls else ("imap", "pop3"))):
        pytest.skip(_("no IMAP or POP3 server: this site does not declare one"))
