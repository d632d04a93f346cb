"""Mail to elsewhere carries nothing to smuggle with, however it was handed in: lines end CRLF, dots are doubled."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from valija.checks.expect import answered
from valija.checks.host_state import queued
from valija.checks.line_ends import BARE, ENDS
from valija.checks.mailbox import ARRIVAL_SECONDS
from valija.checks.marks import APPLY, check, rfc
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import message, wait
from valija.probes.message import Message
from valija.probes.peer import Peer
from valija.probes.smtp import Session

Submission = Callable[..., Session]

SETTING = "postfix_main_cf_extra: cleanup_replace_stray_cr_lf, smtpd_forbid_bare_newline"

_BARE_LINE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n")


def hidden_in(sent: Message, form: bytes, recipient: str) -> bytes:
    """The message with a form in its body, and behind it what a receiver must not take for commands."""
    commands = f"MAIL FROM:<ceo@smuggled.invalid>\r\nRCPT TO:<{recipient}>\r\nDATA\r\nX-Smuggled: {sent.test_id}\r\n"
    return sent.content + b"before" + form + commands.encode() + b"after\r\n"


def wrong_at_the_sink(sink: Peer, since: int, sent: dict[bytes, Message]) -> list[str]:
    """What is wrong with what arrived: not one message for each form, or one that a receiver could misread."""
    wrong = []
    received = sink.messages(since)
    for form, one in sent.items():
        copies = [each for each in received if one.test_id.encode() in each.data]
        if len(copies) != 1 or copies[0].mail_from == "ceo@smuggled.invalid":
            wrong.append(_("{form!r}: {count} messages arrived.").format(form=form, count=len(copies)))
            continue
        data = copies[0].data
        if bare := _BARE_LINE_END.search(data):
            wrong.append(_("{form!r}: {octets!r} arrived.").format(form=form, octets=data[bare.start() - 9 :][:20]))
        if b"MAIL FROM:<ceo@" not in data or b"after" not in data:
            wrong.append(_("{form!r}: the message was cut.").format(form=form))
    return wrong


def awaited(host: Any, sink: Peer, since: int, sent: dict[bytes, Message], accepted: list[bytes]) -> None:
    """Wait until every accepted message is out of the queue and at the sink."""
    wanted = [sent[form].test_id.encode() for form in accepted]
    wait.until(
        lambda: all(any(id in one.data for one in sink.messages(since)) for id in wanted),
        ARRIVAL_SECONDS,
        _("the messages in the sink"),
    )


@check(
    "B-44",
    N_("What a logged-in person sends carries no bare line end and no undoubled dot to elsewhere"),
    needs=["peer", "tls", "direct"],
    mutates=True,
    clauses=[rfc(5321, "2.3.8", "4.5.2"), rfc(3030, "2")],
    setting=SETTING,
    remedy=APPLY,
)
@pytest.mark.parametrize("verb", ["DATA", "BDAT"])
def test_what_is_submitted_leaves_canonical(
    submission: Submission, sink: Peer, host: Any, alice: Account, elsewhere: str, family: str, verb: str
) -> None:
    forms = [*ENDS, *BARE]
    sent = {form: message.new(alice.address, elsewhere) for form in forms}
    since = sink.last_seq()

    def submit(form: bytes) -> bool:
        """Whether the message was accepted; a refusal is as good."""
        content = hidden_in(sent[form], form, elsewhere)
        with submission(alice, family, port=465) as talk:
            answered(talk.mail_from(alice.address), 250)
            answered(talk.rcpt_to(elsewhere), 250)
            if verb == "BDAT":
                talk.raw_bytes(f"BDAT {len(content)} LAST\r\n".encode() + content)
            else:
                answered(talk.command("DATA"), 354)
                talk.raw_bytes(message.dot_stuffed(content))
            return answered(talk.read_reply(), 250, 521, 550, 554).accepted

    with ThreadPoolExecutor(8) as pool:
        accepted = [form for form, taken in zip(forms, pool.map(submit, forms), strict=True) if taken]
    awaited(host, sink, since, sent, accepted)
    wait.until(lambda: not queued(host, [elsewhere]), ARRIVAL_SECONDS, _("the queue to be empty"))
    wrong = wrong_at_the_sink(sink, since, {form: sent[form] for form in accepted})
    assert not wrong, "\n".join(wrong)
    assert accepted, _("Every form was refused: nothing was tried.")


@check(
    "B-46",
    N_("What a program on the host gives to `sendmail` carries no bare line end to elsewhere"),
    needs=["peer", "direct"],
    mutates=True,
    vantage="host",
    clauses=[rfc(5321, "2.3.8", "4.5.2")],
    setting=SETTING,
    remedy=APPLY,
)
def test_what_sendmail_takes_leaves_canonical(host: Any, sink: Peer, alice: Account, elsewhere: str) -> None:
    forms = [*ENDS, *BARE]
    sent = {form: message.new(alice.address, elsewhere) for form in forms}
    since = sink.last_seq()
    # -i: a lone dot ends nothing. Lines of a program on the host end LF.
    lines = []
    for form, one in sent.items():
        content = hidden_in(one, form, elsewhere).replace(b"\r\n", b"\n")
        text = "".join(f"\\0{octet:03o}" for octet in content)
        lines.append(f"printf %b '{text}' | sendmail -i -f {alice.address} {elsewhere}")
    done = host.run("set -e\n" + "\n".join(lines))
    assert done.rc == 0, done.stderr
    awaited(host, sink, since, sent, forms)
    wait.until(lambda: not queued(host, [elsewhere]), ARRIVAL_SECONDS, _("the queue to be empty"))
    wrong = wrong_at_the_sink(sink, since, sent)
    assert not wrong, "\n".join(wrong)


@check(
    "B-46",
    N_("What a person writes in the webmail carries no bare line end and no undoubled dot to elsewhere"),
    needs=["peer", "direct", "webmail"],
    mutates=True,
    vantage="client",
    clauses=[rfc(5321, "2.3.8", "4.5.2")],
    setting=SETTING,
    remedy=APPLY,
)
def test_what_the_webmail_sends_leaves_canonical(
    webmail: Callable[..., Any], sink: Peer, host: Any, site: Site, elsewhere: str
) -> None:
    person = webmail()
    since = sink.last_seq()
    mark = message.new("x@probe.invalid", elsewhere).test_id
    body = "\n".join(
        [mark, ".", "..", ".a", "b\rc", "\r.", "\r.\r", ".\r", "MAIL FROM:<ceo@smuggled.invalid>", "after"]
    )
    person.send(elsewhere, mark, body)
    found = wait.until(lambda: sink.holding(mark, since), ARRIVAL_SECONDS, _("the message in the sink"))
    wait.until(lambda: not queued(host, [elsewhere]), ARRIVAL_SECONDS, _("the queue to be empty"))
    assert len(found) == 1 and found[0].mail_from != "ceo@smuggled.invalid", found
    bare = _BARE_LINE_END.search(found[0].data)
    assert not bare, found[0].data
    assert b"after" in found[0].data and b"ceo@smuggled" in found[0].data, found[0].data
