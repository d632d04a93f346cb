"""Files, folders and links come to a host: whole, or not at all.

A file comes into being under another name in its own folder, readable by root alone, and is renamed once its content,
its owner and its mode are right: nobody ever sees half of it.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from ansible_collections.valija.mailserver.plugins.module_utils.files import (
    Actual,
    Blocked,
    Change,
    group_id,
    user_id,
)

_SETTLED_SECONDS = 3


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
            # What landed before may have needed this folder already: it has root's ownership and 0755 until now.
            Path(wanted.path).mkdir(0o700, exist_ok=True)
        _own(wanted.path, uid, gid, wanted.mode)
    elif {"content", "state"} & set(change.differs):
        write_file(wanted.path, wanted.content, uid, gid, wanted.mode, settled_ns())
    else:
        _own(wanted.path, uid, gid, wanted.mode)


def settled_ns() -> int:
    """A time of modification that no program takes for half-written, in nanoseconds since the epoch.

    Postfix waits until a file that it reads is two seconds old, for somebody may still be writing it (dict_load_fp() in
    postfix/src/util/dict.c); PHP keeps such a file out of its cache. Ours were whole before they had their names.
    """
    return time.time_ns() - _SETTLED_SECONDS * 10**9


def clear(temporary: Path) -> None:
    """Take away what a killed run left under a name of `beside`: a file, a link, or a folder with its content."""
    if temporary.is_dir() and not temporary.is_symlink():
        shutil.rmtree(temporary)
    else:
        temporary.unlink(missing_ok=True)


def beside(path: str) -> Path:
    """The name under which a path's new content is made, in the same folder; a killed run may leave it behind."""
    return Path(path).parent / f".{Path(path).name}.valija-new"


def _own(path: str, uid: int, gid: int, mode: int) -> None:
    os.chown(path, uid, gid)
    Path(path).chmod(mode)


def write_file(path: str, content: bytes, uid: int, gid: int, mode: int, modified_ns: int | None = None) -> None:
    """Write a file atomically: never half, never readable for more than its mode says, on the disk in the end."""
    temporary = beside(path)
    clear(temporary)
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
    clear(temporary)
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
