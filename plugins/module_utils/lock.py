"""The host's lock: one controller at a time changes a host.

A controller's first call writes who it is to /run/valija/lock; each later call renews that lease, and holds a flock
on /run/valija/guard (which names the last owner) while it runs; the last call removes the lease. A lease that nobody
renewed for LEASE_SECONDS is free, and so is that of a holder that the caller knows to be gone (a process of its own
control node).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

FOLDER = Path("/run/valija")

# Between two calls of one controller: the slowest host of a play sets the pace of all, e.g. in its package transaction.
LEASE_SECONDS = 300.0

ARGUMENTS: dict[str, Any] = {"_lock_owner": {"type": "dict", "default": None}}


@dataclass(frozen=True)
class Owner:
    """A controller: an ansible-playbook process. ``id`` is the same in all its calls; ``space`` names the kernel and
    process namespace in which ``pid`` means something; ``since`` is ISO 8601, UTC."""

    id: str
    node: str
    space: str
    user: str
    pid: int
    since: str

    def __str__(self) -> str:
        return f"{self.user} on {self.node} (process {self.pid}) since {self.since}"


@dataclass(frozen=True)
class Lease:
    """What the lock file holds: its owner, and when the owner last called (seconds of the host's monotonic clock)."""

    owner: Owner
    renewed: float


class Held(Exception):  # noqa: N818 - a state of the host, not an error of ours
    """Another controller holds the host; ``lease`` is its lease, None when it has only just begun."""

    def __init__(self, lease: Lease | None) -> None:
        super().__init__(f"the lock of this host is held by {lease.owner if lease else 'another run'}")
        self.lease = lease


class Lost(Exception):  # noqa: N818 - a state of the host, not an error of ours
    """Another controller had the host between two calls of this one, which may not go on."""

    def __init__(self) -> None:
        super().__init__("Another run had the lock of this host meanwhile, so this one ends here. Run it again.")


def owner_of(data: Mapping[str, Any]) -> Owner:
    """The owner in a module's parameter or in the lock file. ValueError when something is missing."""
    try:
        return Owner(**{field.name: data[field.name] for field in fields(Owner)})
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a lock owner: {data!r}") from error


def parse(text: str) -> Lease | None:
    """The lease in a lock file; None for a file that is none of ours (cut short, written by hand)."""
    try:
        data = json.loads(text)
        return Lease(owner_of(data["owner"]), float(data["renewed"]))
    except (ValueError, KeyError, TypeError):
        return None


def is_free(lease: Lease | None, owner: Owner, now: float, gone: str = "") -> bool:
    """Whether ``owner`` may take the lock: nobody's, its own, forgotten, or of the holder with the id ``gone``."""
    if lease is None or lease.owner.id in (owner.id, gone):
        return True
    return not 0 <= now - lease.renewed < LEASE_SECONDS


def _read(folder: Path) -> Lease | None:
    try:
        return parse((folder / "lock").read_text())
    except OSError:
        return None


def _write(folder: Path, owner: Owner) -> None:
    temporary = folder / ".lock.new"
    temporary.write_text(json.dumps({"owner": asdict(owner), "renewed": time.monotonic()}) + "\n")
    temporary.replace(folder / "lock")


@contextlib.contextmanager
def _guard(folder: Path, deadline: float) -> Iterator[int | None]:
    """Hold the flock, and yield its descriptor; None when another call still had it at the deadline."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / "guard", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() >= deadline:
                    yield None
                    return
                time.sleep(0.2)
            else:
                yield descriptor
                return
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def hold(
    owner: Mapping[str, Any] | None, *, wait_seconds: float = 20, gone: str = "", folder: Path = FOLDER
) -> Iterator[None]:
    """Hold the host's lock for the time of a module's call; the lease stays afterwards, renewed.

    ``owner`` is the parameter ``_lock_owner``; without one (a module called by hand) the call alone is guarded. An
    owner that ``continues`` has had the lock before: it does not wait, and may not go on once another had the host.
    Raises Held when another controller still has the host after ``wait_seconds``, and Lost.
    """
    me = owner_of(owner) if owner else None
    continues = bool(owner and owner.get("continues"))
    deadline = time.monotonic() + wait_seconds
    while True:
        with _guard(folder, deadline) as guard:
            lease = _read(folder)
            if guard is not None and me is None:
                yield
                return
            if guard is not None and me is not None and is_free(lease, me, time.monotonic(), gone):
                if continues and os.pread(guard, 4096, 0).decode() not in ("", me.id):
                    raise Lost
                os.ftruncate(guard, 0)
                os.pwrite(guard, me.id.encode(), 0)
                _write(folder, me)
                try:
                    yield
                finally:
                    if (folder / "lock").exists():
                        _write(folder, me)
                return
        if continues and guard is not None:
            raise Lost
        if time.monotonic() >= deadline:
            raise Held(lease)
        time.sleep(0.5)


def release(owner: Mapping[str, Any] | None, *, folder: Path = FOLDER) -> bool:
    """Give the lock back, inside `hold`; False when it was not this owner's."""
    lease = _read(folder)
    if lease is None or owner is None or lease.owner.id != owner_of(owner).id:
        return False
    (folder / "lock").unlink(missing_ok=True)
    return True
