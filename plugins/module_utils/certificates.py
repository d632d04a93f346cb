"""The certificate of a host's mail services: where it lives, who may put one there, and who must load it then.

`deliver` is the only way into /etc/valija/tls/mail.pem: it judges first, swaps whole files, and then has the daemons
reload that run with an older one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils import certificate, files, landing, services
from ansible_collections.valija.mailserver.plugins.module_utils.acme import Acme, acme_of
from ansible_collections.valija.mailserver.plugins.module_utils.certificate import BadCertificate, Certificate, Pem
from ansible_collections.valija.mailserver.plugins.module_utils.certificate_authority import DAY_SECONDS, Authority

FOLDER = Path("/etc/valija/tls")
LOCK = Path("/run/valija/certificate")

# A certificate of the site's own is made anew this long before its end, and one of files is told of.
RENEWED_DAYS = 30


@dataclass(frozen=True)
class Settings:
    """What the certificate is to be. ``group`` may read it, ``daemons`` load it when they are reloaded."""

    source: str
    names: tuple[str, ...]
    group: str = "courier"
    daemons: tuple[services.Service, ...] = ()
    acme: Acme | None = None


@dataclass(frozen=True)
class Outcome:
    """What was done: whether the certificate changed, the daemons that were reloaded, words for a person."""

    changed: bool = False
    reloaded: tuple[str, ...] = ()
    said: tuple[str, ...] = ()


def settings_of(data: dict[str, Any]) -> Settings:
    """The settings from plain values, of a call or of the file on the host."""
    return Settings(
        source=data["source"],
        names=tuple(data["names"]),
        group=data.get("group") or "courier",
        daemons=tuple(services.service_of(entry) for entry in data.get("daemons") or ()),
        acme=acme_of(data["acme"]) if data.get("acme") else None,
    )


@dataclass(frozen=True)
class Store:
    """The folder that holds a host's certificate."""

    settings: Settings
    folder: Path = FOLDER

    @property
    def pem(self) -> Path:
        """Key, certificate and chain, as the daemons read them."""
        return self.folder / "mail.pem"

    @property
    def authority(self) -> Authority:
        """The site's own authority; its root is for everybody to read."""
        return Authority(self.folder / "private" / "ca.key", self.folder / "ca.pem")

    def text(self) -> str:
        """What mail.pem holds; empty when there is none."""
        try:
            return self.pem.read_text()
        except OSError:
            return ""

    def current(self) -> tuple[Pem, Certificate | None]:
        """What the daemons are given now; None for the certificate when there is none, or nothing to be read."""
        try:
            pem = certificate.pem_of(self.text())
            return pem, certificate.read(pem.certificates[0])
        except (BadCertificate, IndexError):
            return Pem((), ()), None

    def why_not(self, now: float, *, for_any_name: bool = False) -> str:
        """Why what the daemons are given now is not good for them; empty when it is."""
        names = () if for_any_name else self.settings.names
        try:
            certificate.judge(certificate.pem_of(self.text()), names, now)
        except BadCertificate as error:
            return str(error)
        return ""

    def why_renew(self, now: float, within_days: int = RENEWED_DAYS) -> str:
        """Why the site's own authority is to issue a new certificate; empty when the present one does."""
        pem, leaf = self.current()
        problem = self.why_not(now)
        if leaf is None or problem:
            return problem or "there is none"
        if set(leaf.names) != set(self.settings.names):
            return "the names have changed"
        if self.authority.needs_root(now) or not self.authority.signed(pem.certificates[0]):
            return "it is not of the site's own authority"
        if leaf.ends < now + within_days * DAY_SECONDS:
            return f"it ends on {certificate.day(leaf.ends)}"
        return ""

    def permissions(self) -> tuple[int, int]:
        """The group that reads mail.pem, and its mode: nobody but root where the group is not there (yet)."""
        group = files.group_id(self.settings.group)
        return (0, 0o600) if group is None else (group, 0o640)

    def has_permissions(self) -> bool:
        """Whether mail.pem belongs to whom it should, and is closed to all others."""
        actual, (group, mode) = files.read(str(self.pem)), self.permissions()
        return (actual.kind, actual.uid, actual.gid, actual.mode) == ("file", os.geteuid(), group, mode)

    def deliver(self, pem: Pem, now: float) -> bool:
        """Put a certificate in place, if daemons may be given it; true when it differs from the one before.

        Raises BadCertificate, with the one before left where it is.
        """
        certificate.judge(pem, self.settings.names, now)
        if self.text() == pem.text and self.has_permissions():
            return False
        self._write(pem.text)
        return True

    def close(self) -> bool:
        """Have the present certificate belong to whom it should; always a change."""
        self._write(self.text())
        return True

    def _write(self, text: str) -> None:
        group, mode = self.permissions()
        landing.write_file(str(self.pem), text.encode(), os.geteuid(), group, mode)

    def renew(self, now: float) -> bool:
        """Issue a certificate of the site's own authority, and deliver it."""
        authority = self.authority
        authority.key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority.ensure_root(self.settings.names[0], now)
        return self.deliver(certificate.pem_of(authority.issue(self.settings.names, now)), now)

    def outdated(self) -> tuple[services.Service, ...]:
        """The daemons that run, and have loaded an older certificate."""
        try:
            pairs = services.read(self.settings.daemons)
        except services.ServiceError:  # no systemd here (an image that is being built)
            return ()
        changed = files.read(str(self.pem)).changed_at
        return tuple(
            daemon
            for daemon in self.settings.daemons
            if pairs[daemon.name].unit.running and pairs[daemon.name].unit.changed_at < changed
        )

    def reload(self) -> tuple[str, ...]:
        """Have the daemons load the certificate that run with an older one; their units. Raises ServiceError."""
        units = tuple(dict.fromkeys(daemon.control for daemon in self.outdated()))
        services.act(services.Steps(reload=units))
        return units


def load_settings(folder: Path = FOLDER) -> Settings:
    """The settings that the role has left on the host. BadCertificate when there are none."""
    try:
        return settings_of(json.loads((folder / "settings.json").read_text()))
    except (OSError, ValueError, KeyError) as error:
        raise BadCertificate(f"has no settings: {error}. Run `valija apply` from the control node") from error


@contextlib.contextmanager
def alone(*, patience_seconds: float = 60) -> Iterator[None]:
    """Let one program at a time change the certificate. Raises BadCertificate when another one does not end."""
    LOCK.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + patience_seconds
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() >= deadline:
                    raise BadCertificate(f"is being changed by another program for {patience_seconds:g} s") from None
                time.sleep(0.2)
        yield
    finally:
        os.close(descriptor)


def described(leaf: Certificate | None) -> str:
    """What a person is told of a certificate, a line each; empty for none."""
    if leaf is None:
        return ""
    return (
        f"names: {', '.join(leaf.names)}\nissuer: {leaf.issuer}\nserial: {leaf.serial}\n"
        f"valid: {certificate.day(leaf.begins)} to {certificate.day(leaf.ends)}\n"
    )
