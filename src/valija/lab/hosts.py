"""A lab's containers: created with their keys in place, started, and waited for until they answer."""

from __future__ import annotations

import io
import socket
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from valija.errors import ValijaError
from valija.lab.engine import IMAGE_LABEL, attempt, docker, inspect, label_options, remove_containers
from valija.lab.images import APT_CACHE, apt_volume
from valija.lab.state import Place
from valija.messages import _
from valija.probes import wait

BOOT_SECONDS = 90

# Of a container: its state, and what cannot be changed once it is made.
DESCRIPTION = (
    f'{{{{.State.Status}}}} {{{{index .Config.Labels "{IMAGE_LABEL}"}}}} {{{{.Config.Hostname}}}} '
    "{{range .NetworkSettings.Networks}}{{.IPAMConfig.IPv4Address}} {{.IPAMConfig.IPv6Address}}{{end}}"
)


@dataclass(frozen=True)
class File:
    """A file that is put into a container before it starts; its folders are made with mode 0755."""

    content: bytes
    mode: int = 0o644


@dataclass(frozen=True)
class Wanted:
    """What one container shall be."""

    container: str
    hostname: str
    image: str
    release: str
    ipv4: str
    ipv6: str
    files: Mapping[str, File]


def ensure(place: Place, wanted: Wanted) -> None:
    """Have the container booted with its files: the one from before when it can be, else a new one."""
    if not create(place, wanted):
        try:
            wait_for_boot(wanted.container)
            put(wanted.container, wanted.files)
            return
        except ValijaError:
            remove_containers([wanted.container])
            create(place, wanted)
    wait_for_boot(wanted.container)


def create(place: Place, wanted: Wanted) -> bool:
    """Have the container started; returns True when it was made now, False when it is the one from before.

    One that was made from another kind of image, or that an interrupted run left without a start, is made anew.
    """
    status, *made_as = inspect("container", wanted.container, DESCRIPTION).split() or [""]
    if status in ("running", "exited") and made_as == [wanted.image, wanted.hostname, wanted.ipv4, wanted.ipv6]:
        if status == "exited":
            docker("start", wanted.container)
        return False
    remove_containers([wanted.container])
    docker(
        *("create", "--name", wanted.container, "--hostname", wanted.hostname),
        *label_options({**place.labels, IMAGE_LABEL: wanted.image}),
        *("--network", place.object_name("net"), "--ip", wanted.ipv4, "--ip6", wanted.ipv6),
        # With these systemd's sandboxing and nftables work as on a real host; they are no security boundary.
        *("--cap-add", "NET_ADMIN", "--cap-add", "SYS_ADMIN", "--cap-add", "SYS_PTRACE"),
        *("--security-opt", "apparmor=unconfined"),
        *("--tmpfs", "/run:mode=755", "--tmpfs", "/run/lock:mode=1777", "--tmpfs", "/tmp:exec,mode=1777"),
        *("--cgroupns", "host", "--volume", f"{cgroup_mount()}:/sys/fs/cgroup:rw"),
        *("--volume", f"{apt_volume(wanted.release)}:{APT_CACHE}"),
        *("--stop-signal", "SIGRTMIN+3"),
        wanted.image,
    )
    put(wanted.container, wanted.files)
    docker("start", wanted.container)
    return True


def put(container: str, files: Mapping[str, File]) -> None:
    """Write files into a container, running or not."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path, file in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode, entry.mtime = len(file.content), file.mode, int(time.time())
            tar.addfile(entry, io.BytesIO(file.content))
    docker("cp", "-", f"{container}:/", stdin=archive.getvalue())


def run(container: str, script: str, *, seconds: float = 120) -> str:
    """Run a shell script in a running container and return what it printed."""
    return docker("exec", container, "sh", "-euc", script, seconds=seconds)


def wait_for_boot(container: str) -> None:
    """Wait until systemd has started all that it can."""
    state = ""

    def settled() -> bool:
        nonlocal state
        state = attempt("exec", container, "systemctl", "is-system-running").stdout.decode().strip()
        if inspect("container", container, "{{.State.Running}}") != "true":
            log = attempt("logs", "--tail", "3", container)
            words = (log.stdout + log.stderr).decode(errors="replace").strip()
            raise ValijaError(
                _("{container} stopped while it started: {words}").format(container=container, words=words)
            )
        # Degraded is a host with a failed unit: a mail service without its configuration, or one that a test broke.
        return state in ("running", "degraded")

    try:
        wait.until(settled, within=BOOT_SECONDS)
    except wait.TooLateError:
        raise ValijaError(
            _("{container} did not start within {seconds} s; systemd says: {state}").format(
                container=container, seconds=BOOT_SECONDS, state=state or _("nothing")
            )
        ) from None


def wait_for_greeting(address: str, port: int, expect: bytes) -> None:
    """Wait until a service greets with these bytes; an empty `expect` asks for a connection alone."""

    def greeted() -> bool:
        try:
            with socket.create_connection((address, port), timeout=2) as connection:
                return not expect or connection.recv(256).startswith(expect)
        except OSError:
            return False

    try:
        wait.until(greeted, within=BOOT_SECONDS)
    except wait.TooLateError:
        raise ValijaError(
            _("{address} does not answer on port {port} within {seconds} s.").format(
                address=address, port=port, seconds=BOOT_SECONDS
            )
        ) from None


def cgroup_mount(proc_mounts: str | None = None) -> str:
    """Where this machine has the second version of control groups, which systemd needs (cgroups(7))."""
    text = proc_mounts if proc_mounts is not None else Path("/proc/self/mounts").read_text()
    mounts = [line.split()[1] for line in text.splitlines() if line.split()[2] == "cgroup2"]
    for place in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        if place in mounts:
            return place
    raise ValijaError(
        _(
            "This machine has no control groups of version 2, which systemd in a container needs. Mount them: "
            "mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified"
        )
    )
