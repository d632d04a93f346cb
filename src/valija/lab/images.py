"""Images of a release: bare (systemd, sshd, Python), and with the packages that the roles declare.

The distribution's own registry image when it can be pulled, else the same release from its package mirror. Images are
shared by all labs; they carry a label, and none is ours without it.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from importlib import resources
from pathlib import Path

from valija.errors import ValijaError
from valija.lab.engine import (
    IMAGE_LABEL,
    attempt,
    docker,
    exists,
    inspect,
    labelled,
    remove_containers,
)
from valija.lab.packages import declared
from valija.lab.releases import Release
from valija.lab.state import Progress, cache_home, locked_file
from valija.messages import _

REPOSITORY = "valija-lab"
BUILDER = "valija-build-"
PEER_PACKAGES = ("knot", "python3-aiosmtpd")
CONTENT_LABEL = "org.valija.content"
BUILD_SECONDS = 1800
APT_CACHE = "/var/cache/valija-apt"

# What every host of the real world has before anybody installs mail: an administrator's way in, and Python.
LAYER = [
    *("systemd", "systemd-sysv", "dbus", "libpam-systemd", "procps", "iproute2"),
    *("openssh-server", "sudo", "python3", "python3-apt", "ca-certificates"),
]

_unreachable: set[str] = set()
"""Registry images that did not answer in this process; one try is enough."""


def apt_volume(release: str) -> str:
    """The volume where hosts of one release share downloaded packages."""
    return f"{REPOSITORY}-apt-{release}"


def ensure(release: Release, kind: str, progress: Progress) -> str:
    """The name of an up-to-date image; builds it when needed. `kind` is bare, packages or peer."""
    with locked_file(cache_home() / "images.lock", _("Wait for another lab that builds its images"), progress):
        return {"bare": _bare, "packages": _packages, "peer": _peer}[kind](release, progress)


def _bare(release: Release, progress: Progress) -> str:
    name = f"{REPOSITORY}/{release.name}:bare"
    script = _script("layer.sh")
    if _is_current(name, content := _digest(script, *LAYER)):
        return name
    base = _base(release, progress)
    progress(_("Build the bare image of {release}").format(release=release.name))
    _build(base, name, release, ["sh", "-euc", script, "layer", *LAYER], content)
    attempt("rmi", base)
    return name


def _packages(release: Release, progress: Progress) -> str:
    name = f"{REPOSITORY}/{release.name}:packages"
    base, wanted = _bare(release, progress), declared(release.name)
    if _is_current(name, content := _digest(wanted.digest, inspect("image", base, "{{.Id}}"))):
        return name
    progress(
        _("Build the image of {release} with {count} packages").format(release=release.name, count=len(wanted.packages))
    )
    script = _script("install.sh")
    _build(base, name, release, ["sh", "-euc", script, "install", "\n".join(wanted.debconf), *wanted.packages], content)
    return name


def _peer(release: Release, progress: Progress) -> str:
    name = f"{REPOSITORY}/peer:latest"
    base = _bare(release, progress)
    if _is_current(name, content := _digest(*PEER_PACKAGES, inspect("image", base, "{{.Id}}"))):
        return name
    progress(_("Build the image of the peer"))
    _build(base, name, release, ["sh", "-euc", _script("install.sh"), "install", "", *PEER_PACKAGES], content)
    return name


def _base(release: Release, progress: Progress) -> str:
    """The release as it comes, under a name of ours; an image that was there before stays as it was."""
    base = f"{REPOSITORY}/{release.name}:base"
    if release.image not in _unreachable:
        progress(_("Pull {image}").format(image=release.image))
        known = exists("image", release.image)
        if attempt("pull", "--quiet", release.image, seconds=300).returncode == 0 or known:
            docker("tag", release.image, base)
            if not known:
                attempt("rmi", release.image)
            return base
        _unreachable.add(release.image)
    if release.suite is None:
        raise ValijaError(
            _("{release} not run: its image {image} cannot be pulled, and Debian has no keys to bootstrap it.").format(
                release=release.name, image=release.image
            )
        )
    progress(_("Bootstrap {release} from its package mirror (half a minute)").format(release=release.name))
    _bootstrap(release.suite, base)
    return base


def _bootstrap(suite: str, name: str) -> None:
    """Make an image of a Debian suite with mmdebstrap(1)."""
    tool = shutil.which("mmdebstrap")
    if tool is None:
        raise ValijaError(
            _(
                "No registry answers, and mmdebstrap is not there to build an image: apt-get install mmdebstrap, or "
                "let the engine reach its registry."
            )
        )
    # What an interrupted bootstrap left goes first; its mmdebstrap may still be there to write more, elsewhere.
    shutil.rmtree(cache_home() / "bootstrap", ignore_errors=True)
    (cache_home() / "bootstrap").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=cache_home() / "bootstrap"))
    tar = folder / "root.tar"
    command = [tool, "--variant=minbase", f"--include={','.join(LAYER)}", suite, str(tar)]
    # In a user namespace the root file system grows where another user id can go: not in somebody's home.
    place = {"TMPDIR": str(folder)} if os.geteuid() == 0 else {}
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "LANGUAGE": "C", **place}
    result = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
        env=environment,
    )
    log = _logs() / f"mmdebstrap-{suite}.log"
    log.write_text(shlex.join(command) + "\n" + result.stderr)
    if result.returncode:
        raise ValijaError(
            _(
                "mmdebstrap could not build {suite}: {words}. Its log: {log}. It works as root, or with user "
                "namespaces and newuidmap (apt-get install uidmap)."
            ).format(suite=suite, words=(result.stderr.strip().splitlines() or ["?"])[-1], log=log)
        )
    docker("import", str(tar), name, seconds=600)
    shutil.rmtree(folder, ignore_errors=True)


def _build(base: str, name: str, release: Release, command: list[str], content: str) -> None:
    """Run a command in a container of `base` and keep the result as the image `name`."""
    builder = BUILDER + name.removeprefix(f"{REPOSITORY}/").replace(":", "-")
    remove_containers([builder])
    _ensure_volume(release)
    result = attempt(
        *("run", "--name", builder),
        *("--volume", f"{apt_volume(release.name)}:{APT_CACHE}", base, *command),
        seconds=BUILD_SECONDS,
    )
    output = (result.stdout + result.stderr).decode(errors="replace")
    log = _logs() / f"{builder}.log"
    log.write_text(output)
    if result.returncode:
        remove_containers([builder])
        errors = [line for line in output.splitlines() if line.startswith("E:")] or output.strip().splitlines()[-1:]
        raise ValijaError(
            _("The image {name} could not be built: {words}. Its log: {log}").format(
                name=name, words=" ".join(errors), log=log
            )
        )
    changes = ['CMD ["/sbin/init"]', f"LABEL {IMAGE_LABEL}={name} {CONTENT_LABEL}={content}"]
    before = inspect("image", name, "{{.Id}}")
    docker("commit", *(f"--change={change}" for change in changes), builder, name, seconds=600)
    remove_containers([builder])
    if before:
        # Stays, without a name, while a host of some lab stands on it.
        attempt("rmi", before)


def _ensure_volume(release: Release) -> None:
    if not exists("volume", apt_volume(release.name)):
        docker("volume", "create", f"--label={IMAGE_LABEL}={release.name}", apt_volume(release.name))


def remove_all() -> list[str]:
    """Remove our images and caches; returns the names of those that another lab still uses."""
    remove_containers(docker("ps", "--all", "--filter", f"name=^{BUILDER}", "--format", "{{.Names}}").split())
    ours = docker("images", "--quiet", "--filter", f"label={IMAGE_LABEL}", "--filter", "dangling=true").split()
    ours += docker("images", "--filter", f"reference={REPOSITORY}/*", "--format", "{{.Repository}}:{{.Tag}}").split()
    kept = [name for name in ours if attempt("rmi", name).returncode]
    for name in labelled("volume", {IMAGE_LABEL: None}):
        if attempt("volume", "rm", name).returncode:
            kept.append(name)
    shutil.rmtree(cache_home(), ignore_errors=True)
    return kept


def _is_current(name: str, content: str) -> bool:
    return inspect("image", name, f'{{{{index .Config.Labels "{CONTENT_LABEL}"}}}}') == content


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _script(name: str) -> str:
    return (resources.files("valija.lab") / "image" / name).read_text()


def _logs() -> Path:
    folder = cache_home() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
