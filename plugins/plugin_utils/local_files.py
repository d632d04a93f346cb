"""Files of the control node: where Valija keeps what it can make again, and how any file of it comes into being."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def cache_directory() -> Path:
    """For what can be made again (XDG Base Directory Specification): ~/.cache/valija unless told otherwise."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "valija"


def replace(path: Path, content: bytes, mode: int | None = None) -> None:
    """Put content in place of a file, whole or not at all, on the disk before it is there; two at once both end well.

    The file's owner and group stay as far as we may give them; so does its mode unless one is given (a new file: 0600).
    Nobody whom the mode keeps out can read it in the meantime.
    """
    before = path.stat() if path.exists() else None
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            if before is not None:
                _give(descriptor, before.st_uid, before.st_gid)
                mode = before.st_mode & 0o7777 if mode is None else mode
            os.fchmod(descriptor, 0o600 if mode is None else mode)
            os.fsync(descriptor)
        Path(name).replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()


def _give(descriptor: int, uid: int, gid: int) -> None:
    """Only root gives a file away; a group of one's own anybody may set."""
    for owner in (uid, -1):
        try:
            os.fchown(descriptor, owner, gid)
            return
        except PermissionError:
            continue
