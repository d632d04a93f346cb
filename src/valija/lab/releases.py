"""The releases that the lab can boot, and where each comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from valija.errors import InputError
from valija.messages import _


@dataclass(frozen=True)
class Release:
    """One release of a distribution: its name in the lab, its registry image and its suite at a package mirror.

    A release without `suite` can only be pulled: Debian does not package the keys that sign it.
    """

    name: str
    image: str
    suite: str | None
    codename: str


RELEASES = {
    release.name: release
    for release in (
        Release("debian-13", "debian:13", "trixie", "trixie"),
        Release("debian-12", "debian:12", "bookworm", "bookworm"),
        Release("ubuntu-22.04", "ubuntu:22.04", None, "jammy"),
        Release("ubuntu-24.04", "ubuntu:24.04", None, "noble"),
        Release("ubuntu-26.04", "ubuntu:26.04", None, "resolute"),
    )
}
DEFAULT = "debian-13"


def find(names: Sequence[str]) -> list[Release]:
    """The releases of these names, in order; raises `InputError` on an unknown or repeated one."""
    found = []
    for name in names:
        if name not in RELEASES:
            raise InputError(
                _("There is no release {name}. The lab boots: {known}.").format(name=name, known=", ".join(RELEASES))
            )
        if RELEASES[name] in found:
            raise InputError(_("The release {name} is asked for twice.").format(name=name))
        found.append(RELEASES[name])
    return found
