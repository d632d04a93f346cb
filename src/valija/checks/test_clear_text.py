"""What travels before TLS begins: no password, and nothing that would be taken for something said inside."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from valija.checks.doors import Door, at_each, doors_of, nothing_wrong
from valija.checks.marks import check, rfc
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import imap, pop3
from valija.probes.routes import Route
from valija.probes.web import Browser

COURIER_SETTINGS = "mail_starttls_ports, courier_imapd_extra, courier_pop3d_extra"

# Whose courier-pop answers inside TLS what came before it (CVE-2021-38084): there 110 is for loopback alone, where
# nobody stands in between.
INJECTABLE_STLS = ("debian-12", "ubuntu-22.04")

# What somebody in between puts behind the client's own line, into the same segment.
INJECTED = {
    "smtp": b"STARTTLS\r\nEHLO injected.invalid\r\nNOOP injected\r\n",
    "imap": b"a1 STARTTLS\r\na2 CAPABILITY\r\na3 NOOP\r\n",
    "pop3": b"STLS\r\nCAPA\r\nUSER injected\r\n",
}
SILENCE_SECONDS = 1.0


def ready(session: Any, protocol: str) -> bool:
    """Read the answer to the command after which TLS begins: whether it does."""
    if protocol == "smtp":
        return bool(session.read_reply().code == 220)
    line = session.readline() if protocol == "imap" else session._getline()[0]
    return bool(line.startswith((b"a1 OK", b"+OK")))


@check(
    "C-10",
    N_("What was said before TLS, in the segment of STARTTLS, is never answered inside it"),
    clauses=[rfc(3207, "4.2"), rfc(3501, "6.2.1"), rfc(2595, "4"), "CVE-2011-0411", "CVE-2021-38084"],
    setting=COURIER_SETTINGS,
    remedy=N_("Close the port to the outside, where 465, 993 and 995 serve as well, until the package is mended."),
    needs=["tls"],
)
def test_starttls_injection(site: Site, loopback: Route, tls_context: ssl.SSLContext, family: str) -> None:
    def look(door: Door) -> list[str]:
        session = door.plain()
        session.raw_bytes(INJECTED[door.protocol])
        if not ready(session, door.protocol):
            session.sock.close()
            return []  # both are refused
        try:
            unread = session.handshake(tls_context)
        except OSError:
            return []  # who sends on is cut off
        try:
            told = session.answers_within(SILENCE_SECONDS)
            ended = told and closed(session)
        finally:
            session.sock.close()
        wrong = [_("{octets!r} came in clear text behind the answer.").format(octets=unread)] if unread else []
        return wrong + ([_("What came before TLS is answered inside it.")] if told and not ended else [])

    doors = [
        door
        for door in doors_of(site, family, loopback)
        if door.starttls and not (door.loopback and door.service == "pop3" and site.release in INJECTABLE_STLS)
    ]
    nothing_wrong(at_each(doors, look))


def closed(session: Any) -> bool:
    """Whether what a session has to read is the end of the stream."""
    reader = session._reader() if callable(session._reader) else session._reader
    return not reader.readline()


@check(
    "C-12",
    N_("Who is made to believe that there is no TLS cannot log in: a right password is refused in clear text"),
    clauses=[rfc(8314, "3"), rfc(4954, "4"), rfc(3501, "6.2.3"), rfc(2595, "2.1")],
    setting=f"postfix_main_cf_extra, {COURIER_SETTINGS}",
    remedy=N_("smtpd_tls_auth_only, IMAP_TLS_REQUIRED and POP3_TLS_REQUIRED are on; what was sent is to be changed."),
    needs=["tls"],
)
def test_stripped_starttls(site: Site, alice: Account, family: str) -> None:
    def look(door: Door) -> list[str]:
        wrong = []
        for way, tried in CLEAR_LOGINS[door.protocol].items():
            session = door.plain()
            try:
                answer = tried(session, alice)
            finally:
                session.sock.close()
            if answer.startswith(("2", "3", "OK", "+")):
                wrong.append(_("{way} was answered {answer!r}.").format(way=way, answer=answer))
        return wrong

    doors = [door for door in doors_of(site, family) if door.starttls]
    nothing_wrong(at_each(doors, look))


def plain_response(account: Account) -> str:
    """The response of SASL PLAIN (RFC 4616)."""
    return base64.b64encode(f"\0{account.name}\0{account.password}".encode()).decode()


def pop3_login(session: pop3.Session, account: Account) -> str:
    said = session.ask(f"USER {account.name}")[0]
    return session.ask(f"PASS {account.password}")[0] if said.startswith("+") else said


# Each way to send a password, and what the server says to it.
CLEAR_LOGINS: dict[str, dict[str, Callable[[Any, Account], str]]] = {
    "smtp": {
        "AUTH PLAIN": lambda session, account: str(session.command(f"AUTH PLAIN {plain_response(account)}")),
        "AUTH LOGIN": lambda session, _account: str(session.command("AUTH LOGIN")),
    },
    "imap": {
        "LOGIN": lambda session, account: session.ask(f'LOGIN "{account.name}" "{account.password}"')[0],
        "AUTHENTICATE PLAIN": lambda session, _account: session.ask("AUTHENTICATE PLAIN")[0],
    },
    "pop3": {
        "USER, PASS": pop3_login,
        "AUTH PLAIN": lambda session, account: session.ask(f"AUTH PLAIN {plain_response(account)}")[0],
        "APOP": lambda session, account: session.ask(f"APOP {account.name} {'0' * 32}")[0],
    },
}


@check(
    "C-14",
    N_("From outside no port takes a password in clear text: those that do are for the host itself"),
    tier="quick",
    clauses=[rfc(8314, "4.1"), rfc(3501, "6.2.3", "11.1"), rfc(2595, "2.1")],
    setting=COURIER_SETTINGS,
    remedy=N_("Run `valija apply`; without it every password that was used since is to be changed."),
    needs=["tls"],
)
def test_no_login_in_clear_text(site: Site, connect: Callable[..., Any], alice: Account, family: str) -> None:
    wrong = []
    for kind, port in ((imap.Session, 143), (pop3.Session, 110)):
        listener = next((one for one in site.listens if one.port == port), None)
        if listener is None or listener.address == "loopback":
            if is_open(site.addresses[family], port, connect, family):
                wrong.append(_("{port} answers from outside.").format(port=port))
            continue
        with connect(kind, port, family) as session:
            if isinstance(session, imap.Session):
                offered = set(session.capabilities)
                wrong += [] if {"LOGINDISABLED", "STARTTLS"} <= offered else [f"{port}: {sorted(offered)}"]
                wrong += [
                    _("{port} offers {word}.").format(port=port, word=word) for word in offered if "AUTH=" in word
                ]
            else:
                _status, lines = session.ask("CAPA", multiline=True)
                wrong += [] if b"STLS" in lines else [f"{port}: {lines}"]
                wrong += [
                    _("{port} offers {word}.").format(port=port, word="SASL") for line in lines if b"SASL" in line
                ]
            for way, tried in CLEAR_LOGINS["imap" if port == 143 else "pop3"].items():
                answer = tried(session, alice)
                if answer.startswith(("OK", "+")):
                    wrong.append(_("{way} was answered {answer!r}.").format(way=f"{port} {way}", answer=answer))
    inside = [one.port for one in site.listens if one.address == "loopback" and one.protocol == "tcp"]
    wrong += [
        _("{port} answers from outside.").format(port=port)
        for port in inside
        if port not in (143, 110) and is_open(site.addresses[family], port, connect, family)
    ]
    assert not wrong, "\n".join(wrong)


def is_open(address: str, port: int, connect: Callable[..., Any], family: str) -> bool:
    """Whether a port takes a connection from outside; 443, which must, shows that there is a way."""

    def reach(host: str, port: int, *, route: Route) -> Any:
        return route.connect(host, port, 3)

    connect(reach, 443, family).close()
    try:
        connect(reach, port, family).close()
    except AssertionError:
        return False
    return True


@check(
    "C-14",
    N_("The webmail takes no password in clear text: its form is not there, and what is sent to it is not heard"),
    clauses=[rfc(8314, "4.1"), rfc(6797, "2.3")],
    setting="mail_webmail",
    remedy=N_("Run `valija apply --tags apache`; every password that was used over http is to be changed."),
    needs=["tls", "webmail"],
)
@pytest.mark.parametrize(
    "path", ["/webmail/", "/webmail/src/login.php", "/webmail/src/redirect.php", "/webmail/?_task=login"]
)
def test_webmail_over_http(browser: Callable[..., Browser], alice: Account, family: str, path: str) -> None:
    visitor = browser(family, scheme="http")
    page = visitor.get(path, follow=False)
    assert page.status in (301, 308) and b"<form" not in page.body.lower(), f"{page.status} {page.text[:200]}"
    fields = {"login_username": alice.name, "secretkey": alice.password, "_user": alice.name, "_pass": alice.password}
    sent = visitor.post(path, fields, follow=False)
    assert sent.status in (301, 307, 308, 403, 405) and not visitor.cookies, f"{sent.status} {sorted(visitor.cookies)}"
