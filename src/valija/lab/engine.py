"""The seam to the Docker engine: every call to its client is made here, and every failure says what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping

from valija.errors import ValijaError
from valija.messages import _

LAB_LABEL = "org.valija.lab"
STATE_LABEL = "org.valija.state"
IMAGE_LABEL = "org.valija.image"
# The identity of the lab that made an image or a volume which all labs use.
MAKER_LABEL = "org.valija.made-by"


class EngineError(ValijaError):
    """The engine refused or could not be reached."""


def docker(*arguments: str, stdin: bytes | None = None, seconds: float = 120) -> str:
    """Run the Docker client and return its standard output without trailing white space.

    Raises `EngineError` with the engine's own last words when it fails or takes longer than `seconds`.
    """
    result = attempt(*arguments, stdin=stdin, seconds=seconds)
    if result.returncode:
        words = result.stderr.decode(errors="replace").strip().splitlines()
        raise EngineError(
            _("docker {command} failed: {words}").format(
                command=" ".join(arguments[:2]), words=words[-1] if words else result.returncode
            )
        )
    return result.stdout.decode(errors="replace").rstrip()


def attempt(*arguments: str, stdin: bytes | None = None, seconds: float = 120) -> subprocess.CompletedProcess[bytes]:
    """Run the Docker client where failing is an answer; the caller looks at the return code."""
    client = shutil.which("docker")
    if client is None:
        raise EngineError(
            _("There is no docker command. Install the engine (apt-get install docker.io), then run this again.")
        )
    try:
        return subprocess.run(
            [client, *arguments],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=seconds,
            check=False,
            # A long line per error, whatever the language of the user.
            env={**os.environ, "LC_ALL": "C", "DOCKER_CLI_HINTS": "false"},
        )
    except subprocess.TimeoutExpired:
        raise EngineError(
            _("docker {command} did not end within {seconds} s. Look at the engine's log.").format(
                command=" ".join(arguments[:2]), seconds=round(seconds)
            )
        ) from None


def require_engine() -> None:
    """Stop with the remedy when no engine answers."""
    result = attempt("version", "--format", "{{.Server.Version}}", seconds=30)
    if result.returncode:
        raise EngineError(
            _(
                "The Docker engine does not answer ({words}). Start it (systemctl start docker), or add yourself to "
                "the group docker, then run this again."
            ).format(words=result.stderr.decode(errors="replace").strip().splitlines()[-1:])
        )


def labelled(kind: str, labels: Mapping[str, str | None]) -> list[str]:
    """The names of containers, networks or volumes that carry all these labels (None: any value)."""
    listing = {
        "container": ("ps", "--all", "--format", "{{.Names}}"),
        "network": ("network", "ls", "--format", "{{.Name}}"),
        "volume": ("volume", "ls", "--format", "{{.Name}}"),
    }[kind]
    filters = [f"--filter=label={key}" + (f"={value}" if value is not None else "") for key, value in labels.items()]
    return docker(*listing, *filters).split()


def label_options(labels: Mapping[str, str]) -> list[str]:
    """Labels as options of `docker create` and its like."""
    return [f"--label={key}={value}" for key, value in labels.items()]


def exists(kind: str, name: str) -> bool:
    """Whether the engine has this container, image, network or volume."""
    return attempt(kind, "inspect", name, seconds=30).returncode == 0


def inspect(kind: str, name: str, template: str) -> str:
    """One value that the engine knows of an object, by a Go template; empty when there is no such object."""
    result = attempt(kind, "inspect", "--format", template, name, seconds=30)
    return result.stdout.decode().strip() if result.returncode == 0 else ""


def remove_containers(names: Iterable[str]) -> None:
    """Remove containers with their anonymous volumes; one that is already gone is no error."""
    names = list(names)
    if names:
        attempt("rm", "--force", "--volumes", *names)
