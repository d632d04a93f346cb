"""A lab: its mail hosts, its network and its site folder, brought up and taken down as one."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from valija.errors import InputError
from valija.lab import engine, hosts, images, network, peer, releases, site, ssh
from valija.lab.addresses import PEER, Slot
from valija.lab.hosts import File, Wanted
from valija.lab.images import remove_made_by
from valija.lab.state import Host, Place, Progress, Record, hosts_of, quiet, state_home
from valija.messages import _

ACCOUNTS = ("alice", "bob")
CA_PATH = "/usr/local/share/ca-certificates/valija-lab.crt"
ENGINE_RESOLVER = "127.0.0.11"


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
    def site_dir(self) -> Path:
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
        with_peer: bool | None = None,
    ) -> None:
        """Bring the lab to what is asked for; what is not given stays as it was, or is the default in a new lab.

        Hosts that run already are reused. An interrupted call is repaired by the next one.
        """
        chosen = releases.find(releases_wanted or self.record.releases or [releases.DEFAULT])
        if image not in (None, "bare", "packages"):
            raise InputError(_("A lab host starts from the image bare or packages, not {image}.").format(image=image))
        engine.require_engine()
        with self.place.locked(progress), images.in_use(progress):
            record = self.record = self.place.read()
            record.releases = [release.name for release in chosen]
            record.image = image or record.image
            record.profile = profile or record.profile
            record.settings = record.settings if settings is None else settings
            record.peer = record.peer if with_peer is None else with_peer
            for account in ACCOUNTS:
                record.passwords.setdefault(account, secrets.token_urlsafe(12))
            record.relay_password = record.relay_password or secrets.token_urlsafe(12)
            self.place.write(record)

            names = {release.name: images.ensure(self.place, release, record.image, progress) for release in chosen}
            if record.peer:
                names["peer"] = images.ensure(self.place, releases.RELEASES[peer.RELEASE], "peer", progress)
            record.slot = network.ensure(self.place).number
            self.place.write(record)
            ssh.make_keys(self.place, self.hosts)
            peer.make_certificates(self.place, self.slot)
            if not self.is_running():
                ssh.close_connections(self.place)
            self._remove_leftovers()
            site.write(self.place, record, self.slot, self.hosts)
            progress(_("Start {hosts}").format(hosts=", ".join(host.name for host in self.hosts)))
            with ThreadPoolExecutor() as pool:
                started = [pool.submit(self._start_host, host, names[host.release]) for host in self.hosts]
                if record.peer:
                    started.append(
                        pool.submit(peer.start, self.place, self.slot, self.hosts, record.relay_password, names["peer"])
                    )
            for each in started:
                each.result()

    def _start_host(self, host: Host, image: str) -> None:
        files = {
            **ssh.files(self.place, host),
            CA_PATH: File(peer.ca_certificate(self.place)),
        }
        hosts.ensure(
            self.place,
            Wanted(
                container=host.container,
                hostname=host.hostname,
                image=image,
                release=host.release,
                ipv4=host.ipv4,
                ipv6=host.ipv6,
                files=files,
            ),
        )
        resolver = self.slot.ipv4(PEER) if self.record.peer else ENGINE_RESOLVER
        hosts.run(
            host.container,
            f"echo 'nameserver {resolver}' >/etc/resolv.conf; "
            # The second line of the certificate tells whether it is among the trusted ones already.
            f'grep -qF "$(sed -n 2p {CA_PATH})" /etc/ssl/certs/ca-certificates.crt || '
            "update-ca-certificates >/dev/null 2>&1",
        )
        hosts.wait_for_greeting(host.ipv4, 22, b"SSH-")

    def _remove_leftovers(self) -> None:
        """Remove containers of this lab that nobody asks for any more."""
        wanted = {host.container for host in self.hosts} | ({peer.container(self.place)} if self.record.peer else set())
        engine.remove_containers(set(engine.labelled("container", self.place.labels)) - wanted)

    def down(self, images: bool = False, progress: Progress = quiet) -> list[str]:
        """Remove the lab's containers, network and folder, with `images` also the images that it made.

        Returns the names of images that stay because another lab uses them.
        """
        engine.require_engine()
        with self.place.locked(progress):
            progress(_("Remove the lab {name}").format(name=self.name))
            ssh.close_connections(self.place)
            engine.remove_containers(engine.labelled("container", self.place.labels))
            for name in engine.labelled("network", self.place.labels):
                engine.docker("network", "rm", name)
            shutil.rmtree(self.place.directory, ignore_errors=True)
            self.record = Record()
            return remove_made_by(self.place, progress) if images else []


def list_labs() -> list[Lab]:
    """The labs of this user, by name."""
    if not state_home().is_dir():
        return []
    return [Lab.load(path.parent.name) for path in sorted(state_home().glob("*/lab.json"))]
