"""The hosts that are measured on: lab hosts, reached by SSH as any other."""

from __future__ import annotations

import imaplib
import json
import os
import poplib
import shlex
import smtplib
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.valija.mailserver.plugins.plugin_utils import squirrelmail_source

from valija.lab import Lab, ssh
from valija.lab import peer as lab_peer

ROOT = Path(__file__).resolve().parents[2]
PEERS = Path(__file__).parent / "peers"
BIN = Path(sys.executable).parent

# The labs that this run has brought up.
_up: set[str] = set()


class Unfit(Exception):  # noqa: N818 - a verdict
    """A case did not reach the end state that all have to reach, or could not begin."""


class Ground:
    """One lab with one mail host, and its site."""

    def __init__(self, kind: str, release: str) -> None:
        self.name, self.release = f"bench-{kind}", release

    def fresh(self, image: str = "bare", *, peer: bool = False) -> None:
        """A host that nobody has touched; with the rest of the Internet beside it when a part needs strangers."""
        _run([BIN / "valija", "lab", "down", self.name])
        _up.add(self.name)
        _run(
            [
                BIN / "valija",
                "lab",
                "up",
                self.name,
                "--release",
                self.release,
                "--image",
                image,
                *([] if peer else ["--no-peer"]),
            ]
        )
        self.__dict__.pop("lab", None)

    @cached_property
    def lab(self) -> Lab:
        return Lab.load(self.name)

    @property
    def site(self) -> Path:
        return self.lab.site_dir

    @property
    def address(self) -> str:
        return self.lab.hosts[0].ipv4

    def sh(self, line: str, data: bytes = b"") -> str:
        """Run a shell line as root on the host. Unfit when it fails."""
        values = ssh.connection(self.lab.place, self.lab.hosts[0])
        options = shlex.split(values["ansible_ssh_common_args"])
        command = ["ssh", "-i", values["ansible_ssh_private_key_file"], "-o", "BatchMode=yes", *options]
        return _run([*command, f"root@{self.address}", line], data)

    @property
    def strangers(self) -> list[str]:
        """The peer's IPv4 addresses."""
        return lab_peer.strangers(self.lab.slot)["ipv4"]

    def on_peer(self, line: str, data: bytes = b"") -> str:
        """Run a shell line as root on the peer. Unfit when it fails."""
        return _run(["docker", "exec", "-i", lab_peer.container(self.lab.place), "sh", "-c", line], data)

    def put_on_peer(self, path: Path, target: str) -> None:
        self.on_peer(f"cat >{shlex.quote(target)}", path.read_bytes())

    def put(self, path: Path, target: str) -> None:
        self.sh(f"cat >{shlex.quote(target)}", path.read_bytes())

    def valija(self, verb: str, *words: str) -> str:
        """`valija VERB -i SITE`, as a user types it."""
        return _run([BIN / "valija", *verb.split(), "-i", str(self.site), *words])

    def run(self, verb: str, *words: str) -> dict[str, Any]:
        """`valija VERB -i SITE --json`, and what it says of the run: hosts, changed, remote_calls."""
        said = self.valija(verb, "--json", *words)
        summary: dict[str, Any] = json.loads(said[said.index("{") :])
        outcome: dict[str, Any] = summary.get("run", summary)
        return outcome

    def playbook(
        self, path: str | Path, *words: str, environment: dict[str, str] | None = None, seconds: float | None = None
    ) -> str:
        """`ansible-playbook` with the site's own settings: pipelining, one connection kept. Unfit after `seconds`."""
        settings = {"ANSIBLE_CONFIG": str(self.site / "ansible.cfg"), **(environment or {})}
        command = [BIN / "ansible-playbook", "-i", self.site / "hosts.yml", str(path), *words]
        return _run(command, environment=settings, seconds=seconds)

    def set_values(self, name: str, values: dict[str, Any]) -> None:
        """Give the site more variables, in a file of their own."""
        (self.site / "group_vars/all" / f"{name}.yml").write_text(yaml.safe_dump(values))

    def converses(self, user: str, password: str, *, webmail: bool = True) -> None:
        """See the end state: a message goes in by SMTP, comes out by IMAP and POP3; the webmail answers.

        By TLS, at the ports for it and with the site's own CA, where there is a certificate; else in plain text.
        """
        token = f"bench-{time.time_ns()}"
        try:
            with smtplib.SMTP(self.address, 25, timeout=30) as smtp:
                smtp.sendmail("", [f"{user}@{self.lab.hosts[0].domain}"], f"Subject: {token}\r\n\r\n{token}\r\n")
            deadline = time.monotonic() + 20
            while not self._has(user, password, token):
                if time.monotonic() > deadline:
                    raise Unfit(f"{self.name}: the message does not arrive at {user}")
                time.sleep(0.2)
            pop = self._pop()
            pop.user(user)
            pop.pass_(password)
            pop.quit()
            if webmail:
                address = f"{'https' if self.trust else 'http'}://{self.address}/webmail/src/login.php"
                with urllib.request.urlopen(address, timeout=20, context=self.trust) as answer:
                    if b"secretkey" not in answer.read():
                        raise Unfit(f"{self.name}: the webmail shows no login")
        except (OSError, smtplib.SMTPException, imaplib.IMAP4.error, poplib.error_proto) as error:
            raise Unfit(f"{self.name}: the end state is wrong: {error}") from error

    @property
    def trust(self) -> ssl.SSLContext | None:
        """Trust in the site's CA, which `valija apply` has brought here; None for a site without TLS.

        The name is not compared: the bench connects to addresses.
        """
        files = sorted((self.site / "certificates").glob("*.pem"))
        if not files:
            return None
        context = ssl.create_default_context(cafile=str(files[0]))
        context.check_hostname = False
        return context

    def _pop(self) -> poplib.POP3:
        trust = self.trust
        if trust:
            return poplib.POP3_SSL(self.address, timeout=20, context=trust)
        return poplib.POP3(self.address, 110, timeout=20)

    def _has(self, user: str, password: str, token: str) -> bool:
        trust = self.trust
        plain = imaplib.IMAP4_SSL(self.address, ssl_context=trust, timeout=20) if trust else None
        with plain or imaplib.IMAP4(self.address, 143, timeout=20) as imap:
            imap.login(user, password)
            imap.select("INBOX", readonly=True)
            return bool(imap.search(None, "SUBJECT", token)[1][0])


def webmail_archive() -> Path:
    """The same SquirrelMail for every case: the archive that Valija's own run ships."""
    defaults = yaml.safe_load((ROOT / "roles/mail/defaults/main/main.yml").read_text())
    return squirrelmail_source.obtain(defaults["mail_squirrelmail_source"]).path


def cleared() -> None:
    """Take down the labs of this run."""
    for name in sorted(_up):
        subprocess.run([BIN / "valija", "lab", "down", name], capture_output=True, check=False)
    _up.clear()


def _run(
    command: Sequence[str | Path],
    data: bytes = b"",
    environment: dict[str, str] | None = None,
    seconds: float | None = None,
) -> str:
    shown = shlex.join(str(word) for word in command)[:200]
    try:
        ran = subprocess.run(
            [str(word) for word in command],
            input=data,
            capture_output=True,
            check=False,
            timeout=seconds,
            env={**os.environ, **(environment or {})},
        )
    except subprocess.TimeoutExpired as late:
        raise Unfit(f"{shown} does not end within {seconds:g} s") from late
    if ran.returncode:
        said = (ran.stdout + ran.stderr).decode("utf-8", "replace")
        raise Unfit(f"{shown} failed:\n{said[-3000:]}")
    return ran.stdout.decode("utf-8", "replace")
