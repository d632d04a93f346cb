"""What one call of configure asks for, as values: files, trees, members of groups, checks, services, probes."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils import files, health, members, services


@dataclass(frozen=True)
class Check:
    """A command that must end with 0, and whose standard error must not match the expression ``fails_on``."""

    command: tuple[str, ...]
    fails_on: str = ""


@dataclass(frozen=True)
class Tree:
    """A directory shipped as an archive. ``ignore`` holds the relative paths below it that are not the archive's."""

    path: str
    digest: str
    owner: str = "root"
    group: str = "root"
    ignore: frozenset[str] = frozenset()
    restarts: tuple[str, ...] = ()
    reloads: tuple[str, ...] = ()
    archive: bytes | None = None


@dataclass(frozen=True)
class Request:
    """All that one call asks for, for one role."""

    role: str
    files: tuple[files.Wanted, ...] = ()
    trees: tuple[Tree, ...] = ()
    members: tuple[members.Wanted, ...] = ()
    stage_checks: tuple[Check, ...] = ()
    checks: tuple[Check, ...] = ()
    services: tuple[services.Service, ...] = ()
    health: tuple[health.Probe, ...] = ()


def request_of(data: Mapping[str, Any]) -> Request:
    """The request from the plain values that travelled; see the module's documentation for their names."""
    wanted = tuple(files.wanted_of(entry) for entry in data.get("files") or ())
    return Request(
        role=data["owner_role"],
        files=wanted,
        trees=tuple(_tree(entry, wanted) for entry in data.get("trees") or ()),
        members=tuple(each for entry in data.get("members") or () for each in members.wanted_of(entry)),
        stage_checks=tuple(_check(entry) for entry in data.get("stage_checks") or ()),
        checks=tuple(_check(entry) for entry in data.get("checks") or ()),
        services=tuple(services.service_of(entry) for entry in data.get("services") or ()),
        health=tuple(health.probe_of(entry) for entry in data.get("health") or ()),
    )


def _check(entry: Any) -> Check:
    if isinstance(entry, Mapping):
        return Check(tuple(map(str, entry["command"])), entry.get("fails_on") or "")
    return Check(tuple(map(str, entry)))


def _tree(entry: Mapping[str, Any], wanted: tuple[files.Wanted, ...]) -> Tree:
    path = os.path.normpath(entry["path"])
    below = frozenset(os.path.relpath(file.path, path) for file in wanted if file.path.startswith(f"{path}/"))
    archive = entry.get("archive_base64")
    return Tree(
        path=path,
        digest=entry["digest"],
        owner=entry.get("owner") or "root",
        group=entry.get("group") or "root",
        ignore=below | {name + files.KEPT for name in below},
        restarts=tuple(entry.get("restarts") or ()),
        reloads=tuple(entry.get("reloads") or ()),
        archive=base64.b64decode(archive) if archive else None,
    )


def mask(text: str, request: Request) -> str:
    """A message with the lines of secret files, and their last words, replaced: a checker may have quoted them."""
    for wanted in request.files:
        if not wanted.secret:
            continue
        for line in wanted.content.decode("utf-8", "replace").splitlines():
            for part in (line.strip(), line.split()[-1] if line.split() else ""):
                if len(part) >= 6:
                    text = text.replace(part, files.SECRET)
    return text
