"""Who asks for too much: too many connections, commands, names or recipients, or too slowly. Others are served."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from valija.checks.crowds import SERVED_SECONDS, crowd, served, setting
from valija.checks.expect import answered
from valija.checks.host_state import queued
from valija.checks.mailbox import ARRIVAL_SECONDS
from valija.checks.marks import APPLY, check, rfc
from valija.checks.site import Account, Site
from valija.checks.ways import CROWD
from valija.messages import N_, _
from valija.probes import message, wait
from valija.probes.routes import Route
from valija.probes.smtp import Reply, Session

Smtp = Callable[..., Session]
Stranger = Callable[..., Route]

# Postfix's limits as the role sets them, and its own; see postconf(5).
HARD_ERRORS = 20
JUNK_COMMANDS = 100
# More than Postfix has tokens for messages that are being taken in (default_process_limit).
GIVEN_UP = 160


def first_code(sock: socket.socket) -> int:
    """The code that the server begins with; 0 when it hangs up."""
    sock.settimeout(SERVED_SECONDS)
    try:
        said = sock.recv(512)
    except OSError:
        return 0
    return int(said[:3]) if said[:3].isdigit() else 0


@pytest.mark.usefixtures("acquainted")
@check(
    "B-53",
    N_("One address has so many connections and no more; meanwhile others are served"),
    vantage="stranger",
    needs=["peer", "tls"],
    clauses=[rfc(5321, "3.8", "4.5.3.2"), "TUNING_README"],
    setting="postfix_client_connections",
    remedy=APPLY,
)
def test_connections_of_one_address(
    smtp: Smtp,
    site: Site,
    host: Any,
    stranger: Stranger,
    sender: str,
    alice: Account,
    main_family: str,
    family: str,
) -> None:
    limit = setting(host, "smtpd_client_connection_count_limit")
    assert 1 <= limit <= 100, _("One address may have {limit} connections at once.").format(limit=limit)
    with crowd(site, family, [stranger(family, CROWD)], 25, limit + 10) as taken:
        with ThreadPoolExecutor(16) as pool:
            codes = list(pool.map(first_code, taken))
        assert len(taken) == limit + 10 and set(codes) <= {220, 421}, codes
        assert codes.count(421) == 10, _("{count} of {all} connections were refused.").format(
            count=codes.count(421), all=len(codes)
        )
        # Over the main protocol: neighbours in IPv6 may count as one (smtpd_client_ipv6_prefix_length).
        assert served(smtp, sender, alice.address, main_family, stranger(main_family)) < SERVED_SECONDS


def until_cut(talk: Session, lines: Iterator[str], at_most: int) -> list[Reply]:
    """Say lines one after the other until the server hangs up, or so many were said; what it answered."""
    answers: list[Reply] = []
    for line, _number in zip(lines, range(at_most), strict=False):
        reply = talk.command(line)
        if reply.closed:
            break
        answers.append(reply)
        if reply.code == 421:
            break
    return answers


def forever(*lines: str) -> Iterator[str]:
    while True:
        yield from lines


@check(
    "B-54",
    N_("A flood of commands is slowed down and cut: 20 errors, or 100 commands that do nothing and 20 more"),
    tier="slow",
    clauses=[rfc(5321, "3.8", "7.8"), "TUNING_README"],
    needs=["tls"],
    setting="postfix_main_cf_extra: smtpd_hard_error_limit, smtpd_junk_command_limit",
    remedy=APPLY,
)
def test_floods_of_commands(smtp: Smtp, site: Site) -> None:
    floods = {
        "FOO": HARD_ERRORS,
        "VRFY alice": HARD_ERRORS,
        "NOOP": JUNK_COMMANDS + HARD_ERRORS,
        "RSET": JUNK_COMMANDS + HARD_ERRORS,
    }

    def flood(line: str, family: str) -> tuple[str, int, list[Reply], float]:
        with smtp(family) as talk:
            talk.say_ehlo()
            begun = time.monotonic()
            answers = until_cut(talk, forever(line), 1000)
            talk.recorder.remark(_("cut after {count} commands").format(count=len(answers)))
            return f"{line} {family}", floods[line], answers, time.monotonic() - begun

    with ThreadPoolExecutor(len(floods) * 2) as pool:
        done = [pool.submit(flood, line, family) for line in floods for family in site.families]
        ends = [one.result() for one in done]
    for name, limit, answers, seconds in ends:
        # The command that is one too many is answered 421.
        assert limit <= len(answers) <= limit + 2, _("{name}: cut after {count} commands, not {limit}.").format(
            name=name, count=len(answers), limit=limit
        )
        answered(answers[-1], 421, enhanced="4.7.0")
        # From the eleventh error on each answer takes a second.
        assert seconds > HARD_ERRORS / 2 - 2, _("{name}: cut within {seconds:.1f} s, nothing slowed it down.").format(
            name=name, seconds=seconds
        )


@check(
    "B-54",
    N_("Messages that are begun and given up, a hundred and more, make nobody else wait"),
    needs=["tls"],
    clauses=[rfc(5321, "4.1.1.5"), "postconf(5): in_flow_delay"],
    setting="postfix_main_cf_extra: in_flow_delay",
    remedy=APPLY,
)
def test_messages_given_up(smtp: Smtp, sender: str, alice: Account) -> None:
    def seconds(talk: Session) -> float:
        """How long the first recipient of a message takes; the message is given up."""
        answered(talk.mail_from(sender), 250)
        begun = time.monotonic()
        answered(talk.rcpt_to(alice.address), 250)
        took = time.monotonic() - begun
        answered(talk.command("RSET"), 250)
        return took

    took: list[float] = []
    for _session in range(2):
        with smtp() as talk:
            talk.say_ehlo()
            for _message in range(GIVEN_UP // 2):
                took.append(seconds(talk))
                # The pause is a second for each; a busy machine is slow now and then.
                pause = min(took[-5:])
                assert pause < 0.9, _("After {count} messages each waits {seconds:.1f} s.").format(
                    count=len(took) - 5, seconds=pause
                )
            talk.command("QUIT")


@check(
    "B-57",
    N_("Who tries names is slowed down and cut after 20 that nobody has, on port 25 and after a login alike"),
    needs=["tls"],
    clauses=[rfc(5321, "7.3"), rfc(2505, "2.11")],
    setting="postfix_main_cf_extra: smtpd_hard_error_limit",
    remedy=APPLY,
)
def test_names_are_not_harvested(
    smtp: Smtp, submission: Callable[..., Session], site: Site, sender: str, alice: Account
) -> None:
    def guess(family: str, port: int) -> tuple[str, list[Reply], float]:
        talk = submission(alice, family, port=port) if port != 25 else smtp(family)
        with talk:
            if port == 25:
                talk.say_ehlo()
            answered(talk.mail_from(sender if port == 25 else alice.address), 250)
            begun = time.monotonic()
            lines = (f"RCPT TO:<guess-{number}@{site.domain}>" for number in range(200))
            answers = until_cut(talk, lines, 200)
            return f"{port} {family}", answers, time.monotonic() - begun

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(guess, family, port) for family in site.families for port in (25, 465)]
        ends = [one.result() for one in done]
    for name, answers, seconds in ends:
        codes = [reply.code for reply in answers]
        assert codes == [550] * HARD_ERRORS + [421], f"{name}: {codes}"
        assert len({reply.text.replace(reply.sent.partition(":")[2], "") for reply in answers[:-1]}) == 1, name
        assert seconds > HARD_ERRORS / 2 - 2, _("{name}: cut within {seconds:.1f} s, nothing slowed it down.").format(
            name=name, seconds=seconds
        )


@check(
    "B-56",
    N_("A login that sends to more recipients than it may in an hour is put off; others go on, what was taken arrives"),
    needs=["tls"],
    mutates=True,
    clauses=[rfc(6409, "3.3")],
    setting="postfix_login_recipients_per_hour",
    remedy=APPLY,
)
def test_recipients_of_one_login(
    submission: Callable[..., Session],
    imap: Callable[..., Any],
    host: Any,
    alice: Account,
    bob: Account,
    newcomer: Account,
) -> None:
    found = re.search(r"- +(\d+)\s+- +3600\b", host.run("cat /etc/policyd-rate-limit.yaml").stdout)
    assert found, _("The limiter has no limit for an hour.")
    limit, batch = int(found[1]), 100
    taken = []
    with submission(newcomer) as talk:
        for _number in range(limit // batch + 1):
            sent = message.new(newcomer.address, bob.address)
            answered(talk.mail_from(newcomer.address), 250)
            # Debian 12 asks the limiter at each RCPT; who goes on after a refusal is cut off for too many errors.
            replies = [talk.rcpt_to(bob.address)]
            while replies[-1].accepted and len(replies) < batch:
                replies.append(talk.rcpt_to(bob.address))
            if replies[-1].accepted:
                replies.append(talk.command("DATA"))
            if all(reply.accepted for reply in replies):
                answered(talk.data_content(sent.content), 250)
                taken.append(sent)
            else:
                answered(next(reply for reply in replies if not reply.accepted), 450, enhanced="4.7.1")
                answered(talk.command("RSET"), 250)
    assert len(taken) == limit // batch, _("{count} recipients were taken.").format(count=len(taken) * batch)
    with submission(alice) as talk:
        answered(talk.message(alice.address, [bob.address], message.new(alice.address, bob.address).content), 250)
    wait.until(lambda: not queued(host, [bob.address]), ARRIVAL_SECONDS, _("the queue to be empty"))
    with imap(bob) as box:
        for sent in taken:
            assert len(box.holding(sent.test_id)) == 1, sent.test_id
