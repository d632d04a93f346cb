"""Why a message was not sent: what was said, what it means, and what to do; one value for every kind of failure."""

from __future__ import annotations

import socket
import ssl
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from valija.client import advice, providers
from valija.client.connection import ClosedError, GarbledError
from valija.client.server import Login, Security, Server
from valija.messages import N_, _
from valija.probes.routes import join
from valija.probes.smtp import Reply
from valija.report import explain


class Kind(StrEnum):
    """What kind of failure it is; each has an exit code of its own."""

    REFUSED = "refused"
    LATER = "later"
    LOGIN = "login"
    TLS = "tls"
    UNKNOWN = "unknown"


EXIT_CODES = {Kind.REFUSED: 1, Kind.LATER: 3, Kind.LOGIN: 4, Kind.TLS: 5, Kind.UNKNOWN: 6}

_DOING = {
    "connect": N_("the connection"),
    "tls": N_("the TLS handshake"),
    "greeting": N_("the greeting"),
    "hello": "EHLO",
    "starttls": "STARTTLS",
    "login": N_("the login"),
    "sender": N_("the sender (MAIL FROM)"),
    "recipient": N_("a recipient (RCPT TO)"),
    "data": "DATA",
    "content": N_("the message"),
    "end": N_("the end of the message"),
}


@dataclass(frozen=True)
class Problem:
    """`said`: the server's words, codes included; `words`: what they mean; `remedy`: what to do.

    `code` and `enhanced` are the reply's, 0 and empty when there was none. `stage`: connect, tls, greeting, hello,
    starttls, login, sender, recipient, data, content, end.
    """

    kind: Kind
    stage: str
    words: str
    remedy: str
    said: str = ""
    code: int = 0
    enhanced: str = ""

    def __str__(self) -> str:
        said = _("The server said: {said}").format(said=self.said) if self.said else ""
        return "\n".join(line for line in (said, self.words, self.remedy) if line)

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self)


def of_reply(stage: str, reply: Reply, server: Server, login: Login | None = None) -> Problem:
    """The problem that a reply is which says no."""
    last = f"{reply.code} {reply.lines[-1]}"
    words, _codes, _class = explain.smtp_reply(last)
    remedy = advice.remedy(stage, reply.code, reply.enhanced, " ".join(reply.lines))
    kind = Kind.LATER if reply.code < 500 else Kind.REFUSED
    if stage == "login":
        kind = Kind.LOGIN if kind is Kind.REFUSED else kind
        provider = providers.of_host(server.host)
        if provider and reply.code in (534, 535):
            remedy = f"{provider.login_advice(token=bool(login and login.token))} {remedy}"
    elif stage == "starttls":
        kind = Kind.TLS
    lines = [reply.lines[0], *(line.removeprefix(reply.enhanced).strip() for line in reply.lines[1:])]
    said = f"{reply.code} {' / '.join(line for line in lines if line)}"
    return Problem(kind, stage, words, remedy, said, reply.code, reply.enhanced)


def of_error(stage: str, error: OSError, server: Server, seconds: float) -> Problem:
    """The problem that an error of the network or of TLS is, at this stage."""
    place = join(server.host, server.port)
    if stage in ("content", "end"):
        return _unknown(stage, error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate(error, stage)
    if isinstance(error, ssl.SSLError):
        return _handshake(error, server, stage)
    if isinstance(error, socket.gaierror):
        return _name(error, server)
    if isinstance(error, TimeoutError):
        return _timeout(stage, server, seconds)
    if isinstance(error, GarbledError):
        words = _("What answers at {place} does not speak SMTP.").format(place=place)
        return Problem(Kind.REFUSED, stage, words, _("Check the port: 587 or 465 for sending."), str(error))
    if isinstance(error, ClosedError | ConnectionResetError | BrokenPipeError):
        return _closed(stage, server)
    if isinstance(error, ConnectionRefusedError):
        words = _("Nobody listens at {place}.").format(place=place)
        return Problem(Kind.LATER, stage, words, _("Check host and port (587, 465, 25). Is the server running?"))
    words = _("{place} cannot be reached: {why}").format(place=place, why=error.strerror or error)
    return Problem(Kind.LATER, stage, words, _("Check this machine's network, and the host."))


def of_mechanisms(offered: str, login: Login, server: Server) -> Problem:
    """The server has no way to log in that fits what is given."""
    if not offered:
        words = _("The server offers no login on this port.")
        remedy = _("Use the submission port (587, or 465 with --security tls), or leave --user away.")
        if server.security is Security.NONE:
            remedy = _("It may offer it under TLS: --security starttls.")
        return Problem(Kind.LOGIN, "login", words, remedy)
    words = _("The server offers these ways to log in, and none fits: {offered}.").format(offered=offered)
    remedy = _("With a token the server must offer XOAUTH2: give a password instead.")
    if not login.token:
        remedy = _("Passwords go by PLAIN or LOGIN. If XOAUTH2 is there, give a token: --token-command.")
    return Problem(Kind.LOGIN, "login", words, remedy)


def no_starttls(server: Server) -> Problem:
    """STARTTLS is asked for and not offered: nothing is sent in clear text instead."""
    words = _("The server offers no STARTTLS on port {port}, so nothing was sent.").format(port=server.port)
    remedy = _(
        "Try --security tls with port 465. Where STARTTLS was there before, somebody on the way may have taken it out."
    )
    return Problem(Kind.TLS, "starttls", words, remedy)


def too_large(size: int, limit: int) -> Problem:
    """The message is larger than what the server said it takes (RFC 1870)."""
    words = _("The message has {size} octets; the server takes at most {limit}. Nothing was sent.")
    remedy = advice.remedy("sender", 552, "5.3.4", "")
    return Problem(Kind.REFUSED, "sender", words.format(size=size, limit=limit), remedy, "", 0, "5.3.4")


def no_smtputf8() -> Problem:
    """An address in another script, and a server without SMTPUTF8 (RFC 6531)."""
    words = _("An address is not in ASCII, and the server does not take such addresses (no SMTPUTF8).")
    return Problem(Kind.REFUSED, "sender", words, advice.remedy("sender", 553, "5.6.7", ""), "", 0, "5.6.7")


def _unknown(stage: str, error: OSError) -> Problem:
    why = _("no reply came in time") if isinstance(error, TimeoutError) else _("the connection broke")
    if stage == "content":
        words = _("While the message was being sent, {why}: the server does not have it.").format(why=why)
        remedy = _("Send it again. If it breaks at the same place, something on the way may not like the message.")
        return Problem(Kind.LATER, stage, words, remedy)
    words = _("The message was sent whole, and then {why}: nobody can tell whether the server has it.").format(why=why)
    remedy = _("Look whether it arrived, or into the folder of sent mail, before you send it again.")
    return Problem(Kind.UNKNOWN, stage, words, remedy)


def _certificate(error: ssl.SSLCertVerificationError, stage: str) -> Problem:
    words, remedy = (_(text) for text in advice.CERTIFICATES.get(error.verify_code, advice.OTHER_CERTIFICATE))
    return Problem(Kind.TLS, stage, words, remedy.format(names=error.verify_message), error.verify_message)


def _handshake(error: ssl.SSLError, server: Server, stage: str) -> Problem:
    reason = str(error.reason or error).replace("_", " ").lower()
    if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"):
        words = _("The server does not begin with TLS on port {port}.").format(port=server.port)
        return Problem(Kind.TLS, stage, words, _("Use --security starttls."), reason)
    words = _("The TLS handshake failed: {reason}.").format(reason=reason)
    remedy = _("The server may be too old (TLS 1.2 is the least), or want a certificate of the client.")
    return Problem(Kind.TLS, stage, words, remedy)


def _name(error: socket.gaierror, server: Server) -> Problem:
    if error.errno == socket.EAI_AGAIN:
        words = _("The name service does not answer, so {host} was not found.").format(host=server.host)
        return Problem(Kind.LATER, "connect", words, _("Check this machine's network; try again later."))
    words = _("There is no host with the name {host}.").format(host=server.host)
    remedy = _("Check the name. The server for sending often is smtp.DOMAIN or mail.DOMAIN; see --providers.")
    return Problem(Kind.LATER, "connect", words, remedy)


def _timeout(stage: str, server: Server, seconds: float) -> Problem:
    doing = _(_DOING[stage])
    words = _("The server did not answer within {seconds:g} s: {doing}.").format(seconds=seconds, doing=doing)
    if stage == "connect":
        remedy = _("A firewall may swallow the connection; many networks close port 25. Use port 587 or 465.")
    elif stage == "greeting" and server.security is not Security.TLS:
        remedy = _("The port may want TLS at once: --security tls. Else the server is busy: try later, or --timeout.")
    else:
        remedy = _("The server is busy: try later, or wait longer with --timeout.")
    return Problem(Kind.LATER, stage, words, remedy)


def _closed(stage: str, server: Server) -> Problem:
    words = _("The server closed the connection without a reply: {doing}.").format(doing=_(_DOING[stage]))
    if stage in ("greeting", "connect") and server.security is not Security.TLS:
        remedy = _("The port may want TLS at once: --security tls. Else the server does not want this client.")
    else:
        remedy = _("Try again later; if it stays so, ask who runs the server.")
    return Problem(Kind.LATER, stage, words, remedy)
