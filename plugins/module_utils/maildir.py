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
from pathlib import Path
from typing import NamedTuple

MAILDIR = ("Maildir", "Maildir/new", "Maildir/cur", "Maildir/tmp")

# Below the folder of the homes: what accounts left behind, as <name>-<uid>, for root's eyes only.
FORMER = ".valija-former"

# Beside it, for a moment: a home that is not whole yet.
GROWING = ".valija-new"

_PRIVATE_FOLDER = stat.S_IFDIR | 0o700
_FORMER_NAME = re.compile(r"(?P<name>.+)-(?P<uid>\d+)(?:\.\d+)?")


class Entry(NamedTuple):
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


def entry(path: str) -> Entry | None:
    """What lies at a path, a link not followed; None when nothing does."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return Entry(status.st_uid, status.st_gid, status.st_mode)


def former_name(folder: str) -> str:
    """The account whose home lies in this folder of `.valija-former`; empty for any other folder."""
    match = _FORMER_NAME.fullmatch(folder)
    return match["name"] if match else ""


def problems(home: str, top: Entry | None, uid: int, gid: int) -> list[str]:
    """What is not as it has to be: home and Maildir are private folders (0700) of their account. Changes nothing.

    `top` is what `scan` found at `home` itself. NotADirectoryError when one of them is a file or a link: that is the
    user's own doing, and nothing to mend.
    """
    found = []
    good = Entry(uid, gid, _PRIVATE_FOLDER)
    for part in ("", *MAILDIR):
        there = entry(f"{home}/{part}") if part else top
        if there == good:
            continue
        if there is None:
            found.append(f"{part or 'home'} is missing")
            continue
        if not there.is_folder:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), f"{home}/{part}".rstrip("/"))
        if there.mode != _PRIVATE_FOLDER:
            found.append(f"{part or 'home'} has mode {stat.S_IMODE(there.mode):04o}")
        if there.uid != uid or there.gid != gid:
            found.append(f"{part or 'home'} belongs to {there.uid}:{there.gid}")
    return found


def make(home: str, uid: int, gid: int, skeleton: Path | None = None) -> None:
    """Make a home with its Maildir, or mend it when something is there already.

    A home with the files of a `skeleton` (/etc/skel) appears whole, or not at all.
    """
    if os.path.lexists(home):
        mend(home, uid, gid)
    elif skeleton is None:
        _fill(home, uid, gid)
    else:
        growing = Path(home).with_name(GROWING)
        shutil.rmtree(growing, ignore_errors=True)
        shutil.copytree(skeleton, growing, symlinks=True)
        for path in growing.rglob("*"):
            os.chown(path, uid, gid, follow_symlinks=False)
        growing.chmod(0o700)
        _fill(str(growing), uid, gid)
        growing.rename(home)


def _fill(home: str, uid: int, gid: int) -> None:
    """Make the folders of a home in which nobody but root can be; it is handed over last."""
    for part in ("", *MAILDIR):
        if part or not os.path.lexists(home):
            os.mkdir(f"{home}/{part}", 0o700)  # noqa: PTH102 - for ten thousand homes a Path costs as much as its folder
    for part in (*MAILDIR, ""):
        os.chown(f"{home}/{part}", uid, gid)


def mend(home: str, uid: int, gid: int) -> None:
    """Make home and Maildir what they have to be; messages and other files inside are not touched.

    No link that the user may have put inside is followed: NotADirectoryError names what is not a folder.
    """
    with _folder(home, None) as top:
        with _folder("Maildir", top) as maildir:
            for name in ("new", "cur", "tmp"):
                with _folder(name, maildir) as folder:
                    _hand_over(folder, uid, gid)
            _hand_over(maildir, uid, gid)
        _hand_over(top, uid, gid)


@contextmanager
def _folder(name: str, parent: int | None) -> Iterator[int]:
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
