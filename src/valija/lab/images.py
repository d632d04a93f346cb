"""Images of a release: bare (systemd, sshd, Python), and with the packages that the roles declare.

The distribution's own registry image when it can be pulled, else the same release from its package mirror. All labs use
the same images; a label says which lab made one, and that lab alone removes it.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from valija.errors import ValijaError
from valija.lab.engine import (
    IMAGE_LABEL,
    MAKER_LABEL,
    attempt,
    docker,
    exists,
    inspect,
    label_options,
    labelled,
    remove_containers,
)
from valija.lab.packages import declared
from valija.lab.releases import Release
from valija.lab.state import Place, Progress, cache_home, locked_file
from valija.messages import _

REPOSITORY = "valija-lab"
BUILDER = "valija-build-"
PEER_PACKAGES = ("knot", "pebble", "python3-aiosmtpd")
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


@contextmanager
def in_use(progress: Progress) -> Iterator[None]:
    """From finding an image to starting a host on it: nobody removes images meanwhile."""
    with locked_file(_use_lock(), _("Wait for another lab that removes its images"), progress, shared=True):
        yield


def ensure(place: Place, release: Release, kind: str, progress: Progress) -> str:
    """The name of an up-to-date image; builds it, for this lab, when needed. `kind` is bare, packages or peer."""
    with locked_file(cache_home() / "images.lock", _("Wait for another lab that builds its images"), progress):
        return {"bare": _bare, "packages": _packages, "peer": _peer}[kind](place, release, progress)


def _bare(place: Place, release: Release, progress: Progress) -> str:
    name = f"{REPOSITORY}/{release.name}:bare"
    script = _script("layer.sh")
    if _is_current(name, content := _digest(script, *LAYER)):
        return name
    base = _base(place, release, progress)
    progress(_("Build the bare image of {release}").format(release=release.name))
    _build(place, base, name, release, ["sh", "-euc", script, "layer", *LAYER], content)
    attempt("rmi", base)
    return name


def _packages(place: Place, release: Release, progress: Progress) -> str:
    name = f"{REPOSITORY}/{release.name}:packages"
    base, wanted = _bare(place, release, progress), declared(release.name)
    if _is_current(name, content := _digest(wanted.digest, inspect("image", base, "{{.Id}}"))):
        return name
    progress(
        _("Build the image of {release} with {count} packages").format(release=release.name, count=len(wanted.packages))
    )
    script = _script("install.sh")
    command = ["sh", "-euc", script, "install", "\n".join(wanted.debconf), *wanted.packages]
    _build(place, base, name, release, command, content)
    return name


def _peer(place: Place, release: Release, progress: Progress) -> str:
    name = f"{REPOSITORY}/peer:latest"
    base = _bare(place, release, progress)
    if _is_current(name, content := _digest(*PEER_PACKAGES, inspect("image", base, "{{.Id}}"))):
        return name
    progress(_("Build the image of the peer"))
    _build(place, base, name, release, ["sh", "-euc", _script("install.sh"), "install", "", *PEER_PACKAGES], content)
    return name


def _base(place: Place, release: Release, progress: Progress) -> str:
    """The release as it comes, under a name of ours; an image that was there before stays as it was."""
    base = f"{REPOSITORY}/{release.name}:{_base_tag(place)}"
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


def _build(place: Place, base: str, name: str, release: Release, command: list[str], content: str) -> None:
    """Run a command in a container of `base` and keep the result as the image `name`."""
    builder = _builder_prefix(place) + name.removeprefix(f"{REPOSITORY}/").replace(":", "-")
    remove_containers([builder])
    _ensure_volume(place, release)
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
    changes = [
        'CMD ["/sbin/init"]',
        f"LABEL {IMAGE_LABEL}={name} {CONTENT_LABEL}={content} {MAKER_LABEL}={place.identity}",
    ]
    before, maker = inspect("image", name, "{{.Id}}"), _maker(name)
    docker("commit", *(f"--change={change}" for change in changes), builder, name, seconds=600)
    remove_containers([builder])
    if before and maker == place.identity:
        # Stays, without a name, while a host of some lab stands on it; another lab's is for that lab to remove.
        attempt("rmi", before)


def _ensure_volume(place: Place, release: Release) -> None:
    if not exists("volume", name := apt_volume(release.name)):
        labels = {IMAGE_LABEL: release.name, MAKER_LABEL: place.identity}
        docker("volume", "create", *label_options(labels), name)


def remove_made_by(place: Place, progress: Progress) -> list[str]:
    """Remove the images and volumes that this lab made; returns the names of those that another lab still uses.

    A container or an image that somebody made from one of ours inherits its labels, so names count as well.
    """
    with locked_file(_use_lock(), _("Wait for another lab that starts"), progress):
        listing = ("ps", "--all", "--filter", f"name=^{_builder_prefix(place)}", "--format", "{{.Names}}")
        remove_containers(docker(*listing).split())
        made = f"label={MAKER_LABEL}={place.identity}"
        named = ("--format", "{{.Repository}}:{{.Tag}}", "--filter")
        ours = docker("images", "--quiet", "--filter", made, "--filter", "dangling=true").split()
        ours += docker("images", "--filter", made, *named, f"reference={REPOSITORY}/*").split()
        ours += docker("images", *named, f"reference={REPOSITORY}/*:{_base_tag(place)}").split()
        kept = [name for name in ours if attempt("rmi", name).returncode]
        kept += [
            name
            for name in labelled("volume", {MAKER_LABEL: place.identity})
            if attempt("volume", "rm", name).returncode
        ]
        # Nobody builds now; other folders there belong to the sites.
        for folder in ("bootstrap", "logs"):
            shutil.rmtree(cache_home() / folder, ignore_errors=True)
        return kept


def _use_lock() -> Path:
    return cache_home() / "images-in-use.lock"


def _builder_prefix(place: Place) -> str:
    """How the names of the containers begin in which this lab builds images."""
    return f"{BUILDER}{place.identity}-"


def _base_tag(place: Place) -> str:
    """The tag of an image without labels, which is there while this lab builds the bare one on it."""
    return f"base-{place.identity}"


def _maker(name: str) -> str:
    return inspect("image", name, f'{{{{index .Config.Labels "{MAKER_LABEL}"}}}}')


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
