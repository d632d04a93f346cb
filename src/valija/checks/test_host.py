"""The host itself: what runs, what listens, what the files and the log say."""

from __future__ import annotations

import json
import re
import socket as sockets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import postfix

from valija.checks.expect import answered
from valija.checks.host_state import listening, queued
from valija.checks.mailbox import ARRIVAL_SECONDS
from valija.checks.marks import check
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import message, wait
from valija.probes.routes import Route
from valija.probes.smtp import Session

# The units of each role that declares a listener, besides which PHP's serves the webmail.
UNITS = {
    "postfix": ["postfix.service"],
    "courier": ["courier-authdaemon.service", "courier-imap.service", "courier-pop.service"],
    "apache": ["apache2.service"],
}
# Those that come with a certificate, with bans and with the firewall.
TLS_UNITS = {
    "postfix": ["policyd-rate-limit.service", "valija-rate-limit-clean.timer"],
    "courier": ["courier-imap-ssl.service", "courier-pop-ssl.service"],
}
TLS_SOURCE_UNITS = {"selfsigned": ["valija-certificate.timer"], "acme": ["certbot.timer"]}
SWITCHED_UNITS = {"mail_bans": ["fail2ban.service"], "mail_firewall": ["valija-firewall.service"]}

# What may listen beside the declared: by program, and where. ss names no program for what a container's engine holds.
ALLOWED = {
    ("tcp", "sshd"): "any",
    ("tcp", "systemd"): "any",  # a socket unit of sshd
    ("tcp", "systemd-resolve"): "loopback",
    ("udp", "systemd-resolve"): "loopback",
    ("udp", "systemd-network"): "any",  # DHCP client
    ("udp", "dhclient"): "any",
    ("udp", "systemd-timesyn"): "any",
    ("udp", "chronyd"): "loopback",
    ("udp", "ntpd"): "any",
}
CONTAINER_RESOLVER = "127.0.0.11"

# Ports that a mail or web host opens by accident, looked at from outside; the declared ones are left out.
SCANNED = (
    *(21, 23, 24, 25, 26, 53, 79, 80, 81, 106, 110, 111, 113, 119, 135, 139, 143, 158, 209, 220, 389, 443, 445, 465),
    *(512, 513, 514, 515, 548, 587, 628, 631, 636, 783, 873, 953, 993, 995, 1080, 2000, 2003, 2049, 2525, 3128, 3306),
    *(
        4190,
        4949,
        5432,
        6379,
        8000,
        8008,
        8080,
        8081,
        8443,
        8888,
        8891,
        9000,
        9993,
        10024,
        10025,
        10026,
        10587,
        11211,
        11332,
    ),
)

LOG_ALLOWED = Path(__file__).with_name("log_allowed.json")
LOG_TROUBLE = re.compile(r"\b(warning|error|fatal|panic)\b", re.I)

# What nobody may read, looked for as nobody: a closed folder protects what is in it. The kept copy of a file must be as
# closed as the file; Valija's own state tells of everything that it wrote.
AS_NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups"
READABLE_SECRETS = r"""
exec 2>/dev/null
[ -e /etc/shadow ] && [ "$(id -u)" = 65534 ] && echo looked
find /etc/shadow* /etc/gshadow* /etc/postfix/sasl_passwd* /etc/courier/userdb* /etc/courier/authmysqlrc* \
  /etc/courier/authldaprc* /etc/courier/authpgsqlrc* /etc/squirrelmail/*.php* /etc/roundcube/config.inc.php* \
  /etc/roundcube/debian-db.php* /etc/roundcube/valija-key* \
  /var/lib/valija/owned /var/lib/valija/rollback -type f -readable
find /etc /usr/local/etc /usr/local/share -xdev -name '*.before-valija' -readable | while read -r kept; do
  file=${kept%.before-valija}
  if [ -e "$file" ] && ! [ -r "$file" ]; then echo "$kept"; fi
done
find /etc /usr/local/etc /var/lib -xdev -type f -readable -size -64k \
  \( -name '*.key' -o -name '*.pem' -o -name '*_key' \) -exec grep -lE -- '-----BEGIN [A-Z ]*PRIVATE KEY-----' {} +
"""


@check(
    "T-3",
    N_("The services are active and start with the host"),
    step=3,
    tier="quick",
    vantage="host",
    remedy=N_("Run `valija apply`; then look at `systemctl status` of the unit on the host."),
)
def test_services_are_active_and_enabled(host: Any, site: Site) -> None:
    roles = sorted({listener.role for listener in site.listens})
    units = [unit for role in roles for unit in UNITS.get(role, [])]
    if site.tls:
        units += [unit for role in roles for unit in TLS_UNITS.get(role, [])]
        units += TLS_SOURCE_UNITS.get(site.tls.source, [])
    units += [unit for name, these in SWITCHED_UNITS.items() if site.mail.get(name) for unit in these]
    if site.webmail != "none":
        found = host.run("systemctl list-unit-files --plain --no-legend 'php*-fpm.service'").stdout.split()
        units += [word for word in found if word.endswith("-fpm.service")][:1] or ["php-fpm.service"]
    active = host.run("systemctl is-active " + " ".join(units)).stdout.split()
    enabled = host.run("systemctl is-enabled " + " ".join(units)).stdout.split()
    wrong = [
        f"{unit}: {now}, {boot}"
        for unit, now, boot in zip(units, active, enabled, strict=True)
        if (now, boot) != ("active", "enabled")
    ]
    assert units and not wrong, ", ".join(wrong)


@check(
    "F-67",
    N_("What listens on the host is what the roles declare, and nothing more"),
    tier="quick",
    vantage="host",
    remedy=N_("Stop and disable what holds the port, or find out which package brought it: `ss -ltnup` on the host."),
)
def test_listeners_are_the_declared(host: Any, site: Site) -> None:
    declared = {(listener.protocol, listener.port): listener for listener in site.listens}
    open_now = listening(host)
    surplus = []
    for socket in open_now:
        listener = declared.get((socket.protocol, socket.port))
        allowed = listener.address if listener else ALLOWED.get((socket.protocol, socket.program.partition(":")[0]), "")
        if socket.address == CONTAINER_RESOLVER:
            allowed = "loopback"
        wrong_protocol = listener and site.protocols == "ipv4" and ":" in socket.address
        if (not socket.loopback and (allowed != "any" or wrong_protocol)) or (socket.loopback and not allowed):
            surplus.append(str(socket))
    assert not surplus, _("These listen and are not declared: {sockets}").format(sockets="; ".join(surplus))
    have = {(socket.protocol, socket.port) for socket in open_now}
    missing = [f"{listener.service} ({listener.port})" for key, listener in declared.items() if key not in have]
    assert not missing, _("These are declared and nobody listens: {names}").format(names=", ".join(missing))


@check(
    "F-67",
    N_("From outside, none of the well-known ports answers but the declared ones"),
    remedy=N_("Something between the checks and the host, or on it, answers: compare `ss -ltnup` on the host."),
)
def test_no_other_port_answers(site: Site, connect: Callable[..., Any], family: str) -> None:
    declared = {listener.port for listener in site.listens if listener.address == "any" and listener.protocol == "tcp"}
    address = site.addresses[family]

    def reach(host: str, port: int, *, route: Route) -> sockets.socket:
        return route.connect(host, port, 5)

    for port in declared:  # silence means something only where an open port is heard
        connect(reach, port, family).close()
    declared |= {int(site.ssh.get("port") or 22)}

    def answers(port: int) -> bool:
        try:
            with sockets.create_connection((address, port), timeout=2):
                return True
        except OSError:
            return False

    ports = [port for port in SCANNED if port not in declared]
    with ThreadPoolExecutor(32) as pool:
        found = [port for port, open_now in zip(ports, pool.map(answers, ports), strict=True) if open_now]
    assert not found, _("These ports answer: {ports}").format(ports=", ".join(map(str, found)))


@check(
    "T-3",
    N_("main.cf and master.cf on the host are what was written, and Postfix reads them so"),
    step=3,
    vantage="host",
    setting="postfix_main_cf_extra, postfix_master_cf_extra",
    remedy=N_("Somebody has changed the file on the host: run `valija plan` to see it, `valija apply` to put it back."),
)
@pytest.mark.parametrize("name", ["main.cf", "master.cf"])
def test_postfix_files_are_ours(host: Any, site: Site, name: str) -> None:
    path = f"/etc/postfix/{name}"
    wanted = site.files.get(path)
    if wanted is None:
        pytest.skip(_("no file to compare with: the site file does not carry {path}").format(path=path))
    parse: Callable[[str], Any] = postfix.parse_main_cf if name == "main.cf" else postfix.parse_master_cf
    found = host.run("cat %s", path).stdout
    assert parse(found) == parse(wanted), difference(parse(wanted), parse(found))
    assert found.splitlines()[0] == wanted.splitlines()[0], _("{path} has lost its header.").format(path=path)
    read = host.run("postconf -n" if name == "main.cf" else "postconf -M")
    assert not read.stderr.strip(), read.stderr
    known = set(parse(found)) if name == "main.cf" else {tuple(key.split("/")) for key in parse(found)}
    said = {
        line.partition(" =")[0].strip() if name == "main.cf" else tuple(line.split()[:2])
        for line in read.stdout.splitlines()
        if " " in line
    }
    assert said == known, sorted(map(str, said ^ known))


def difference(wanted: dict[str, Any], found: dict[str, Any]) -> str:
    """Which settings differ, one a line."""
    return "\n".join(
        f"{key}: wanted {wanted.get(key, '(nothing)')!r}, found {found.get(key, '(nothing)')!r}"
        for key in sorted({*wanted, *found})
        if wanted.get(key) != found.get(key)
    )


@check(
    "T-9",
    N_("The sandbox of systemd is real on this host: a unit that may not write /usr cannot"),
    vantage="host",
    remedy=N_("A container needs the capability SYS_ADMIN for it; without it the units' protections are void."),
)
def test_sandbox_is_real(host: Any) -> None:
    touch = "systemd-run --quiet --collect --wait --pipe -p ProtectSystem=strict touch /usr/valija-probe"
    try:
        said = host.run(touch)
        assert said.rc != 0, _("touch /usr/valija-probe succeeded inside ProtectSystem=strict.")
        assert "read-only" in said.stderr.lower(), said.stderr
    finally:
        host.run("rm -f /usr/valija-probe")


@check(
    "T-9",
    N_("No secret is readable by everybody on the host"),
    vantage="host",
    tier="quick",
    remedy=N_("chmod o-r the file, and find out who wrote it; what was readable is to be changed."),
)
def test_no_secret_is_world_readable(host: Any) -> None:
    looked = host.run(AS_NOBODY + " sh -c %s", READABLE_SECRETS)
    assert looked.stdout.startswith("looked\n"), looked.stderr or _("Nothing could be looked at as nobody.")
    found = looked.stdout.split()[1:]
    assert not found, _("Readable by everybody: {paths}").format(paths=", ".join(found))


@check(
    "T-10",
    N_("The mail log of the run has no warning, error, fatal or panic but the known ones"),
    tier="quick",
    vantage="host",
    mutates=True,
    last=True,
    remedy=N_("Read the line; if it is right for what the checks did, add it to log_allowed.json with its reason."),
)
def test_log_has_no_trouble(smtp: Callable[..., Session], host: Any, run_began: str, alice: Account) -> None:
    allowed = [re.compile(row["pattern"]) for row in json.loads(LOG_ALLOWED.read_text("utf-8"))["lines"]]
    sent = message.new(alice.address, alice.address)
    with smtp(vantage="loopback") as talk:
        talk.say_ehlo()
        done = answered(talk.message(alice.address, [alice.address], sent.content), 250)
    queue_id = done.text.rpartition(" ")[2]

    def log() -> list[str]:
        """The mail log of the run, once it tells that the message just sent has left the queue."""
        said = host.run(f"journalctl SYSLOG_FACILITY=2 --since=@{run_began} --no-pager -o short-iso")
        assert said.rc == 0, said.stderr
        lines: list[str] = said.stdout.splitlines()
        return lines if any(line.endswith(f" {queue_id}: removed") for line in lines) else []

    lines = wait.until(log, ARRIVAL_SECONDS, _("the message {id} in the journal of the host").format(id=queue_id))
    trouble = [line for line in lines if LOG_TROUBLE.search(line) and not any(one.search(line) for one in allowed)]
    assert not trouble, "\n".join(trouble[:20])


@check(
    "T-10",
    N_("The checks leave nothing of theirs in the queue"),
    tier="quick",
    vantage="host",
    last=True,
    setting="mail_relayhost",
    remedy=N_("`postqueue -j` names the message and why it waits."),
)
def test_queue_is_empty(host: Any, our_addresses: list[str]) -> None:
    try:
        wait.until(lambda: not queued(host, our_addresses), ARRIVAL_SECONDS, _("the queue to be empty"))
    except wait.TooLateError as error:
        left = [f"{entry['queue_id']} {entry['sender']} {entry['recipients']}" for entry in queued(host, our_addresses)]
        raise AssertionError("\n".join([str(error), *left])) from error
