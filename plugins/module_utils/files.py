"""Files, folders and links on a host: read what is there, decide what differs, write it whole or not at all.

`read` and `decide` change nothing; `land` touches the host. A file comes into being under a temporary name in its own
folder, readable by root alone, and is renamed once its content, owner and mode are right: nobody ever sees half of it.
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


def missing_parents(path: str) -> list[str]:
    """The folders above a path that do not exist, the outermost first."""
    found = []
    parent = Path(path).parent
    while not parent.exists():
        found.append(str(parent))
        parent = parent.parent
    return found[::-1]


def land(change: Change) -> None:
    """Bring one path to its wanted state. Its owner and group must exist."""
    wanted, actual = change.wanted, change.actual
    for parent in missing_parents(wanted.path) if wanted.state != "absent" else ():
        Path(parent).mkdir(0o755)
    if wanted.state == "absent":
        remove(wanted.path)
        return
    if wanted.state == "link":
        write_link(wanted.path, wanted.target)
        return
    uid, gid = user_id(wanted.owner), group_id(wanted.group)
    if uid is None or gid is None:
        raise Blocked(f"{wanted.path}: there is no user {wanted.owner} or no group {wanted.group} on the host.")
    if wanted.state == "directory":
        if actual.kind == "absent":
            Path(wanted.path).mkdir(0o700)
        _own(wanted.path, uid, gid, wanted.mode)
    elif {"content", "state"} & set(change.differs):
        write_file(wanted.path, wanted.content, uid, gid, wanted.mode)
    else:
        _own(wanted.path, uid, gid, wanted.mode)


def beside(path: str) -> Path:
    """The name under which a path's new content is made, in the same folder; a killed run may leave it behind."""
    return Path(path).parent / f".{Path(path).name}.valija-new"


def _own(path: str, uid: int, gid: int, mode: int) -> None:
    os.chown(path, uid, gid)
    Path(path).chmod(mode)


def write_file(path: str, content: bytes, uid: int, gid: int, mode: int, modified_ns: int | None = None) -> None:
    """Write a file atomically: never half, never readable for more than its mode says, on the disk in the end."""
    temporary = beside(path)
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchown(file.fileno(), uid, gid)
            os.fchmod(file.fileno(), mode)
            if modified_ns is not None:
                os.utime(file.fileno(), ns=(modified_ns, modified_ns))
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path)


def write_link(path: str, target: str) -> None:
    """Make or move a symbolic link atomically."""
    temporary = beside(path)
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.rename(path)
    sync_folder(path)


def write_again(actual: Actual, path: str) -> None:
    """Write a file or a link, as it was read, under another name."""
    if actual.kind == "link":
        write_link(path, actual.target)
    else:
        write_file(path, actual.content, actual.uid, actual.gid, actual.mode)


def remove(path: str) -> None:
    """Remove a file, a link or an empty folder, if there is one. Blocked for a folder that holds something."""
    try:
        if Path(path).is_dir() and not Path(path).is_symlink():
            Path(path).rmdir()
        else:
            Path(path).unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise Blocked(f"{path} cannot be removed: {error.strerror}.") from error
    sync_folder(path)


def sync_folder(path: str) -> None:
    """Put the folder that holds a path on the disk, so that a rename survives a power cut."""
    descriptor = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
