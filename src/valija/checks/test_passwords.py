"""Passwords that clients and servers have got wrong before, by every way of logging in; and locked ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from valija.checks.expect import answered
from valija.checks.marks import check, rfc
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes.imap import Session as Imap
from valija.probes.routes import Route
from valija.probes.smtp import Session, base64

LOGIN = N_(
    "Look at `journalctl -u courier-authdaemon SYSLOG_FACILITY=2` on the host; `authtest NAME` there asks the same."
)

# How a password is special, in the order of the site's further probe accounts.
KINDS = ("punctuation, and spaces at both ends", "letters beyond ASCII", "255 octets")


@pytest.fixture
def special(site: Site, kind: str) -> Account:
    """The probe account whose password is of this kind."""
    return site.probe[3 + KINDS.index(kind)]


def special_password(id: str, title: str, **values: Any) -> Callable[..., Any]:
    """The marks that these checks share: one run for each kind of password."""

    def mark(test: Callable[..., Any]) -> Any:
        clauses = [rfc(8265, "4"), *values.pop("clauses")]
        marked = check(id, title, clauses=clauses, vantage="client", setting="mail_accounts", remedy=LOGIN, **values)
        return marked(pytest.mark.parametrize("kind", KINDS)(test))

    return mark


@special_password(
    "A-101",
    N_("A special password logs in to send, by AUTH PLAIN and by AUTH LOGIN"),
    needs=["tls"],
    clauses=[rfc(4616, "2")],
)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_special_password_to_send(
    submission: Callable[..., Session], special: Account, elsewhere: str, mechanism: str
) -> None:
    with submission(special, mechanism=mechanism) as talk:
        answered(talk.mail_from(special.address), 250)
        answered(talk.rcpt_to(elsewhere), 250)


@special_password(
    "A-101",
    N_("A special password reads by IMAP: LOGIN with a quoted string and with a literal, and AUTHENTICATE PLAIN"),
    clauses=[rfc(3501, "6.2.2", "6.2.3", "4.3")],
)
@pytest.mark.parametrize("form", ["quoted", "literal", "AUTHENTICATE"])
def test_special_password_by_imap(imap: Callable[..., Any], site: Site, special: Account, form: str) -> None:
    secret = special.password.encode()
    with imap(login=False) as box:
        if form == "quoted":
            escaped = secret.replace(b"\\", rb"\\").replace(b'"', rb"\"")
            kind, lines = box.ask(b'LOGIN "%s" "%s"' % (special.name.encode(), escaped))
        elif form == "literal":
            kind, lines = box.ask(f"LOGIN {special.name} {{{len(secret)}}}")
            assert kind == "+", lines
            kind, lines = answer(box, secret)
        elif site.tls is None:
            pytest.skip(_("no TLS: AUTHENTICATE PLAIN is offered under TLS alone"))
        else:
            kind, lines = box.ask("AUTHENTICATE PLAIN")
            assert kind == "+", lines
            kind, lines = answer(box, base64(f"\0{special.name}\0{special.password}").encode())
        assert kind == "OK", lines
        assert box.ask("SELECT INBOX")[0] == "OK"


def answer(box: Imap, octets: bytes) -> tuple[str, list[bytes]]:
    """Answer a continuation; how the command ended."""
    box.send(octets + b"\r\n")
    lines: list[bytes] = []
    while line := box.readline():
        lines.append(line)
        if not line.startswith((b"* ", b"+ ")):
            return line.split(b" ")[1].decode("ascii", "replace"), lines
    return "", lines


@special_password("A-101", N_("A special password fetches by POP3, with USER and PASS"), clauses=[rfc(1939, "7")])
def test_special_password_by_pop3(pop3: Callable[..., Any], special: Account) -> None:
    with pop3(login=False) as drop:
        drop.ask(f"USER {special.name}")
        status, _lines = drop.ask(f"PASS {special.password}")
        assert status.startswith("+OK"), status
        assert drop.ask("STAT")[0].startswith("+OK")


@special_password("A-101", N_("A special password opens the webmail"), needs=["webmail"], clauses=[rfc(7578, "5.1")])
def test_special_password_in_the_webmail(webmail: Callable[..., Any], special: Account) -> None:
    person = webmail(special)
    assert person.logged_in(person.inbox())


@check(
    "A-101",
    N_("Every octet of a long password counts"),
    needs=["tls"],
    clauses=[rfc(8265, "4")],
    setting="accounts_hash_scheme",
    remedy=LOGIN,
)
def test_long_password_is_not_cut(
    submission: Callable[..., Session], guesser: Callable[..., Route], site: Site
) -> None:
    [long] = [account for account in site.probe if len(account.password.encode()) == 255]
    for password in (long.password[:-1], long.password + "x"):
        with submission(login=False, route=guesser()) as talk:
            answered(talk.log_in(long.name, password), 535, enhanced="5.7.8")


@contextmanager
def locked(host: Any, account: Account) -> Iterator[None]:
    """As an account of `state: disabled` is: the password is kept and fits nothing (shadow(5))."""
    done = host.run("usermod --lock %s", account.name)
    assert done.rc == 0, done.stderr
    try:
        yield
    finally:
        host.run("usermod --unlock %s", account.name)


@check(
    "A-106",
    N_("A locked account logs in nowhere, from that moment on, and its mail is kept"),
    mutates=True,
    needs=["tls"],
    clauses=[rfc(4954, "6"), rfc(3501, "6.2.3"), rfc(1939, "7")],
    setting="mail_accounts: state",
    remedy=LOGIN,
)
def test_locked_account(
    submission: Callable[..., Session],
    smtp: Callable[..., Session],
    imap: Callable[..., Any],
    pop3: Callable[..., Any],
    guesser: Callable[..., Route],
    host: Any,
    site: Site,
    sender: str,
) -> None:
    account = site.probe[-1]

    def by_imap() -> bool:
        with imap(login=False, route=guesser()) as box:
            return bool(box.ask(f'LOGIN "{account.name}" "{account.password}"')[0] == "OK")

    def by_pop3() -> bool:
        with pop3(login=False, route=guesser()) as drop:
            drop.ask(f"USER {account.name}")
            return bool(drop.ask(f"PASS {account.password}")[0].startswith("+OK"))

    def by_smtp() -> bool:
        with submission(login=False, route=guesser()) as talk:
            return talk.log_in(account.name, account.password).code == 235

    ways = (by_smtp, by_imap, by_pop3)
    assert [way() for way in ways] == [True, True, True]
    with locked(host, account):
        assert [way() for way in ways] == [False, False, False], [way.__name__ for way in ways if way()]
        with smtp() as talk:
            talk.say_ehlo()
            answered(talk.mail_from(sender), 250)
            answered(talk.rcpt_to(account.address), 250)
    assert [way() for way in ways] == [True, True, True]
