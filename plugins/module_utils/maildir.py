"""Homes and Maildirs of accounts: looked at, made, mended, and kept or deleted when their account goes.

Source: the Maildir format (https://cr.yp.to/proto/maildir.html); courier's maildirmake makes the same folders.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

MAILDIR = ("Maildir", "Maildir/new", "Maildir/cur", "Maildir/tmp")

# Below the folder of the homes: what accounts left behind, as <name>-<uid>, for root's eyes only.
FORMER = ".valija-former"

_PRIVATE_FOLDER = stat.S_IFDIR | 0o700
_FORMER_NAME = re.compile(r"(?P<name>.+)-(?P<uid>\d+)(?:\.\d+)?")


@dataclass(frozen=True)
class Entry:
    """What lies in the folder of the homes under a name."""

    uid: int
    gid: int
    mode: int

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)


def scan(base: Path) -> dict[str, Entry]:
    """All entries of a folder, links not followed; none when the folder does not exist."""
    found = {}
    with suppress(FileNotFoundError), os.scandir(base) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                found[entry.name] = Entry(status.st_uid, status.st_gid, status.st_mode)
    return found


def former_name(folder: str) -> str:
    """The account whose home lies in this folder of `.valija-former`; empty for any other folder."""
    match = _FORMER_NAME.fullmatch(folder)
    return match["name"] if match else ""


def problems(home: str, uid: int, gid: int) -> list[str]:
    """What is not as it has to be: home and Maildir are private folders (0700) of their account. Changes nothing.

    NotADirectoryError when one of them is a file or a link: that is the user's own doing, and nothing to mend.
    """
    found = []
    for part in ("", *MAILDIR):
        try:
            status = os.lstat(f"{home}/{part}" if part else home)
        except FileNotFoundError:
            found.append(f"{part or 'home'} is missing")
            continue
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), f"{home}/{part}".rstrip("/"))
        if status.st_mode != _PRIVATE_FOLDER:
            found.append(f"{part or 'home'} has mode {stat.S_IMODE(status.st_mode):04o}")
        if status.st_uid != uid or status.st_gid != gid:
            found.append(f"{part or 'home'} belongs to {status.st_uid}:{status.st_gid}")
    return found


def mend(home: Path, uid: int, gid: int, skeleton: Path | None = None) -> None:
    """Make home and Maildir what they have to be; messages and other files inside are not touched.

    `skeleton` is copied into a home that nobody has moved into yet. No link that the user may have put inside is
    followed: NotADirectoryError names what is not a folder. The home is handed over last, so a home that still belongs
    to root is one that was not finished.
    """
    with _folder(home, None) as top:
        if skeleton is not None and os.fstat(top).st_uid == 0 and uid != 0:
            _copy_skeleton(skeleton, home, uid, gid)
        with _folder("Maildir", top) as maildir:
            for name in ("new", "cur", "tmp"):
                with _folder(name, maildir) as folder:
                    _hand_over(folder, uid, gid)
            _hand_over(maildir, uid, gid)
        _hand_over(top, uid, gid)


@contextmanager
def _folder(name: str | Path, parent: int | None) -> Iterator[int]:
    """A descriptor of a folder, which is made when it is missing."""
    for again in (True, False):
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
            break
        except FileNotFoundError:
            if not again:
                raise
            os.mkdir(name, 0o700, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _hand_over(folder: int, uid: int, gid: int) -> None:
    os.fchown(folder, uid, gid)
    os.fchmod(folder, 0o700)


def _copy_skeleton(skeleton: Path, home: Path, uid: int, gid: int) -> None:
    """Copy what a new user's home begins with (/etc/skel); what is already there stays."""
    for source in sorted(skeleton.iterdir()):
        target = home / source.name
        if target.is_symlink() or target.exists():
            continue
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy2(source, target, follow_symlinks=False)
        for path in (target, *target.rglob("*")) if target.is_dir() else (target,):
            os.chown(path, uid, gid, follow_symlinks=False)


def retire(base: Path, name: str, uid: int) -> Path:
    """Move the home of an account that is gone to where only root reads it; says where it lies now."""
    former = base / FORMER
    former.mkdir(mode=0o700, exist_ok=True)
    former.chmod(0o700)
    target = former / f"{name}-{uid}"
    number = 1
    while target.is_symlink() or target.exists():
        number += 1
        target = former / f"{name}-{uid}.{number}"
    (base / name).rename(target)
    return target


def purge_former(base: Path, folder: str) -> None:
    """Delete for good what `retire` put away."""
    shutil.rmtree(base / FORMER / folder)
