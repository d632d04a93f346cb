"""Logging in to send: the two mechanisms, what is no login, and that no answer tells which names exist."""

from __future__ import annotations

import base64 as codec
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from valija.checks.expect import answered, offers
from valija.checks.marks import APPLY, check, rfc
from valija.checks.site import Account
from valija.messages import N_, _
from valija.probes.routes import Route
from valija.probes.smtp import Reply, Session, base64

Smtp = Callable[..., Session]
Guesser = Callable[..., Route]

TLS = ["tls"]
PORTS = pytest.mark.parametrize("port", [587, 465])
SASL = "postfix_master_cf_extra: submission/inet: smtpd_sasl_auth_enable"
LOGIN = N_(
    "Look at `journalctl -u courier-authdaemon SYSLOG_FACILITY=2` on the host; `authtest NAME` there asks the same."
)

# A SASL response may be as long as this, with its line (RFC 4954 section 4).
RESPONSE_OCTETS = 12_288


# Refused logins with each name: the fewer, the more one slow answer weighs.
SAMPLES = 20


def may_send(talk: Session, account: Account, elsewhere: str) -> None:
    """Assert the rights that a login lends: mail to elsewhere under the account's own name."""
    answered(talk.mail_from(account.address), 250)
    answered(talk.rcpt_to(elsewhere), 250)
    answered(talk.command("RSET"), 250)


@check(
    "A-96",
    N_("AUTH PLAIN: the response with the command, or after an empty challenge"),
    tier="quick",
    needs=TLS,
    clauses=[rfc(4616, "2"), rfc(4954, "4")],
    setting=SASL,
    remedy=LOGIN,
)
@PORTS
def test_plain(submission: Smtp, alice: Account, elsewhere: str, family: str, port: int) -> None:
    with submission(port=port, family=family) as talk:
        may_send(talk, alice, elsewhere)
    with submission(port=port, family=family, login=False) as talk:
        challenge = answered(talk.command("AUTH PLAIN"), 334)
        assert challenge.text == "", challenge
        answered(talk.command(base64(f"\0{alice.name}\0{alice.password}")), 235, enhanced="2.7.0")
        may_send(talk, alice, elsewhere)


@check(
    "A-96",
    N_("AUTH PLAIN with an empty response is no login"),
    needs=TLS,
    clauses=[rfc(4616, "2"), rfc(4954, "4")],
    setting=SASL,
    remedy=LOGIN,
)
@PORTS
def test_plain_with_nothing(submission: Smtp, guesser: Guesser, alice: Account, elsewhere: str, port: int) -> None:
    with submission(port=port, login=False, route=guesser()) as talk:
        answered(talk.command("AUTH PLAIN ="), 535, enhanced="5.7.8")
        assert not (talk.mail_from(alice.address).accepted and talk.rcpt_to(elsewhere).accepted)


@check(
    "A-97",
    N_("AUTH LOGIN: asked for name and password, or the name with the command"),
    tier="quick",
    needs=TLS,
    clauses=["draft-murchison-sasl-login-00 section 2", rfc(4954, "4")],
    setting=SASL,
    remedy=LOGIN,
)
@PORTS
def test_login(submission: Smtp, alice: Account, elsewhere: str, family: str, port: int) -> None:
    def challenged(reply: Reply, question: bytes) -> None:
        assert codec.b64decode(answered(reply, 334).text) == question, reply

    with submission(port=port, family=family, login=False) as talk:
        challenged(talk.command("AUTH LOGIN"), b"Username:")
        challenged(talk.command(base64(alice.name)), b"Password:")
        answered(talk.command(base64(alice.password)), 235, enhanced="2.7.0")
        may_send(talk, alice, elsewhere)
    with submission(port=port, family=family, login=False) as talk:
        challenged(talk.command(f"AUTH LOGIN {base64(alice.name)}"), b"Password:")
        answered(talk.command(base64(alice.password)), 235, enhanced="2.7.0")
        may_send(talk, alice, elsewhere)


@check(
    "A-98",
    N_("AUTH comes once, after EHLO, and in no transaction; the session goes on after each refusal"),
    needs=TLS,
    clauses=[rfc(4954, "4")],
    setting=SASL,
    remedy=APPLY,
)
@PORTS
def test_auth_out_of_turn(submission: Smtp, smtp: Smtp, alice: Account, elsewhere: str, port: int) -> None:
    with submission(port=port) as talk:
        answered(talk.log_in(alice.name, alice.password), 503, enhanced="5.5.1")
        may_send(talk, alice, elsewhere)
    with submission(port=port, login=False) as talk:
        answered(talk.mail_from(alice.address), 250)
        answered(talk.log_in(alice.name, alice.password), 503, enhanced="5.5.1")
        answered(talk.command("RSET"), 250)
        answered(talk.log_in(alice.name, alice.password), 235)
    if port == 465:
        with smtp(port=port, implicit_tls=True) as talk:
            answered(talk.log_in(alice.name, alice.password), 503, enhanced="5.5.1")


# What is no login: the command, what answers a challenge, the last reply. Postfix says 535 for a mechanism that it does
# not have, where RFC 4954 section 4 has 504, and for what is no base64, where it has 501: both refuse for good.
NO_LOGIN: dict[str, tuple[str, str, int, str]] = {
    "no base64": ("AUTH PLAIN !no-base64!", "", 535, "5.7.8"),
    "no base64 after the challenge": ("AUTH PLAIN", "!no-base64!", 535, "5.7.8"),
    "cancelled": ("AUTH PLAIN", "*", 501, "5.7.0"),
    "cancelled at the password": ("AUTH LOGIN bm9ib2R5LXg=", "*", 501, "5.7.0"),
    "unknown mechanism": ("AUTH XNONSENSE", "", 535, "5.7.8"),
    "mechanism that is not offered": ("AUTH CRAM-MD5", "", 535, "5.7.8"),
    "anonymous": ("AUTH ANONYMOUS", "", 535, "5.7.8"),
    "no mechanism": ("AUTH", "", 501, "5.5.4"),
    "two responses": ("AUTH PLAIN AHgAeA== AHgAeA==", "", 501, "5.5.4"),
    "a name alone": (f"AUTH PLAIN {base64('nobody-x')}", "", 535, "5.7.8"),
    "a response of 12,289 octets": ("AUTH PLAIN", "QUJD" * (RESPONSE_OCTETS // 4) + "\t", 500, "5.5.6"),
}


@check(
    "A-98",
    N_("What is no login is refused for good, and the session goes on"),
    needs=TLS,
    clauses=[rfc(4954, "4", "4.2", "6")],
    setting=SASL,
    remedy=APPLY,
)
@pytest.mark.parametrize("fault", list(NO_LOGIN))
def test_no_login(submission: Smtp, guesser: Guesser, alice: Account, fault: str) -> None:
    line, answer, code, enhanced = NO_LOGIN[fault]
    with submission(login=False, route=guesser()) as talk:
        reply = talk.command(line)
        if answer:
            answered(reply, 334)
            reply = talk.command(answer)
        answered(reply, code, enhanced=enhanced)
        answered(talk.command("NOOP"), 250)
        answered(talk.log_in(alice.name, alice.password), 235)


@check(
    "A-99",
    N_("A wrong password is 535, whatever it is made of and whoever exists; nothing more is told"),
    needs=TLS,
    clauses=[rfc(4954, "6")],
    setting=SASL,
    remedy=LOGIN,
)
@PORTS
def test_wrong_passwords(submission: Smtp, guesser: Guesser, alice: Account, bob: Account, port: int) -> None:
    right = alice.password.encode()
    tries = {
        "wrong": (alice.name, b"wrong"),
        "empty": (alice.name, b""),
        "another's": (alice.name, bob.password.encode()),
        "with NUL": (alice.name, right + b"\0x"),
        "with a space behind": (alice.name, right + b" "),
        "without its end": (alice.name, right[:-1]),
        "8-bit": (alice.name, b"\xff\xfe\xe9"),
        "1,000 characters": (alice.name, b"x" * 1000),
        "of nobody": ("nobody-x", right),
        "of root": ("root", right),
        "of a service": ("www-data", right),
    }

    def attempt(name: str, password: bytes) -> Reply:
        response = b"\0".join((b"", name.encode(), password))
        with submission(port=port, login=False, route=guesser()) as talk:
            return talk.command(f"AUTH PLAIN {base64(response)}")

    # A refused login waits some seconds: side by side.
    with ThreadPoolExecutor(len(tries)) as pool:
        replies = dict(zip(tries, pool.map(lambda one: attempt(*one), tries.values()), strict=True))
    wrong = [f"{what}: {reply}" for what, reply in replies.items() if (reply.code, reply.enhanced) != (535, "5.7.8")]
    assert not wrong, "\n".join(wrong)
    told = {reply.text for what, reply in replies.items() if what != "with NUL"}
    assert len(told) == 1, _("The answers tell which names exist: {answers}").format(answers=sorted(told))


@check(
    "A-99",
    N_("A wrong password takes as long for a name that exists as for one that does not"),
    tier="slow",
    needs=TLS,
    clauses=[rfc(4954, "6", "9")],
    setting=SASL,
    remedy=LOGIN,
)
def test_time_tells_no_names(submission: Smtp, guesser: Guesser, alice: Account) -> None:
    def seconds(name: str) -> float:
        with submission(login=False, route=guesser()) as talk:
            begin = time.monotonic()
            answered(talk.log_in(name, "wrong-password"), 535, enhanced="5.7.8")
            took = time.monotonic() - begin
            talk.recorder.remark(_("{seconds:.3f} s for the answer").format(seconds=took))
            return took

    names = [alice.name, "nobody-x"] * SAMPLES
    with ThreadPoolExecutor(4) as pool:
        took = list(pool.map(seconds, names))
    known, unknown = statistics.median(took[::2]), statistics.median(took[1::2])
    assert 0.8 < known / unknown < 1.25, _(
        "A name that exists takes {known:.3f} s, one that does not {unknown:.3f} s (medians of {count})."
    ).format(known=known, unknown=unknown, count=SAMPLES)


@check(
    "A-100",
    N_("Nobody acts under another's name: an authorization identity that is not one's own is refused"),
    needs=TLS,
    clauses=[rfc(4616, "2"), rfc(4954, "4")],
    setting=SASL,
    remedy=LOGIN,
)
@PORTS
def test_authorization_identity(submission: Smtp, guesser: Guesser, alice: Account, bob: Account, port: int) -> None:
    for identity in (bob.name, "root"):
        with submission(port=port, login=False, route=guesser()) as talk:
            answered(talk.log_in(alice.name, alice.password, authzid=identity), 535, enhanced="5.7.8")
            assert not (talk.mail_from(bob.address).accepted and talk.rcpt_to(bob.address).accepted)


@check(
    "A-97",
    N_("The login is offered by the same two mechanisms at each port and after each EHLO"),
    needs=TLS,
    clauses=[rfc(4954, "3")],
    setting=SASL,
    remedy=APPLY,
)
@PORTS
def test_mechanisms(submission: Smtp, family: str, port: int) -> None:
    with submission(port=port, family=family, login=False) as talk:
        for _time in range(2):
            reply = talk.say_ehlo()
            offers(reply, "AUTH")
            [line] = [line for line in reply.lines if line.startswith("AUTH")]
            assert sorted(line.split()[1:]) == ["LOGIN", "PLAIN"], _("EHLO offers {line!r}.").format(line=line)
