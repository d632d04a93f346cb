"""What strangers and programs say stays what it is: no line of theirs gets into headers, logs or files."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from valija.checks import injections
from valija.checks.expect import answered
from valija.checks.host_state import queued
from valija.checks.mailbox import ARRIVAL_SECONDS, Mailbox
from valija.checks.marks import APPLY, check, rfc
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import message, wait
from valija.probes.message import Message
from valija.probes.peer import Peer
from valija.probes.smtp import Session

# A server that has more to say says it well within this time.
MORE_SECONDS = 0.2


def say(talk: Session, line: bytes) -> None:
    """Send a line that may be several to the server, and read all that it answers; it may hang up."""
    try:
        talk.raw_bytes(line + b"\r\n")
    except OSError:
        return
    while not talk.read_reply().closed and talk.answers_within(MORE_SECONDS):
        pass


@check(
    "B-34",
    N_("Nothing in HELO, MAIL or RCPT becomes a line of its own in the headers or in the log"),
    mutates=True,
    clauses=[rfc(5321, "2.3.8", "4.1.2"), rfc(3461, "4"), "CWE-93"],
    remedy=APPLY,
)
def test_no_line_is_injected(
    smtp: Callable[..., Session],
    imap: Callable[..., Any],
    mailbox: Mailbox,
    host: Any,
    site: Site,
    sender: str,
    alice: Account,
    run_began: str,
    main_family: str,
) -> None:
    values = {"sender": sender, "alice": alice.address, "name": alice.name, "domain": site.domain}
    tries = [(injections.commands(one, values), message.new(sender, alice.address)) for one in injections.ATTEMPTS]

    def attempt(one: tuple[dict[str, bytes], Message]) -> None:
        lines, sent = one
        with smtp(main_family) as talk:
            for line in lines.values():
                say(talk, line)
            # What was refused is said again as it should be, so that a message may carry what was kept of the attempt.
            if talk.command("DATA").code != 354:
                talk.command("RSET")
                if not talk.message(sender, [alice.address], sent.content).accepted:
                    return
            else:
                talk.data_content(sent.content)
            talk.command("QUIT")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(attempt, tries))
    last = message.new(sender, alice.address)
    with smtp(main_family) as talk:
        talk.say_ehlo()
        answered(talk.message(sender, [alice.address], last.content), 250)
    mailbox.arrived(last)
    wait.until(lambda: not queued(host, [sender, alice.address]), ARRIVAL_SECONDS, _("the queue to be empty"))
    ids = [sent.test_id for _lines, sent in tries]
    wrong = []
    with imap() as box:
        arrived = [(id, copy) for id in ids for copy in box.holding(id)]
    for id, copy in arrived:
        head = message.trace_part(copy, id)
        if injections.evil_lines(head) or b"\r" in head.replace(b"\r\n", b""):
            wrong.append(_("a header was injected: {head!r}").format(head=head))
    assert len(arrived) >= len(tries) // 2, _("Of {count} messages only {arrived} arrived.").format(
        count=len(tries), arrived=len(arrived)
    )
    log = host.run("journalctl SYSLOG_FACILITY=2 -o cat --since=@%s", run_began).stdout
    wrong += [
        _("a line of the log was injected: {line!r}").format(line=line) for line in injections.evil_lines(log.encode())
    ]
    assert not wrong, "\n".join(wrong)


# Runs in the webmail's own PHP processes (FastCGI, RECORD types 1, 4, 5); prints what the script printed.
FASTCGI = """
import socket, struct, sys
path, script = sys.argv[1:]
talk = socket.socket(socket.AF_UNIX)
talk.connect(path)
def record(kind, data):
    talk.sendall(struct.pack(">BBHHBB", 1, kind, 1, len(data), 0, 0) + data)
def pair(name, value):
    return bytes([len(name), len(value)]) + name.encode() + value.encode()
record(1, struct.pack(">HB5x", 1, 0))
record(4, pair("SCRIPT_FILENAME", script) + pair("REQUEST_METHOD", "GET"))
record(4, b"")
record(5, b"")
said = b""
with talk.makefile("rb") as stream:
    while head := stream.read(8):
        _version, kind, _id, length, padding, _reserved = struct.unpack(">BBHHBB", head)
        data = stream.read(length + padding)[:length]
        said += data if kind in (6, 7) else b""
print(said.decode("utf-8", "replace"))
"""

# CVE-2017-7692 and the CVE-2016-10033 class: parameters of sendmail, and lines of the header, through mail().
MAIL = """<?php
try {{ var_dump(mail("{to}", "x", "x", "From: a@b\\r\\nX-Evil: 1", "-f a@b -X{place} -oQ/tmp")); }}
catch (Error $error) {{ echo $error->getMessage(); }}
"""


@check(
    "B-70",
    N_("A script in the webmail's PHP sends nothing by mail(): no message leaves and no file is written"),
    vantage="host",
    mutates=True,
    needs=["webmail"],
    clauses=["CVE-2017-7692", "CVE-2016-10033", "CWE-88"],
    setting="squirrelmail_*, roundcube_*",
    remedy=N_(
        "Run `valija apply --tags squirrelmail,roundcube`: disable_functions of the webmail's PHP pool names mail."
    ),
)
def test_the_webmail_s_php_has_no_mail_function(host: Any, site: Site, elsewhere: str) -> None:
    since = Peer(site.peer.api).last_seq() if site.peer else 0
    found = host.run(
        "grep -hE '^(listen|php_admin_value.upload_tmp_dir.) *=' /etc/php/*/fpm/pool.d/valija-webmail.conf"
    )
    pool = dict(line.replace(" ", "").split("=", 1) for line in found.stdout.splitlines())
    folder = pool.get("php_admin_value[upload_tmp_dir]", "")
    assert "listen" in pool and folder, found.stdout + found.stderr
    script, place = f"{folder}/{elsewhere.partition('@')[0]}.php", f"{folder}/{elsewhere.partition('@')[0]}.log"
    text = MAIL.format(to=elsewhere, place=place)
    try:
        made = host.run("printf %s %s > %s && chmod 0644 %s", "%s", text, script, script)
        assert made.rc == 0, made.stderr
        said = host.run("python3 -c %s %s %s", FASTCGI, pool["listen"], script).stdout
        written = host.run("ls %s", place).stdout.strip()
    finally:
        host.run("rm -f %s %s", script, place)
    assert not written, _("mail() wrote {path}.").format(path=written)
    assert "undefined function mail" in said, _("mail() is there: {said}").format(said=said)
    assert not queued(host, [elsewhere])
    if site.peer:
        assert not [one for one in Peer(site.peer.api).messages(since) if elsewhere in one.rcpt_to]
