"""Files, folders and links on a host: what is wanted, what is there, and what differs.

Nothing here changes the host; `landing` does.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils.header import is_managed

KEPT = ".before-valija"
SECRET = "(secret content)"


class Blocked(Exception):  # noqa: N818 - a state of the host
    """What is wanted can't be done on this host; the text says why, and what to do."""


@dataclass(frozen=True)
class Compile:
    """A command that makes ``outputs`` from a file, e.g. a lookup table from its source."""

    command: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """One path as it is to be. ``state`` is file, directory, link or absent; ``mode`` are the permission bits."""

    path: str
    state: str = "file"
    content: bytes = b""
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    target: str = ""
    secret: bool = False
    keep: bool = True
    restarts: tuple[str, ...] = ()
    reloads: tuple[str, ...] = ()
    compile: Compile | None = None


@dataclass(frozen=True)
class Actual:
    """One path as it is. ``kind`` is absent, file, directory, link or other; the times are its ctime and mtime."""

    kind: str = "absent"
    content: bytes = b""
    mode: int = 0
    uid: int = 0
    gid: int = 0
    target: str = ""
    changed_at: float = 0.0
    modified_at: float = 0.0


@dataclass(frozen=True)
class Change:
    """A difference, and what it is made of: state, content, target, owner, group, mode."""

    wanted: Wanted
    actual: Actual
    differs: tuple[str, ...]


def wanted_of(data: Mapping[str, Any]) -> Wanted:
    """A wanted path from the plain values of a call; ``content`` is text."""
    state = data.get("state") or "file"
    default_mode = "0755" if state == "directory" else "0600" if data.get("secret") else "0644"
    compiled = data.get("compile")
    return Wanted(
        path=os.path.normpath(data["path"]),
        state=state,
        content=(data.get("content") or "").encode("utf-8", "surrogateescape"),
        mode=int(data.get("mode") or default_mode, 8),
        owner=data.get("owner") or "root",
        group=data.get("group") or "root",
        target=data.get("target") or "",
        secret=bool(data.get("secret")),
        keep=data.get("keep") is not False,
        restarts=tuple(data.get("restarts") or ()),
        reloads=tuple(data.get("reloads") or ()),
        compile=Compile(tuple(compiled["command"]), tuple(compiled["output"])) if compiled else None,
    )


def read(path: str) -> Actual:
    """What is at a path now; a link is not followed."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Actual()
    common: dict[str, Any] = {
        "mode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
        "changed_at": status.st_ctime,
        "modified_at": status.st_mtime,
    }
    if stat.S_ISLNK(status.st_mode):
        return Actual("link", target=str(Path(path).readlink()), **common)
    if stat.S_ISDIR(status.st_mode):
        return Actual("directory", **common)
    if stat.S_ISREG(status.st_mode):
        return Actual("file", content=Path(path).read_bytes(), **common)
    return Actual("other", **common)


def read_for(wanted: Wanted) -> Actual:
    """What is at a wanted path; where a folder is wanted, a link to a folder counts as that folder."""
    actual = read(wanted.path)
    if wanted.state == "directory" and actual.kind == "link" and Path(wanted.path).is_dir():
        return read(os.path.realpath(wanted.path))
    return actual


def user_id(name: str) -> int | None:
    """The number of a user, None when there is no such user."""
    try:
        return int(name) if name.isdigit() else pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def group_id(name: str) -> int | None:
    """The number of a group, None when there is no such group."""
    try:
        return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def decide(wanted: Wanted, actual: Actual, uid: int | None, gid: int | None) -> Change | None:
    """What differs between a wanted path and what is there; None when nothing does.

    ``uid`` and ``gid`` are the numbers of the wanted owner and group, None for one that does not exist yet.
    Raises Blocked where writing would destroy something else than a file.
    """
    if wanted.state == "absent":
        return None if actual.kind == "absent" else Change(wanted, actual, ("state",))
    if actual.kind == "other":
        raise Blocked(f"{wanted.path} is neither a file nor a folder nor a link. Move it away.")
    if actual.kind == "directory" and wanted.state != "directory":
        raise Blocked(f"{wanted.path} is a folder, and a {wanted.state} is needed there. Move it away.")
    if actual.kind not in ("directory", "absent") and wanted.state == "directory":
        raise Blocked(f"{wanted.path} is a {actual.kind}, and a folder is needed there. Move it away.")
    if actual.kind != wanted.state:
        return Change(wanted, actual, ("state",))
    if wanted.state == "link":
        return None if actual.target == wanted.target else Change(wanted, actual, ("target",))
    checks = {
        "content": wanted.state == "file" and actual.content != wanted.content,
        "owner": actual.uid != uid,
        "group": actual.gid != gid,
        "mode": actual.mode != wanted.mode,
    }
    differs = tuple(name for name, different in checks.items() if different)
    return Change(wanted, actual, differs) if differs else None


def takes_over(change: Change, owned: frozenset[str], kept_exists: bool) -> bool:
    """Whether somebody else's file is about to be replaced, whose content must be kept beside it."""
    wanted, actual = change.wanted, change.actual
    if (
        not wanted.keep
        or kept_exists
        or wanted.path in owned
        or not {"content", "state", "target"} & set(change.differs)
    ):
        return False
    if actual.kind == "link":
        return wanted.state != "absent"
    return actual.kind == "file" and not is_managed(actual.content.decode("utf-8", "replace"))


def diff_of(change: Change) -> list[dict[str, str]]:
    """A change as Ansible's diff: the content, then owner, group and mode; nothing of a secret."""
    wanted, actual = change.wanted, change.actual
    headers = {"before_header": wanted.path, "after_header": wanted.path}
    if wanted.secret:
        after = f"{SECRET}\n" if wanted.state != "absent" else ""
        before = f"{SECRET}\n" if actual.kind != "absent" else ""
        return [
            {
                **headers,
                "before": before,
                "after": f"{after}({', '.join(change.differs)} changed)\n" if before and after else after,
            }
        ]
    found = []
    if {"content", "state", "target"} & set(change.differs):
        found.append({**headers, "before": _shown_actual(actual), "after": _shown_wanted(wanted)})
    ids = [name for name in ("owner", "group", "mode") if name in change.differs]
    if ids:
        now = {
            "owner": str(_user_name(actual.uid)),
            "group": str(_group_name(actual.gid)),
            "mode": f"{actual.mode:04o}",
        }
        then = {"owner": wanted.owner, "group": wanted.group, "mode": f"{wanted.mode:04o}"}
        before, after = ("".join(f"{name}: {values[name]}\n" for name in ids) for values in (now, then))
        found.append({**headers, "before": before, "after": after})
    return found


def _shown_actual(actual: Actual) -> str:
    if actual.kind == "link":
        return f"link to {actual.target}\n"
    if actual.kind == "directory":
        return "folder\n"
    return actual.content.decode("utf-8", "replace")


def _shown_wanted(wanted: Wanted) -> str:
    if wanted.state == "link":
        return f"link to {wanted.target}\n"
    if wanted.state == "directory":
        return "folder\n"
    return wanted.content.decode("utf-8", "replace") if wanted.state == "file" else ""


def _user_name(uid: int) -> str | int:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return uid


def _group_name(gid: int) -> str | int:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return gid
