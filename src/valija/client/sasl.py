"""Logging in: PLAIN (RFC 4616), LOGIN, and XOAUTH2 (Google's and Microsoft's) over AUTH (RFC 4954)."""

from __future__ import annotations

from base64 import b64encode

from valija.client.connection import Connection, RefusedError
from valija.client.server import Login
from valija.messages import _
from valija.probes.smtp import Reply

PASSWORD_MECHANISMS = ("PLAIN", "LOGIN")
TOKEN_MECHANISMS = ("XOAUTH2",)

# A command line with its CRLF (RFC 5321 section 4.5.3.1.4); a longer response waits for the challenge (RFC 4954).
_LINE_OCTETS = 512

# Shorter secrets are not looked for in replies: they would be found everywhere.
_SCRUBBED_FROM = 4


class NoMechanismError(Exception):
    """The server offers no way to log in that fits; the text is what it offers, empty for none at all."""


def log_in(connection: Connection, login: Login) -> None:
    """Log in; raises RefusedError, NoMechanismError."""
    connection.course.stage = "login"
    offered = connection.features.get("AUTH", "").upper().split()
    fitting = [login.mechanism] if login.mechanism else TOKEN_MECHANISMS if login.token else PASSWORD_MECHANISMS
    mechanism = next((one for one in fitting if one in offered), "")
    if not mechanism:
        raise NoMechanismError(" ".join(offered))
    encoded = {"PLAIN": _plain, "XOAUTH2": _xoauth2}.get(mechanism, _secret)(login)
    secrets = [login.secret, _base64(login.secret), encoded]
    connection.secrets = [secret for secret in secrets if len(secret) >= _SCRUBBED_FROM]
    reply = _login(connection, login) if mechanism == "LOGIN" else _at_once(connection, mechanism, encoded)
    if mechanism == "XOAUTH2" and reply.code == 334:
        connection.recorder.remark(_("The token is refused; the server's reply follows an empty line."))
        reply = connection.answer("")
    if reply.code != 235:
        raise RefusedError(reply)


def _at_once(connection: Connection, mechanism: str, encoded: str) -> Reply:
    line = f"AUTH {mechanism} {encoded}"
    if len(line) + 2 <= _LINE_OCTETS:
        return connection.ask("login", line)
    reply = connection.ask("login", f"AUTH {mechanism}")
    return connection.answer(encoded) if reply.code == 334 else reply


def _login(connection: Connection, login: Login) -> Reply:
    reply = connection.ask("login", "AUTH LOGIN")
    for answer in (login.user, login.secret):
        if reply.code != 334:
            break
        reply = connection.answer(_base64(answer))
    return reply


def _plain(login: Login) -> str:
    return _base64(f"\0{login.user}\0{login.secret}")


def _xoauth2(login: Login) -> str:
    return _base64(f"user={login.user}\1auth=Bearer {login.secret}\1\1")


def _secret(login: Login) -> str:
    return _base64(login.secret)


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")
