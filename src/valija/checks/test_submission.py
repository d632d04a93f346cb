"""The doors for handing in mail: TLS before anything else, then a login, on 587 and 465; never a login on 25."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import pytest

from valija.checks.expect import answered, offers, refused
from valija.checks.mailbox import ARRIVAL_SECONDS, Mailbox, assert_same, trace
from valija.checks.marks import APPLY, check, rfc
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import message, transcript, wait
from valija.probes.handshake import Hello
from valija.probes.peer import Peer
from valija.probes.routes import TIMEOUT_SECONDS, Route, endpoint, join
from valija.probes.smtp import Session
from valija.probes.tls import Reader
from valija.probes.transcript import Recorder

Smtp = Callable[..., Session]

TLS = ["tls"]
TLS_SETTING = "postfix_main_cf_extra: smtpd_tls_security_level, smtpd_tls_auth_only"
PORTS = pytest.mark.parametrize("port", [587, 465])

NEED_LOGIN = N_(
    "Run `valija apply --tags postfix`; 587 and 465 take mail from who has logged in alone, and 25 no login."
)

# A server that would greet before TLS does so within this time, in seconds.
GREETING_SECONDS = 3.0

# A server that gives up a handshake does so within this time, in seconds.
CLOSED_SECONDS = 10.0


@check(
    "A-90",
    N_("STARTTLS is offered and taken, and what was said before it is forgotten"),
    tier="quick",
    needs=TLS,
    clauses=[rfc(3207, "4.2")],
    setting=TLS_SETTING,
    remedy=APPLY,
)
@pytest.mark.parametrize("port", [25, 587])
def test_starttls_forgets(smtp: Smtp, tls_context: ssl.SSLContext, sender: str, family: str, port: int) -> None:
    with smtp(family, port=port) as talk:
        offers(talk.say_ehlo(), "STARTTLS")
        answered(talk.starttls(tls_context), 220, enhanced="2.0.0")
        answered(talk.mail_from(sender), 503, enhanced="5.5.1")
        offers(talk.say_ehlo(), "STARTTLS", owed=False)


@check(
    "A-90",
    N_("Mail that comes in under TLS arrives, and its Received line says so"),
    tier="quick",
    mutates=True,
    needs=TLS,
    clauses=[rfc(3207, "4"), rfc(3848)],
    setting=TLS_SETTING,
    remedy=APPLY,
)
def test_mail_comes_in_under_tls(
    smtp: Smtp, tls_context: ssl.SSLContext, mailbox: Mailbox, sender: str, alice: Account, family: str
) -> None:
    sent = message.new(sender, alice.address)
    with smtp(family) as talk:
        talk.say_ehlo()
        answered(talk.starttls(tls_context), 220)
        talk.say_ehlo()
        answered(talk.message(sender, [alice.address], sent.content), 250)
    got = mailbox.is_as_sent(sent)
    told = trace(got, sent.test_id)
    assert " with ESMTPS " in told, told


@check(
    "A-91",
    N_("STARTTLS takes no argument and is not done twice; in a transaction it ends the transaction"),
    needs=TLS,
    clauses=[rfc(3207, "4", "4.2")],
)
@pytest.mark.parametrize("port", [25, 587])
def test_starttls_misused(
    smtp: Smtp, tls_context: ssl.SSLContext, sender: str, alice: Account, family: str, port: int
) -> None:
    with smtp(family, port=port) as talk:
        talk.say_ehlo()
        answered(talk.command("STARTTLS now"), 501, enhanced="5.5.4")
        if port == 25:
            answered(talk.mail_from(sender), 250)
        answered(talk.starttls(tls_context), 220)
        talk.say_ehlo()
        answered(talk.rcpt_to(alice.address), 503, enhanced="5.5.1")
        answered(talk.command("STARTTLS"), 554, enhanced="5.5.1")
        answered(talk.command("NOOP"), 250)
    assert talk.transcript.lines[-1].tls, talk.transcript


# What a client sends instead of a handshake that could succeed; nothing: it hangs up.
FAULTS = {
    "garbage": bytes(range(128, 256)),
    "clear text": b"EHLO client.probe.invalid\r\n",
    "hang up": b"",
    "TLS 1.1": Hello(versions=(0x0302,)).octets(),
}


@check(
    "A-92",
    N_("A handshake that fails ends that session and no other: garbage, clear text, TLS 1.1, a client that is gone"),
    needs=TLS,
    clauses=[rfc(3207, "4.1"), rfc(8446, "6.2")],
    setting=TLS_SETTING,
)
@pytest.mark.parametrize("port", [25, 587])
@pytest.mark.parametrize("fault", list(FAULTS))
def test_failed_handshake(
    smtp: Smtp, tls_context: ssl.SSLContext, host: Any, family: str, port: int, fault: str
) -> None:
    with smtp(family, port=port) as talk:
        ours = talk.recorder.client.rpartition(":")[2]
        talk.say_ehlo()
        answered(talk.command("STARTTLS"), 220)
        if FAULTS[fault]:
            talk.raw_bytes(FAULTS[fault])
            assert talk.answers_within(CLOSED_SECONDS), _("The server waits on after {fault}.").format(fault=fault)
        talk.close()
    wait.until(
        lambda: not host.run(f"ss -Htn state established '( sport = :{port} and dport = :{ours} )'").stdout.strip(),
        CLOSED_SECONDS,
        _("the server to be done with the session"),
    )
    with smtp(family, port=port) as talk:
        talk.say_ehlo()
        answered(talk.starttls(tls_context), 220)
        answered(talk.say_ehlo(), 250)


@check(
    "A-93",
    N_("587 takes nothing before TLS: neither mail nor a password"),
    tier="quick",
    needs=TLS,
    clauses=[rfc(6409, "4.3"), rfc(8314, "3.3"), rfc(4954, "4")],
    setting=TLS_SETTING,
    remedy=NEED_LOGIN,
)
def test_nothing_before_tls(smtp: Smtp, alice: Account, elsewhere: str, family: str) -> None:
    with smtp(family, port=587) as talk:
        offers(talk.say_ehlo(), "AUTH", owed=False)
        for line in (
            f"MAIL FROM:<{alice.address}>",
            f"RCPT TO:<{elsewhere}>",
            "DATA",
            "AUTH PLAIN AHZhbGlqYQB2YWxpamE=",
            "AUTH LOGIN",
            f"VRFY {alice.name}",
        ):
            answered(talk.command(line), 530, enhanced="5.7.0")


@check(
    "A-93",
    N_("Under TLS and without a login, neither mail to elsewhere nor to a mailbox here is taken"),
    tier="quick",
    needs=TLS,
    clauses=[rfc(6409, "4.3"), rfc(4954, "6")],
    setting="postfix_master_cf_extra: submission/inet",
    remedy=NEED_LOGIN,
)
@PORTS
def test_nothing_without_a_login(
    submission: Smtp, alice: Account, bob: Account, elsewhere: str, family: str, port: int
) -> None:
    with submission(port=port, family=family, login=False) as talk:
        for reverse_path in (alice.address, ""):
            if talk.mail_from(reverse_path).accepted:
                for recipient in (
                    elsewhere,
                    bob.address,
                ):  # bare <postmaster> is let through by Postfix before any rule
                    answered(talk.rcpt_to(recipient), 530, enhanced="5.7.0")
                answered(talk.command("DATA"), 503, 554, enhanced="5.5.1")
            answered(talk.command("RSET"), 250)


@check(
    "A-93",
    N_("After the login mail goes elsewhere as it was written; nobody reads from where, or under which login"),
    tier="quick",
    mutates=True,
    needs=["tls", "peer"],
    clauses=[rfc(6409, "4.3", "8"), rfc(3848)],
    setting="postfix_master_cf_extra: submission/inet",
    remedy=NEED_LOGIN,
)
@PORTS
def test_who_logs_in_sends_elsewhere(
    submission: Smtp, sink: Peer, alice: Account, elsewhere: str, family: str, port: int
) -> None:
    sent = message.new(alice.address, elsewhere, body=b"From a mail program.\r\n.\r\n..\r\n")
    before = sink.last_seq()
    with submission(port=port, family=family) as talk:
        client = talk.recorder.client.rpartition(":")[0].strip("[]")
        answered(talk.message(alice.address, [elsewhere], sent.content), 250)
    got = wait.until(lambda: sink.holding(sent.test_id, before), ARRIVAL_SECONDS, _("the message in the peer's sink"))
    assert len(got) == 1, _("The sink has {count} copies.").format(count=len(got))
    assert_same(sent, got[0].data, _("the sink"))
    assert (got[0].mail_from, got[0].rcpt_to) == (alice.address, (elsewhere,)), got
    told = trace(got[0].data, sent.test_id)
    assert " with ESMTPSA " in told, told
    assert client not in told and alice.name not in told, _("The trace tells who sent it from where: {trace}").format(
        trace=told
    )


@check(
    "A-94",
    N_("465 says nothing before TLS and closes on who speaks in clear text"),
    needs=TLS,
    clauses=[rfc(8314, "3.3", "7.3")],
    setting="postfix_master_cf_extra: submissions/inet",
    remedy=NEED_LOGIN,
)
def test_465_is_silent_in_clear_text(connect: Callable[..., Any], family: str) -> None:
    def reach(host: str, port: int, *, route: Route) -> tuple[Reader, Recorder]:
        sock = route.connect(host, port, TIMEOUT_SECONDS)
        recorder = Recorder("smtp", join(host, port), endpoint(sock, peer=False))
        transcript.on_conversation(recorder)
        return Reader(sock), recorder

    reader, recorder = connect(reach, 465, family)
    with reader.sock:
        assert not reader.anything_within(GREETING_SECONDS), _("The server greets before TLS.")
        recorder.remark(_("silent for {seconds:g} s").format(seconds=GREETING_SECONDS))
        recorder.client_says(b"EHLO client.probe.invalid\r\n")
        reader.sock.sendall(b"EHLO client.probe.invalid\r\n")
        assert reader.anything_within(CLOSED_SECONDS), _("The server waits on.")
        said = reader.read(512)  # an alert of TLS, or nothing
    recorder.server_says(said)
    assert not said[:3].isdigit(), _("The server answers in clear text: {line!r}").format(line=said[:80])


@check(
    "A-94",
    N_("465 begins with TLS: it greets there, offers a login and no STARTTLS"),
    tier="quick",
    needs=TLS,
    clauses=[rfc(8314, "3.3", "7.3")],
    setting="postfix_master_cf_extra: submissions/inet",
    remedy=NEED_LOGIN,
)
def test_465_begins_with_tls(smtp: Smtp, site: Site, family: str) -> None:
    with smtp(family, port=465, implicit_tls=True) as talk:
        assert talk.transcript.lines[0].tls, talk.transcript
        assert answered(talk.greeting, 220).text.split()[0] == site.hostname
        offered = answered(talk.say_ehlo(), 250).lines
        assert "AUTH PLAIN LOGIN" in offered or "AUTH LOGIN PLAIN" in offered, offered
        assert "STARTTLS" not in offered
        answered(talk.command("STARTTLS"), 554, enhanced="5.5.1")
        answered(talk.command("NOOP"), 250)


@check(
    "A-95",
    N_("Nobody logs in at 25: it is not offered, and a right password is refused"),
    tier="quick",
    needs=TLS,
    clauses=[rfc(8314, "3.3"), rfc(4954, "4")],
    setting="postfix_main_cf_extra: smtpd_sasl_auth_enable",
    remedy=NEED_LOGIN,
)
def test_no_login_at_25(
    smtp: Smtp, tls_context: ssl.SSLContext, sender: str, alice: Account, elsewhere: str, family: str
) -> None:
    with smtp(family) as talk:
        offers(talk.say_ehlo(), "AUTH", owed=False)
        answered(talk.command("AUTH PLAIN AHZhbGlqYQB2YWxpamE="), 503, enhanced="5.5.1")
        answered(talk.starttls(tls_context), 220)
        offers(talk.say_ehlo(), "AUTH", owed=False)
        answered(talk.log_in(alice.name, alice.password), 503, enhanced="5.5.1")
        answered(talk.log_in(alice.name, alice.password, "LOGIN"), 503, enhanced="5.5.1")
        answered(talk.mail_from(sender), 250)
        refused(talk.rcpt_to(elsewhere))
