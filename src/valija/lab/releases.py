"""The releases that the lab can boot, and where each comes from: releases.yml, which the Vagrantfile reads too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from valija.errors import InputError
from valija.messages import _


@dataclass(frozen=True)
class Release:
    """One release of a distribution: its name in the lab, its registry image and its suite at a package mirror.

    A release without `suite` can only be pulled.
    """

    name: str
    image: str
    codename: str
    suite: str | None = None
    box: str = ""
    box_address: str = ""


_FILE: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text("utf-8"))
RELEASES = {name: Release(name, **release) for name, release in _FILE["releases"].items()}
DEFAULT: str = _FILE["default"]


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
