"""SquirrelMail's source, fetched on the control node and made ready for a host, so that a host needs no way out."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils.trees import digest_of_archive
from ansible_collections.valija.mailserver.plugins.plugin_utils import squirrelmail_tree
from ansible_collections.valija.mailserver.plugins.plugin_utils.archives import packed
from ansible_collections.valija.mailserver.plugins.plugin_utils.local_files import cache_directory, replace

_REMEDY = (
    "Set mail_squirrelmail_source to a git address and commit that this machine reaches, or to a local archive with its"
    " sha256; or let git use a mirror (git config --global url.<mirror>.insteadOf <address>);"
    " or set mail_webmail: none."
)

# Seconds that git may take to fetch the source.
_GIT_TIMEOUT = 300

# A URL's userinfo (RFC 3986, section 3.2.1), up to the last @ of the authority; a mirror's stands in git's own words.
_USERINFO = re.compile(r"(?<=://)[^/\s'\"]*@")


class SourceError(Exception):
    """The source cannot be had; the text says from where, why, and what to set."""


@dataclass(frozen=True)
class Archive:
    """A tar archive on the control node whose content is a host's tree."""

    path: Path
    digest: str
    version: str


def obtain(source: Mapping[str, Any], cache_dir: Path | None = None) -> Archive:
    """The tree of ``source`` as an archive: ``{git, commit}`` or ``{archive, sha256}``.

    What was made once is used again without git or network. Raises :class:`SourceError`.
    """
    kind, place, wanted = _described(source)
    cache = cache_dir or cache_directory()
    key = hashlib.sha256(f"{wanted}\n{_edition()}".encode()).hexdigest()[:12]
    path = cache / f"squirrelmail-{wanted[:12]}-{key}.tar"
    if known := _kept(path):
        return known
    files = _from_git(place, wanted) if kind == "git" else _from_archive(Path(place), wanted)
    try:
        version = f"{squirrelmail_tree.version(files)} {wanted[:12]}"
        prepared = squirrelmail_tree.prepared(files)
    except squirrelmail_tree.UnexpectedSourceError as error:
        raise SourceError(
            f"SquirrelMail's source {_shown(place)} {wanted} is not as expected: {error}. {_REMEDY}"
        ) from error
    try:
        return _keep(path, prepared, version)
    except OSError as error:
        raise SourceError(f"SquirrelMail's archive cannot be kept: {error}. Set XDG_CACHE_HOME.") from error


def _described(source: Mapping[str, Any]) -> tuple[str, str, str]:
    given = {name: str(value) for name, value in source.items() if value not in (None, "")}
    for kind, check, digits in (("git", "commit", 40), ("archive", "sha256", 64)):
        if set(given) == {kind, check}:
            wanted = given[check].lower()
            if not re.fullmatch(rf"[0-9a-f]{{{digits}}}", wanted):
                raise SourceError(f"mail_squirrelmail_source: {check} has {digits} hexadecimal digits, not {wanted!r}")
            return kind, given[kind], wanted
    raise SourceError(f"mail_squirrelmail_source needs git and commit, or archive and sha256, not {sorted(given)}")


def _edition() -> str:
    """What an archive depends on beside its source: our own changes."""
    return hashlib.sha256(Path(squirrelmail_tree.__file__).read_bytes() + Path(__file__).read_bytes()).hexdigest()


def _shown(words: str) -> str:
    """Words without what stands before the @ of an address in them: a name and a password, or a token."""
    return _USERINFO.sub("", words)


def _from_git(address: str, commit: str) -> dict[str, bytes]:
    shown = _shown(address)
    with tempfile.TemporaryDirectory(prefix="valija-squirrelmail-") as folder:
        try:
            _git(folder, "init", "--quiet", "--bare")
            try:
                _git(folder, "fetch", "--quiet", "--depth", "1", "--", address, commit)
            except subprocess.CalledProcessError:
                # A server may refuse to give a commit by its id: then everything, and the commit from it.
                _git(folder, "fetch", "--quiet", "--", address, "+refs/*:refs/source/*")
            found = _git(folder, "rev-parse", "--verify", f"{commit}^{{commit}}").decode().strip()
            if found != commit:
                raise SourceError(f"SquirrelMail's source: {shown} has {found} where {commit} was asked for")
            return _unpacked(_git(folder, "archive", "--format=tar", commit))
        except subprocess.CalledProcessError as error:
            words = _shown(" ".join(error.stderr.decode(errors="replace").split()).rstrip("."))
            raise SourceError(
                f"SquirrelMail's source cannot be fetched from {shown}, commit {commit}: git says: {words}. {_REMEDY}"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise SourceError(
                f"SquirrelMail's source cannot be fetched from {shown}, commit {commit}: no answer within"
                f" {_GIT_TIMEOUT} s. {_REMEDY}"
            ) from error
        except FileNotFoundError as error:
            raise SourceError(f"git is not installed on the control node (apt-get install git). {_REMEDY}") from error


def _git(folder: str, *arguments: str) -> bytes:
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_DIR": folder}
    command = ["git", "-c", "gc.auto=0", *arguments]
    return subprocess.run(command, check=True, capture_output=True, env=environment, timeout=_GIT_TIMEOUT).stdout


def _from_archive(path: Path, wanted: str) -> dict[str, bytes]:
    try:
        content = path.expanduser().read_bytes()
    except OSError as error:
        raise SourceError(f"SquirrelMail's archive {path} cannot be read: {error.strerror}. {_REMEDY}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != wanted:
        raise SourceError(f"SquirrelMail's archive {path} has sha256 {found} where {wanted} was asked for. {_REMEDY}")
    try:
        return _unpacked(content)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise SourceError(f"SquirrelMail's archive {path} is no tar archive: {error}. {_REMEDY}") from error


def _unpacked(content: bytes) -> dict[str, bytes]:
    """The regular files of a tar archive, by their path below the folder that holds them all, if one does."""
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            parts = PurePosixPath(member.name).parts
            if not member.isfile() or not parts or member.name.startswith("/") or ".." in parts:
                continue
            stream = archive.extractfile(member)
            files["/".join(part for part in parts if part != ".")] = stream.read() if stream else b""
    tops = {path.split("/", 1)[0] for path in files}
    if len(tops) == 1 and all("/" in path for path in files):
        return {path.split("/", 1)[1]: data for path, data in files.items()}
    return files


def _kept(path: Path) -> Archive | None:
    """The archive made before, unless it is gone or damaged."""
    try:
        note = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if note["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest():
            return Archive(path, note["digest"], note["version"])
    except (OSError, ValueError, KeyError):
        pass
    return None


def _keep(path: Path, files: Mapping[str, bytes], version: str) -> Archive:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = packed(files)
    replace(path, content)
    archive = Archive(path, digest_of_archive(path), version)
    note = {"sha256": hashlib.sha256(content).hexdigest(), "digest": archive.digest, "version": version}
    replace(path.with_suffix(".json"), json.dumps(note, sort_keys=True).encode())
    return archive
