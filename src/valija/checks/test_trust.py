"""Who may send to elsewhere without a login: programs on the host's loopback, and nobody else by any other door."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from valija.checks.expect import answered, refused
from valija.checks.host_state import queued
from valija.checks.mailbox import ARRIVAL_SECONDS, Mailbox
from valija.checks.marks import APPLY, check, rfc
from valija.checks.site import Account, Site
from valija.checks.ways import enter, ways
from valija.messages import N_, _
from valija.probes import message, wait, web
from valija.probes.peer import Peer
from valija.probes.routes import Loopback, ssh_command
from valija.probes.smtp import Reply, Session
from valija.probes.web import Browser

Smtp = Callable[..., Session]

CLOSED = N_("mynetworks must hold loopback alone and smtpd_relay_restrictions must end in reject_unauth_destination.")


@check(
    "B-16",
    N_("Only the host's loopback may send to elsewhere: its own public address may not"),
    clauses=[rfc(5321, "7.8")],
    vantage="loopback",
    setting="postfix_main_cf_extra: mynetworks",
    remedy=CLOSED,
)
def test_own_public_address_is_a_stranger(smtp: Smtp, site: Site, sender: str, elsewhere: str) -> None:
    own = Loopback(ssh_command(site.ssh))

    def ask(family: str) -> Reply:
        with smtp(family, route=own) as talk:
            talk.say_ehlo()
            answered(talk.mail_from(sender), 250)
            return talk.rcpt_to(elsewhere)

    with ThreadPoolExecutor(2) as pool:  # postscreen lets each of them wait for its greeting
        for reply in pool.map(ask, site.families):
            refused(reply)


@check(
    "B-16",
    N_("The host itself may send to elsewhere, by loopback"),
    clauses=[rfc(5321, "3.6.2")],
    vantage="loopback",
    setting="postfix_main_cf_extra: mynetworks",
    remedy=CLOSED,
)
def test_loopback_may_send(smtp: Smtp, site: Site, sender: str, elsewhere: str) -> None:
    with smtp(vantage="loopback") as talk:
        talk.say_ehlo()
        answered(talk.mail_from(sender), 250)
        answered(talk.rcpt_to(elsewhere), 250)
        answered(talk.command("RSET"), 250)


@check(
    "B-16",
    N_("The host's own link-local address is a stranger's too"),
    clauses=[rfc(4291, "2.5.6")],
    vantage="host",
    setting="postfix_main_cf_extra: mynetworks",
    remedy=CLOSED,
)
def test_link_local_address_is_a_stranger(host: Any, site: Site, sender: str, elsewhere: str) -> None:
    if "ipv6" not in site.families:
        pytest.skip(_("one IP protocol: this site listens on {family} alone").format(family=site.families[0]))
    listed = host.run("ip -6 -o addr show scope link").stdout.split()
    if "inet6" not in listed:
        pytest.skip(_("no link-local address: the host has none"))
    address, interface = listed[listed.index("inet6") + 1].partition("/")[0], listed[1]
    lines = ["EHLO probe.invalid", f"MAIL FROM:<{sender}>", f"RCPT TO:<{elsewhere}>", "QUIT"]
    said = host.run("python3 -c %s %s %s", TALK, f"{address}%{interface}", "\n".join(lines)).stdout.splitlines()
    assert len(said) == len(lines) + 1 and said[0].startswith("220 "), said
    assert said[3].startswith("554 5.7.1"), _("{address} was answered {reply!r}.").format(
        address=address, reply=said[3]
    )


# A conversation by a program on the host: ssh forwards to no address with a zone. Prints the last line of each reply.
TALK = """
import socket, sys
talk = socket.create_connection((sys.argv[1], 25), 30).makefile("rw", newline="\\r\\n")
for line in [None, *sys.argv[2].split("\\n")]:
    if line is not None:
        talk.write(line + "\\n")
        talk.flush()
    reply = talk.readline()
    while reply[3:4] == "-":
        reply = talk.readline()
    print(reply.strip())
"""


@check(
    "B-17",
    N_("A submission port takes nothing before the login: not for elsewhere, not for a mailbox here, not before TLS"),
    needs=["tls"],
    clauses=[rfc(6409, "4.3")],
    setting="postfix_master_cf_extra: submission, submissions",
    remedy=APPLY,
)
def test_submission_needs_a_login(
    smtp: Smtp, site: Site, tls_context: Any, sender: str, elsewhere: str, alice: Account, family: str
) -> None:
    asked = [way for way in ways(site) if way.port != 25]
    assert {way.port for way in asked} == {465, 587}, asked
    for way in asked:
        for reverse_path in (sender, alice.address):
            with enter(smtp, way, family, None, tls_context) as talk:
                first = talk.mail_from(reverse_path)
                answered(first, 250, 530, 553, 554)
                for address in (elsewhere, alice.address):
                    refused(talk.rcpt_to(address))
                refused(talk.command("DATA"))
    with smtp(family, port=587) as talk:
        talk.say_ehlo()
        answered(talk.mail_from(alice.address), 530, enhanced="5.7.0")


@check(
    "B-18",
    N_("The webmail sends nothing for who is not logged in"),
    vantage="client",
    needs=["webmail"],
    clauses=["CWE-306"],
    remedy=N_("Run `valija apply --tags squirrelmail,roundcube,apache`."),
)
def test_webmail_sends_nothing_for_a_stranger(
    browser: Callable[..., Browser], site: Site, host: Any, alice: Account, elsewhere: str, sender: str
) -> None:
    before = Peer(site.peer.api).last_seq() if site.peer else 0
    subject = message.new(sender, elsewhere).test_id
    fields = {
        "squirrelmail": {"send_to": elsewhere, "subject": subject, "body": "x", "send": "1", "username": alice.name},
        "roundcube": {"_to": elsewhere, "_from": "1", "_subject": subject, "_message": "x", "_task": "mail"},
    }[site.webmail]
    path = {"squirrelmail": "/webmail/src/compose.php", "roundcube": "/webmail/?_task=mail&_action=send"}[site.webmail]
    password = {"squirrelmail": "secretkey", "roundcube": "_pass"}[site.webmail]
    visitor = browser()
    for answer in (visitor.post(path, fields), visitor.get(f"{path}{'&' if '?' in path else '?'}send_to={elsewhere}")):
        compose = [form for form in web.forms(answer) if {"send_to", "_to"} & set(form.fields)]
        assert not compose, _("{url} shows a compose form to a stranger.").format(url=answer.url)
        login = any(password in form.fields for form in web.forms(answer))
        assert login or answer.status in (401, 403) or b"login" in answer.body.lower(), answer.status
    wait.until(lambda: not queued(host, [elsewhere]), ARRIVAL_SECONDS, _("the queue to be without the message"))
    leaked = Peer(site.peer.api).holding(subject, before) if site.peer else []
    assert not leaked, _("The webmail sent a stranger's message.")


@check(
    "B-19",
    N_("A recipient is never a program or a file: nothing is run, nothing is written, nothing is read in"),
    mutates=True,
    clauses=[rfc(5321, "7.8"), "local(8): allow_mail_to_commands, allow_mail_to_files"],
    setting="postfix_main_cf_extra: allow_mail_to_commands, allow_mail_to_files",
    remedy=APPLY,
)
def test_a_recipient_is_never_a_program_or_a_file(
    smtp: Smtp, mailbox: Mailbox, host: Any, site: Site, sender: str, alice: Account, elsewhere: str
) -> None:
    place = f"/var/tmp/{elsewhere.partition('@')[0]}"
    mine = [f'"{alice.name}+|touch {place}"', f'"{alice.name}+:include:/etc/passwd"', f'"{alice.name}+{place}"']
    nobodys = [f'"|touch {place}"', '":include:/etc/passwd"', f'"{place}"', place, ":include:/etc/passwd", "|sh"]
    with smtp() as talk:
        talk.say_ehlo()
        answered(talk.mail_from(sender), 250)
        for local in nobodys:
            refused(talk.rcpt_to(f"{local}@{site.domain}"))
    sent = message.new(sender, alice.address)
    with smtp() as talk:
        talk.say_ehlo()
        answered(talk.mail_from(sender), 250)
        taken = [talk.rcpt_to(f"{local}@{site.domain}").accepted for local in mine]
        answered(talk.rcpt_to(alice.address), 250)
        answered(talk.command("DATA"), 354)
        answered(talk.data_content(sent.content), 250)
    mailbox.arrived(sent)
    wait.until(lambda: not queued(host, [alice.address, alice.name]), ARRIVAL_SECONDS, _("the queue to be empty"))
    copies = len(mailbox.copies(sent))
    assert 1 <= copies <= 1 + sum(taken), copies
    made = host.run("ls -d %s", place).stdout.strip()
    assert not made, _("A recipient wrote {path}.").format(path=made)
