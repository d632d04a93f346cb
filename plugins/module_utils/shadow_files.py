"""The four account files of a Unix host: read, edited by entry, locked as shadow-utils lock them, and replaced whole.

Sources: passwd(5), shadow(5), group(5), gshadow(5), lckpwdf(3); the lock protocol is that of shadow-utils
(`lib/commonio.c`), so that useradd, passwd, vipw and this code wait for each other.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

# The order in which they are written: what an entry needs is there before the entry in passwd makes the account exist.
FILES = ("group", "gshadow", "shadow", "passwd")

Entries = dict[str, tuple[str, ...]]


class LockError(Exception):
    """Another program holds the account files, and went on holding them."""


def parse_entries(text: str) -> Entries:
    """The fields of each entry by its name, the first one of a name; comments and NIS lines are not entries."""
    found: Entries = {}
    for line in text.split("\n"):
        name, colon, rest = line.partition(":")
        if colon and name and name[0] not in "#+-" and name not in found:
            found[name] = (name, *rest.split(":"))
    return found


def edit_entries(text: str, edits: Mapping[str, tuple[str, ...] | None]) -> str:
    """The text with entries replaced, removed (None) and added; every other line stays as it is.

    New entries come last, yet before the NIS lines (`+::::::`), which end a local file.
    """
    left = dict(edits)
    lines: list[str] = []
    for line in text.split("\n"):
        name = line.partition(":")[0]
        if name not in edits:
            lines.append(line)
        elif name in left:
            fields = left.pop(name)
            if fields is not None:
                lines.append(":".join(fields))
        elif edits[name] is not None:  # a second entry of a name is not ours to judge; removing a name removes both
            lines.append(line)
    while lines and not lines[-1]:
        lines.pop()
    added = [":".join(fields) for fields in left.values() if fields is not None]
    end = next((number for number, line in enumerate(lines) if line.startswith("+")), len(lines))
    return "".join(line + "\n" for line in lines[:end] + added + lines[end:])


def read_files(etc: Path) -> dict[str, str]:
    """The text of each account file that exists. Bytes that are no UTF-8 survive a read and a write."""
    return {
        name: (etc / name).read_bytes().decode("utf-8", "surrogateescape") for name in FILES if (etc / name).exists()
    }


def replace_file(path: Path, text: str) -> None:
    """Write a file anew in one step: a reader sees the old text or the new, a crash leaves the old or the new.

    Owner and mode stay. As shadow-utils do, the new text grows in `passwd+` and the old one stays in `passwd-`.
    """
    old = path.read_bytes()
    _write_like(path, path.with_name(path.name + "-"), old, lasting=False)
    growing = path.with_name(path.name + "+")
    _write_like(path, growing, text.encode("utf-8", "surrogateescape"), lasting=True)
    growing.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write_like(model: Path, path: Path, content: bytes, *, lasting: bool) -> None:
    """Write a new file with the owner and mode of another one; its content is private until both are set."""
    status = model.stat()
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(descriptor, status.st_uid, status.st_gid)
        stream.write(content)
        stream.flush()
        os.fchmod(descriptor, status.st_mode & 0o7777)
        if lasting:
            os.fsync(descriptor)


@contextmanager
def locked(etc: Path, within_seconds: float = 60.0) -> Iterator[None]:
    """Hold all the locks of the account files. LockError when another program does not let go in time.

    Other programs give up after 15 s: hold the locks for no longer than that.
    """
    deadline = time.monotonic() + within_seconds
    with ExitStack() as held:
        held.enter_context(_password_lock(etc / ".pwd.lock", within_seconds))
        for name in ("passwd", "group", "gshadow", "shadow"):
            if (etc / name).exists():
                held.enter_context(_file_lock(etc / name, deadline))
        yield


@contextmanager
def _password_lock(path: Path, within_seconds: float) -> Iterator[None]:
    """lckpwdf(3): a record lock on /etc/.pwd.lock. Waiting in the kernel keeps our place in the queue."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        before = signal.signal(signal.SIGALRM, _too_late)
        signal.setitimer(signal.ITIMER_REAL, within_seconds)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX)
        except TimeoutError:
            raise LockError(f"{path} is held by another program; see who: fuser {path}") from None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        yield
    finally:
        os.close(descriptor)


def _too_late(number: int, frame: FrameType | None) -> None:
    raise TimeoutError


@contextmanager
def _file_lock(path: Path, deadline: float) -> Iterator[None]:
    """/etc/passwd.lock and its like: a link to a file with our process id; that of a dead process is removed."""
    lock = path.with_name(path.name + ".lock")
    ticket = path.with_name(f"{path.name}.{os.getpid()}")
    while not _linked(ticket, lock):
        if time.monotonic() > deadline:
            raise LockError(f"{lock} is held by process {_holder(lock)}; wait for it, or remove the file")
        time.sleep(0.1)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _linked(ticket: Path, lock: Path) -> bool:
    """Try once to become the owner of a lock file."""
    ticket.unlink(missing_ok=True)
    descriptor = os.open(ticket, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, b"%d\0" % os.getpid())
        try:
            os.link(ticket, lock)
        except FileExistsError:
            if not _abandoned(lock):
                return False
            lock.unlink(missing_ok=True)
            try:
                os.link(ticket, lock)
            except FileExistsError:
                return False
        return os.fstat(descriptor).st_nlink == 2
    finally:
        os.close(descriptor)
        ticket.unlink(missing_ok=True)


def _holder(lock: Path) -> int | None:
    """The process id in a lock file; None when there is none to be read, which shadow-utils take for a live lock."""
    try:
        return int(lock.read_bytes().split(b"\0")[0])
    except (OSError, ValueError):
        return None


def _abandoned(lock: Path) -> bool:
    holder = _holder(lock)
    if holder is None or holder <= 0:
        return False
    try:
        os.kill(holder, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
