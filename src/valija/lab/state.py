"""What a lab remembers between commands: a folder in the user's state directory, private to the user."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ansible_collections.valija.mailserver.plugins.plugin_utils.local_files import cache_directory, replace

from valija.errors import InputError
from valija.lab.addresses import HOSTS, Slot
from valija.lab.engine import LAB_LABEL, STATE_LABEL
from valija.lab.releases import RELEASES
from valija.messages import _

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")

Progress = Callable[[str], None]
"""Called with a short sentence whenever something new begins."""


def quiet(step: str) -> None:
    """The progress of a caller who does not want any."""


@dataclass(frozen=True)
class Host:
    """One mail host of a lab; `name` is its name in the inventory, `hostname` the name that the world knows."""

    name: str
    release: str
    domain: str
    hostname: str
    ipv4: str
    ipv6: str
    container: str


@dataclass
class Record:
    """What was asked for, and the secrets that were made; kept as JSON with mode 0600."""

    slot: int | None = None
    releases: list[str] = field(default_factory=list)
    image: str = "bare"
    peer: bool = True
    profile: str = "internet"
    settings: dict[str, Any] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    relay_password: str = ""
    site_digest: str = ""


def state_home() -> Path:
    """The folder of all the labs of this user (XDG base directories)."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "valija" / "labs"


def cache_home() -> Path:
    """The folder for what can be made again."""
    return cache_directory()


@dataclass(frozen=True)
class Place:
    """A lab's name and folder, and the names that follow from them."""

    name: str

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise InputError(
                _("A lab's name has lower-case letters, digits and hyphens, 40 at most: {name!r} has not.").format(
                    name=self.name
                )
            )

    @property
    def directory(self) -> Path:
        return state_home() / self.name

    @property
    def site(self) -> Path:
        return self.directory / "site"

    @property
    def key(self) -> Path:
        return self.directory / "ssh" / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.directory / "ssh" / "known_hosts"

    @property
    def identity(self) -> str:
        """Tells this lab from one of the same name that belongs to another user or state directory."""
        return hashlib.sha256(str(self.directory.absolute()).encode()).hexdigest()[:6]

    @property
    def labels(self) -> dict[str, str]:
        """The labels on everything of this lab."""
        return {LAB_LABEL: self.name, STATE_LABEL: self.identity}

    def object_name(self, what: str) -> str:
        """The name of a container or network of this lab, unique in the engine."""
        return f"valija-{self.name}-{self.identity}-{what}"

    def read(self) -> Record:
        """The record, or an empty one for a lab that is not up."""
        try:
            content = json.loads((self.directory / "lab.json").read_text())
        except FileNotFoundError:
            return Record()
        known = {each.name for each in fields(Record)}
        return Record(**{key: value for key, value in content.items() if key in known})

    def write(self, record: Record) -> None:
        """Keep the record; a reader sees the old one or the new one, never half."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(self.directory / "lab.json", json.dumps(asdict(record), indent=2) + "\n")

    @contextmanager
    def locked(self, progress: Progress) -> Iterator[None]:
        """Let one process at a time change this lab; the lock ends with the process, however that ends."""
        state_home().mkdir(parents=True, exist_ok=True)
        with locked_file(state_home() / f".{self.name}.lock", _("Wait for another command on this lab"), progress):
            yield


@contextmanager
def locked_file(path: Path, waiting: str, progress: Progress, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock on a file, alone or shared with others; says `waiting` when another process is in the way."""
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(waiting)
            fcntl.flock(lock, kind)
        yield


def write_private(path: Path, content: str) -> None:
    """Write a file that only its owner reads, at once and whole."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    replace(path, content.encode(), mode=0o600)


def hosts_of(place: Place, record: Record) -> list[Host]:
    """The mail hosts of a lab: one has example.test, several have a sub-domain each, named after the release."""
    if record.slot is None:
        return []
    slot = Slot(record.slot)
    hosts = []
    for offset, release in zip(HOSTS, record.releases, strict=False):
        domain = "example.test" if len(record.releases) == 1 else f"{RELEASES[release].codename}.example.test"
        hosts.append(
            Host(
                name=release,
                release=release,
                domain=domain,
                hostname=f"mail.{domain}",
                ipv4=slot.ipv4(offset),
                ipv6=slot.ipv6(offset),
                container=place.object_name(release),
            )
        )
    return hosts
