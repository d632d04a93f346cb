"""A lab: its mail hosts, its network and its site folder, brought up and taken down as one."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from valija.errors import InputError, ValijaError
from valija.lab import engine, hosts, images, network, releases, site
from valija.lab.addresses import Slot
from valija.lab.hosts import File, Wanted
from valija.lab.state import Host, Place, Progress, Record, hosts_of, quiet, state_home, write_private
from valija.messages import _

ACCOUNTS = ("alice", "bob")


class Lab:
    """One lab by its name. `load` it, then `up`, `down`, or look at what it has."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.record = place.read()

    @classmethod
    def load(cls, name: str) -> Lab:
        """The lab of this name; one that was never up has no hosts. Raises `InputError` on a name that cannot be."""
        return cls(Place(name))

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def site(self) -> Path:
        """The folder with the inventory and ansible.cfg, as `valija init` writes it."""
        return self.place.site

    @property
    def hosts(self) -> list[Host]:
        return hosts_of(self.place, self.record)

    @property
    def slot(self) -> Slot:
        if self.record.slot is None:
            raise InputError(_("The lab {name} is not up: valija lab up {name}").format(name=self.name))
        return Slot(self.record.slot)

    @property
    def passwords(self) -> dict[str, str]:
        """The passwords that the lab made for its accounts."""
        return dict(self.record.passwords)

    def is_running(self) -> bool:
        """Whether all of its hosts run."""
        running = engine.labelled("container", self.place.labels)
        states = [engine.inspect("container", name, "{{.State.Running}}") for name in running]
        return bool(self.hosts) and {host.container for host in self.hosts} <= set(running) and set(states) == {"true"}

    def up(
        self,
        releases_wanted: Sequence[str] = (),
        image: str | None = None,
        progress: Progress = quiet,
        *,
        profile: str | None = None,
        settings: dict[str, Any] | None = None,
        peer: bool | None = None,
    ) -> None:
        """Bring the lab to what is asked for; what is not given stays as it was, or is the default in a new lab.

        Hosts that run already are reused. An interrupted call is repaired by the next one.
        """
        chosen = releases.find(releases_wanted or self.record.releases or [releases.DEFAULT])
        if image not in (None, "bare", "packages"):
            raise InputError(_("A lab host starts from the image bare or packages, not {image}.").format(image=image))
        engine.require_engine()
        with self.place.locked(progress):
            record = self.record = self.place.read()
            record.releases = [release.name for release in chosen]
            record.image = image or record.image
            record.profile = profile or record.profile
            record.settings = record.settings if settings is None else settings
            record.peer = record.peer if peer is None else peer
            for account in ACCOUNTS:
                record.passwords.setdefault(account, secrets.token_urlsafe(12))
            self.place.write(record)

            names = {release.name: images.ensure(release, record.image, progress) for release in chosen}
            record.slot = network.ensure(self.place).number
            self.place.write(record)
            _keys(self.place, [host.name for host in self.hosts])
            self._remove_leftovers()
            self._write_site()
            progress(_("Start {hosts}").format(hosts=", ".join(host.name for host in self.hosts)))
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda host: self._start(host, names[host.release]), self.hosts))

    def _start(self, host: Host, image: str) -> None:
        hosts.ensure(
            self.place,
            Wanted(
                container=host.container,
                hostname=host.hostname,
                image=image,
                release=host.release,
                ipv4=host.ipv4,
                ipv6=host.ipv6,
                files={
                    "/root/.ssh/authorized_keys": File(self.place.key.with_suffix(".pub").read_bytes(), 0o600),
                    "/etc/ssh/ssh_host_ed25519_key": File(_host_key(self.place, host.name).read_bytes(), 0o600),
                    "/etc/ssh/ssh_host_ed25519_key.pub": File(
                        _host_key(self.place, host.name).with_suffix(".pub").read_bytes()
                    ),
                },
            ),
        )
        hosts.wait_for_greeting(host.ipv4, 22, b"SSH-")

    def _remove_leftovers(self) -> None:
        """Remove containers of this lab that nobody asks for any more."""
        wanted = {host.container for host in self.hosts}
        engine.remove_containers(set(engine.labelled("container", self.place.labels)) - wanted)

    def _write_site(self) -> None:
        """Write the site when it is new or something else is asked for; an edited one stays until then."""
        asked = [self.record.releases, self.record.profile, self.record.settings, self.record.peer, self.record.slot]
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
        if digest != self.record.site_digest or not (self.site / "hosts.yml").exists():
            site.write(self.place, self.record, self.hosts)
            self.record.site_digest = digest
            self.place.write(self.record)

    def down(self, images: bool = False, progress: Progress = quiet) -> list[str]:
        """Remove the lab's containers, network and folder, with `images` also the images and caches of the lab.

        Returns the names of images that stay because another lab uses them.
        """
        engine.require_engine()
        with self.place.locked(progress):
            progress(_("Remove the lab {name}").format(name=self.name))
            engine.remove_containers(engine.labelled("container", self.place.labels))
            for name in engine.labelled("network", self.place.labels):
                engine.docker("network", "rm", name)
            shutil.rmtree(self.place.directory, ignore_errors=True)
            self.record = Record()
            return _remove_images() if images else []


def _remove_images() -> list[str]:
    return images.remove_all()


def list_labs() -> list[Lab]:
    """The labs of this user, by name."""
    if not state_home().is_dir():
        return []
    return [Lab.load(path.parent.name) for path in sorted(state_home().glob("*/lab.json"))]


def _host_key(place: Place, host: str) -> Path:
    return place.key.with_name(f"host_{host}")


def _keys(place: Place, names: list[str]) -> None:
    """Make the lab's key and its hosts' keys once, and the file of known hosts from them."""
    place.key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in (place.key, *(_host_key(place, name) for name in names)):
        if path.with_suffix(".pub").exists():
            continue
        path.unlink(missing_ok=True)
        tool = shutil.which("ssh-keygen")
        if tool is None:
            raise ValijaError(_("There is no ssh-keygen. Install it: apt-get install openssh-client"))
        subprocess.run(
            [tool, "-q", "-t", "ed25519", "-N", "", "-C", f"valija lab {place.name}", "-f", str(path)], check=True
        )
    lines = []
    for host in hosts_of(place, place.read()):
        public = " ".join(_host_key(place, host.name).with_suffix(".pub").read_text().split()[:2])
        lines.append(f"{host.ipv4},{host.ipv6} {public}\n")
    write_private(place.known_hosts, "".join(lines))
