"""Whole directories that are shipped as one archive, and compared by one digest of their content.

The same digest is computed from the archive on the control node and from the directory on the host: it covers names,
types, permission bits, contents and link targets, and neither owners nor times.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ansible_collections.valija.mailserver.plugins.module_utils.landing import beside


class BadArchiveError(ValueError):
    """The archive holds something that has no place in a tree: a device, a path or a link that leads out of it."""


def _line(name: str, kind: str, mode: int, value: str) -> str:
    return f"{name}\0{kind}\0{mode:o}\0{value}\n"


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()


def digest_of_directory(root: str, ignore: frozenset[str] = frozenset()) -> str | None:
    """The digest of a directory; None when there is none. ``ignore`` holds relative paths that do not count."""
    if not Path(root).is_dir() or Path(root).is_symlink():
        return None
    lines: list[str] = []
    for folder, folders, names in os.walk(root):
        for name in [*folders, *names]:
            path = str(Path(folder, name))
            relative = os.path.relpath(path, root)
            if relative in ignore:
                continue
            status = os.lstat(path)
            mode = stat.S_IMODE(status.st_mode)
            if stat.S_ISLNK(status.st_mode):
                lines.append(_line(relative, "link", 0, str(Path(path).readlink())))
            elif stat.S_ISDIR(status.st_mode):
                lines.append(_line(relative, "folder", mode, ""))
            elif stat.S_ISREG(status.st_mode):
                lines.append(_line(relative, "file", mode, hashlib.sha256(Path(path).read_bytes()).hexdigest()))
            else:
                lines.append(_line(relative, "other", mode, ""))
    return _digest(lines)


def owned_by(root: str, uid: int, gid: int, ignore: frozenset[str] = frozenset()) -> bool:
    """Whether a directory and all below it belong to a user and a group."""
    paths = [Path(root)]
    for folder, folders, names in os.walk(root):
        below = [Path(folder, name) for name in [*folders, *names]]
        paths += [path for path in below if os.path.relpath(path, root) not in ignore]
    return all((status.st_uid, status.st_gid) == (uid, gid) for status in map(os.lstat, paths))


def _mode(member: tarfile.TarInfo) -> int:
    return 0o755 if member.isdir() or member.mode & 0o111 else 0o644


def _members(archive: tarfile.TarFile) -> list[tuple[str, tarfile.TarInfo]]:
    """The members under clean relative names, with folders that the archive only implies. Raises BadArchiveError."""
    found: dict[str, tarfile.TarInfo] = {}
    for member in archive:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts:
            raise BadArchiveError(f"leads out of the tree: {member.name}")
        if not (member.isfile() or member.isdir() or member.issym()):
            raise BadArchiveError(f"neither file nor folder nor symbolic link: {member.name}")
        if member.issym():
            where = os.path.normpath(path.parent / member.linkname)
            if member.linkname.startswith("/") or where.startswith(".."):
                raise BadArchiveError(f"link leads out of the tree: {member.name} -> {member.linkname}")
        for parent in reversed(path.parents):
            if str(parent) != "." and str(parent) not in found:
                folder = tarfile.TarInfo(str(parent))
                folder.type = tarfile.DIRTYPE
                found[str(parent)] = folder
        if str(path) != ".":
            found[str(path)] = member
    return list(found.items())


def digest_of_archive(path: str | os.PathLike[str]) -> str:
    """The digest that the archive's directory will have once unpacked; its members are relative to the tree's root."""
    lines = []
    with tarfile.open(path) as archive:
        for name, member in _members(archive):
            if member.issym():
                lines.append(_line(name, "link", 0, member.linkname))
            elif member.isdir():
                lines.append(_line(name, "folder", _mode(member), ""))
            else:
                lines.append(_line(name, "file", _mode(member), hashlib.sha256(_content(archive, member)).hexdigest()))
    return _digest(lines)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file else b""


def unpack(data: bytes, root: Path, uid: int, gid: int) -> None:
    """Unpack an archive into a new directory, all of it owned by one user, folders 0755, files 0644 or 0755."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(0o755)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for name, member in _members(archive):
            path = root / name
            if member.issym():
                path.symlink_to(member.linkname)
                os.lchown(path, uid, gid)
                continue
            if member.isdir():
                path.mkdir(exist_ok=True)
            else:
                path.write_bytes(_content(archive, member))
            os.chown(path, uid, gid)
            path.chmod(_mode(member))
    os.chown(root, uid, gid)
    root.chmod(0o755)


def swap_in(data: bytes, path: str, digest: str, uid: int, gid: int, ours: frozenset[str], aside: str) -> None:
    """Unpack an archive beside a directory and put it in its place; the former one stands at ``aside`` then.

    ``ours`` are files below the directory that are not the archive's: they move along. Where ``aside`` already holds a
    directory (a killed run's), that one is the former and stays. Raises BadArchiveError when the digest differs.
    """
    place, former = Path(path), Path(aside)
    place.parent.mkdir(0o755, parents=True, exist_ok=True)
    new = beside(path)
    unpack(data, new, uid, gid)
    if digest_of_directory(str(new)) != digest:
        shutil.rmtree(new)
        raise BadArchiveError(f"the archive for {path} does not have the digest {digest}")
    for name in sorted(ours):
        source, copy = place / name, new / name
        if source.is_file() and not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
            os.chown(copy, source.stat().st_uid, source.stat().st_gid)
    os.sync()
    if place.is_dir():
        if former.is_dir():
            shutil.rmtree(place)
        else:
            place.rename(former)
    new.rename(place)
