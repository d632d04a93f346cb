"""The certificate of the mail services: where it comes from, how it is renewed, and how a broken one is refused."""

from __future__ import annotations

import imaplib
import json
import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest

from valija.lab import Lab
from valija.lab.peer import acme
from valija.probes import wait

from .certificates import Pair, make, served
from .conftest import LabSite, summary_of

LIBRARY = "/usr/local/lib/valija/certificate"
ROOT = Path("/usr/local/share/ca-certificates/valija-lab.crt")


@dataclass(frozen=True)
class Certified:
    """A converged lab host, and how it is reached as the world reaches it."""

    site: LabSite
    address: str
    hostname: str
    domain: str
    password: str

    @property
    def root(self) -> str:
        """The root as it was put beside the inventory for the people's mail programs."""
        return (self.site.path / "certificates" / f"{self.site.host.name}.pem").read_text()

    def sh(self, line: str, *, check: bool = True, stdin: bytes | None = None) -> str:
        return self.site.host.sh(line, check=check, stdin=stdin)

    def serial(self) -> str:
        """The serial number of the certificate that the file holds."""
        return self.sh("openssl x509 -noout -serial -in /etc/valija/tls/mail.pem").removeprefix("serial=")

    def apply(self, settings: dict[str, object] | None = None, *arguments: str) -> str:
        run = self.site.valija("apply", "-e", json.dumps(settings or {}), *arguments)
        assert run.code == 0, run.output
        return run.output

    def place(self, name: str, text: str) -> str:
        """Write a file beside the inventory; its path as a setting names it."""
        path = self.site.path / "certificates" / name
        path.write_text(text)
        return f"certificates/{name}"

    def files(self, pair: Pair, key: str | None = None) -> dict[str, object]:
        """The settings for a certificate of files."""
        return {
            "mail_tls_source": "files",
            "mail_tls_certificate_file": self.place("site.crt", pair.certificate),
            "mail_tls_key_file": self.place("site.key", key or pair.key),
        }


@pytest.fixture(scope="module")
def certified(converged: LabSite) -> Certified:
    lab = Lab.load(converged.name)
    (host,) = lab.hosts
    return Certified(converged, host.ipv4, host.hostname, host.domain, lab.passwords["alice"])


@pytest.fixture
def selfsigned(certified: Certified) -> Certified:
    """With a certificate of the site's own, whatever an earlier test has left."""
    if '"selfsigned"' not in certified.sh("cat /etc/valija/tls/settings.json"):
        certified.apply({}, "--tags", "tls")
    return certified


def test_every_port_serves_the_certificate_that_the_exported_root_verifies(selfsigned: Certified) -> None:
    everywhere = served(selfsigned.address, selfsigned.hostname, selfsigned.root)
    assert set(everywhere.values()) == {selfsigned.serial()}
    assert selfsigned.root == selfsigned.sh("cat /etc/valija/tls/ca.pem") + "\n"


def test_keys_are_for_root_and_the_daemons_group_alone(selfsigned: Certified) -> None:
    modes = selfsigned.sh("cd /etc/valija/tls; stat -c '%U:%G %a %n' mail.pem ca.pem private private/ca.key")
    assert modes.splitlines() == [
        "root:courier 640 mail.pem",
        "root:root 644 ca.pem",
        "root:root 700 private",
        "root:root 600 private/ca.key",
    ]
    secret = selfsigned.sh("sed -n 2p /etc/valija/tls/private/ca.key; sed -n 2p /etc/valija/tls/mail.pem").split()
    elsewhere = "grep -rlF -e {} -e {} /etc /run /tmp /var/lib /var/tmp /usr/local 2>/dev/null; true"
    found = selfsigned.sh(elsewhere.format(*secret)).splitlines()
    assert sorted(found) == ["/etc/valija/tls/mail.pem", "/etc/valija/tls/private/ca.key"]


def test_the_hosts_own_timer_renews_and_no_open_session_is_lost(selfsigned: Certified) -> None:
    """The present certificate is made to end in 17 days; the timer's unit, with its sandbox, does the rest."""
    age = (
        f"import sys, time; sys.path.insert(0, '{LIBRARY}')\n"
        "from ansible_collections.valija.mailserver.plugins.module_utils import certificate, certificates\n"
        "store = certificates.Store(certificates.load_settings())\n"
        "now = time.time()\n"
        "store.deliver(certificate.pem_of(store.authority.issue(store.settings.names, now - 348 * 86400)), now)\n"
        "store.reload()\n"
    )
    selfsigned.sh("python3 -B -", stdin=age.encode())
    old = selfsigned.serial()
    assert set(served(selfsigned.address, selfsigned.hostname, selfsigned.root).values()) == {old}
    context = ssl.create_default_context(cadata=selfsigned.root)
    starts = selfsigned.site.host.starts()
    address = f"alice@{selfsigned.domain}"
    with smtplib.SMTP(selfsigned.address, 587, timeout=60) as talk:
        talk._host = selfsigned.hostname  # type: ignore[attr-defined]
        talk.starttls(context=context)
        talk.login("alice", selfsigned.password)
        talk.mail(address)
        talk.rcpt(address)
        selfsigned.sh("systemctl start valija-certificate.service")
        code, words = talk.data(b"Subject: across the renewal\r\nMessage-ID: <across@client.test>\r\n\r\nhello\r\n")
    assert code == 250, words
    new = selfsigned.serial()
    assert new != old
    assert set(served(selfsigned.address, selfsigned.hostname, selfsigned.root).values()) == {new}
    assert selfsigned.site.host.starts() == starts, "a daemon was restarted, where a reload is enough"
    assert "it ends on" in selfsigned.sh("journalctl --no-pager -u valija-certificate.service")
    wait.until(lambda: selfsigned.sh("grep -rlF across@client.test /home/alice/Maildir; true"), within=30)


def test_an_imap_session_outlives_a_renewal(selfsigned: Certified) -> None:
    context = ssl.create_default_context(cadata=selfsigned.root)
    context.check_hostname = False  # reached by its address
    with imaplib.IMAP4_SSL(selfsigned.address, 993, ssl_context=context, timeout=30) as talk:
        talk.login("alice", selfsigned.password)
        selfsigned.sh("valija-certificate renew --force")
        assert talk.select("INBOX")[0] == "OK"


def broken(name: str) -> dict[str, tuple[str, str, str]]:
    """Certificates that nobody may be given: certificate, key, and what the refusal says."""
    good, other = make(name), make(name)
    cut = good.certificate[: len(good.certificate) // 2]
    return {
        "cut short": (cut, good.key, "cut short"),
        "key cut short": (good.certificate, good.key[: len(good.key) // 2], "cut short"),
        "not a certificate": ("hello\n", good.key, "no certificate"),
        "wrong key": (good.certificate, other.key, "the private key of another certificate"),
        "key with a passphrase": (*_pair(make(name, passphrase="secret")), "passphrase"),
        "other names": (*_pair(make("www.elsewhere.test")), f"not for {name}"),
        "expired": (*_pair(make(name, begins_days=-90, ends_days=-1)), "expired on"),
        "of tomorrow": (*_pair(make(name, begins_days=1)), "not valid before"),
        "chain of somebody else": (good.certificate + other.certificate, good.key, "chain that does not verify"),
    }


def _pair(pair: Pair) -> tuple[str, str]:
    return pair.certificate, pair.key


@pytest.mark.parametrize("fault", list(broken("mail.example.test")))
def test_a_broken_certificate_is_refused_and_the_one_before_stays(selfsigned: Certified, fault: str) -> None:
    certificate, key, reason = broken(selfsigned.hostname)[fault]
    before = selfsigned.sh("stat -c '%i %Z' /etc/valija/tls/mail.pem; sha256sum /etc/valija/tls/mail.pem")
    selfsigned.sh("umask 077; cat >/run/new.crt", stdin=certificate.encode())
    selfsigned.sh("umask 077; cat >/run/new.key", stdin=key.encode())
    said = selfsigned.sh("valija-certificate deliver /run/new.crt /run/new.key 2>&1; echo code $?; rm /run/new.*")
    assert reason in said
    assert said.endswith("code 1")
    assert selfsigned.sh("stat -c '%i %Z' /etc/valija/tls/mail.pem; sha256sum /etc/valija/tls/mail.pem") == before
    assert reason in selfsigned.sh("journalctl --no-pager -q -t valija-certificate -n 1")


def test_a_renewal_that_was_refused_leaves_every_port_with_the_one_before(selfsigned: Certified) -> None:
    serial = selfsigned.serial()
    selfsigned.sh("valija-certificate deliver /etc/hosts /etc/hostname 2>/dev/null; true")
    assert set(served(selfsigned.address, selfsigned.hostname, selfsigned.root).values()) == {serial}


@pytest.mark.parametrize("fault", ["wrong key", "expired"])
def test_files_that_are_not_good_are_refused_before_any_host_is_touched(certified: Certified, fault: str) -> None:
    certificate, key, reason = broken(certified.hostname)[fault]
    settings = certified.files(Pair(certificate, key))
    certified.site.host.mark()
    run = certified.site.valija("apply", "-e", json.dumps(settings))
    assert run.code == 2, run.output
    assert reason in run.output
    assert "certificates/site." in run.output
    assert "Nothing was touched" in run.output
    assert certified.site.host.touched() == []


def test_files_of_the_control_node_reach_every_port_and_their_key_no_log(certified: Certified) -> None:
    pair = make(certified.hostname, "imap.example.test")
    certified.sh("journalctl --rotate -q; journalctl --vacuum-time=1s -q")
    planned = certified.site.valija("plan", "-e", json.dumps(certified.files(pair)), "--tags", "tls", "-vvv")
    assert planned.code == 0, planned.output
    said = planned.output + certified.apply(certified.files(pair), "--tags", "tls", "-vvv")
    assert "the files differ" in planned.output
    assert set(served(certified.address, certified.hostname, pair.certificate).values()) == {pair.serial}
    journal = certified.sh("journalctl --no-pager -q")
    for line in pair.key_lines:
        assert line not in said
        assert line not in journal
    again = certified.site.valija("apply", "-e", json.dumps(certified.files(pair)), "--tags", "tls", "--json")
    summary = summary_of(again)
    assert (summary["changed"], list(summary["remote_calls"].values())) == (0, [3]), again.output


# From an ACME CA, the peer's pebble.


def acme_settings(certified: Certified, **more: object) -> dict[str, object]:
    peer = Lab.load(certified.site.name).place.directory / "peer"
    return {
        "mail_tls_source": "acme",
        "mail_tls_acme_directory": acme.DIRECTORY,
        "mail_tls_acme_ca_file": certified.place("acme-server.crt", (peer / "ca.pem").read_text()),
        **more,
    }


@pytest.fixture(scope="module")
def issued(certified: Certified) -> Iterator[Certified]:
    """With a certificate of pebble, whose own address only mail_tls_acme_ca_file vouches for."""
    certified.sh(f"mv {ROOT} /root/lab.crt; update-ca-certificates --fresh >/dev/null")
    certified.apply(acme_settings(certified))
    yield certified
    certified.sh(f"mv /root/lab.crt {ROOT}; update-ca-certificates --fresh >/dev/null")


@pytest.fixture
def by_http(issued: Certified) -> Certified:
    """The same, by http-01, whatever an earlier test has left."""
    if '"http-01"' not in issued.sh("cat /etc/valija/tls/settings.json"):
        issued.apply(acme_settings(issued))
    return issued


def pebble_root(certified: Certified) -> str:
    """The root of pebble's certificates, which changes each time that it starts."""
    trusting = ssl._create_unverified_context()  # the peer's own certificate is no matter here
    with urlopen(acme.root_address(Lab.load(certified.site.name).slot), context=trusting, timeout=30) as answer:
        root: bytes = answer.read()
    return root.decode()


def certbot_renews(certified: Certified) -> None:
    """Make it due, and run what certbot's own timer runs."""
    conf = "/etc/letsencrypt/renewal/valija.conf"
    certified.sh(f"sed -i '/^renew_before_expiry/d' {conf}; sed -i '1i renew_before_expiry = 9999 days' {conf}")
    certified.sh("systemctl start certbot.service")


@pytest.mark.slow
def test_a_certificate_is_obtained_by_http_and_every_port_serves_it(by_http: Certified) -> None:
    everywhere = served(by_http.address, by_http.hostname, pebble_root(by_http))
    assert set(everywhere.values()) == {by_http.serial()}


@pytest.mark.slow
def test_a_second_run_asks_the_ca_for_nothing(by_http: Certified) -> None:
    before = by_http.serial()
    run = by_http.site.valija("apply", "--json", "-e", json.dumps(acme_settings(by_http)), "--tags", "tls")
    summary = summary_of(run)
    assert summary["changed"] == 0, run.output
    calls = list(summary["remote_calls"].values())
    assert calls == [3], "the first look at the host, the role's one call, and letting go"
    assert by_http.serial() == before


@pytest.mark.slow
def test_certbots_own_timer_renews_and_every_port_serves_the_new_one(by_http: Certified) -> None:
    before, starts = by_http.serial(), by_http.site.host.starts()
    certbot_renews(by_http)
    assert by_http.serial() != before
    everywhere = served(by_http.address, by_http.hostname, pebble_root(by_http))
    assert set(everywhere.values()) == {by_http.serial()}
    assert by_http.site.host.starts() == starts, "a daemon was restarted, where a reload is enough"


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["cut short", "wrong key", "other names", "expired"])
def test_a_broken_renewal_of_certbot_is_refused_and_tried_again_daily(by_http: Certified, fault: str) -> None:
    certificate, key, reason = broken(by_http.hostname)[fault]
    serial = by_http.serial()
    by_http.sh("cp -a /etc/letsencrypt /root/letsencrypt")
    by_http.sh("cat >/etc/letsencrypt/live/valija/fullchain.pem", stdin=certificate.encode())
    by_http.sh("cat >/etc/letsencrypt/live/valija/privkey.pem", stdin=key.encode())
    try:
        assert by_http.sh("systemctl start valija-certificate.service; echo $?", check=False).endswith("1")
        assert reason in by_http.sh("journalctl --no-pager -q -u valija-certificate.service")
        assert set(served(by_http.address, by_http.hostname).values()) == {serial}
    finally:
        by_http.sh("rm -r /etc/letsencrypt; mv /root/letsencrypt /etc/letsencrypt")
    by_http.sh("systemctl start valija-certificate.service")
    assert by_http.serial() == serial


HOOK = """#!/usr/bin/python3
# Sets and clears the record in the lab's DNS, as an operator's own program does at a provider of DNS.
import os, sys, urllib.parse, urllib.request
method = {{"set": "PUT", "clear": "DELETE"}}[sys.argv[1]]
owner = "_acme-challenge." + os.environ["CERTBOT_DOMAIN"] + "."
query = urllib.parse.urlencode(
    {{"zone": "{zone}", "owner": owner, "data": os.environ["CERTBOT_VALIDATION"]}}
)
urllib.request.urlopen(urllib.request.Request("{api}/records?" + query, method=method), timeout=10)
"""


@pytest.mark.slow
def test_a_certificate_is_obtained_by_dns_for_a_wildcard_too(issued: Certified) -> None:
    lab = Lab.load(issued.site.name)
    api = f"http://{lab.slot.ipv4(2)}:8025"
    hook = issued.place("dns-hook.key", HOOK.format(zone=issued.domain, api=api))
    names = [f"*.{issued.hostname}"]
    settings = acme_settings(
        issued, mail_tls_acme_challenge="dns-01", mail_tls_acme_dns_hook=hook, mail_tls_names=names
    )
    said = issued.site.valija("plan", "-e", json.dumps(settings)).output + issued.apply(settings, "-vvv")
    assert "urlopen" not in said, "the operator's program may hold a password"
    assert issued.sh("stat -c '%U %a' /usr/local/lib/valija/acme-dns") == "root 700"
    served_everywhere = served(issued.address, f"any.{issued.hostname}", pebble_root(issued))
    assert set(served_everywhere.values()) == {issued.serial()}
    before = issued.serial()
    certbot_renews(issued)
    assert issued.serial() != before


@pytest.mark.slow
def test_a_ca_that_says_no_leaves_the_services_as_they_are_and_is_quoted(by_http: Certified) -> None:
    serial = by_http.serial()
    settings = acme_settings(by_http, mail_tls_names=["nowhere.example.test"])
    run = by_http.site.valija("apply", "-e", json.dumps(settings), "--tags", "tls")
    assert run.code == 1, run.output
    assert "was not given by the CA" in run.output
    assert "nowhere.example.test" in run.output
    assert by_http.serial() == serial, "the one that people trust stays, though it lacks the new name"
    assert set(served(by_http.address, by_http.hostname).values()) == {by_http.serial()}
    assert by_http.site.valija("apply", "-e", json.dumps(acme_settings(by_http)), "--tags", "tls").code == 0
