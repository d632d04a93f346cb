"""The files of an inventory as files: encoding and YAML, looked at before Ansible reads them.

Ansible stops at the first broken file, in words about its own loader, and takes the last of two equal keys.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml
from ansible_collections.valija.mailserver.plugins.plugin_utils import local_files

from valija.errors import InputError
from valija.messages import _

ROOMS = ("group_vars", "host_vars")
_YAML = (".yml", ".yaml", ".json")
_VAULT = b"$ANSIBLE_VAULT;"


def require_readable(inventory: Sequence[str]) -> None:
    """Raise InputError, one finding a line, when a source does not exist or a file of it cannot be read."""
    found = findings(inventory)
    if found:
        raise InputError("\n".join(found))


def findings(inventory: Sequence[str]) -> list[str]:
    """What is wrong with the files of these sources, `FILE:LINE: problem. Remedy.` each (a list of hosts has none)."""
    found: list[str] = []
    for source in inventory:
        if "," in source:
            continue
        if not Path(source).exists():
            found.append(_("{path}: the inventory does not exist. `valija init` writes one.").format(path=source))
            continue
        for path in files(Path(source)):
            found += _look_at(path)
    return found


def files(source: Path) -> list[Path]:
    """The files that make up an inventory: the hosts' own, and those of group_vars and host_vars beside it."""
    folder = source if source.is_dir() else source.parent
    own = [path for path in sorted(folder.glob("*")) if path.is_file()] if source.is_dir() else [source]
    sources = [path for path in own if path.suffix in (*_YAML, ".ini", "") and not os.access(path, os.X_OK)]
    rooms = [path for room in ROOMS for path in sorted((folder / room).rglob("*")) if path.is_file()]
    return sources + [path for path in rooms if path.suffix in (*_YAML, "") and not path.name.startswith(".")]


def replace(path: Path, text: str) -> None:
    """Put a text in place of a file's, in one step; the file's owner and mode stay, and a link stays a link."""
    local_files.replace(path.resolve(), text.encode())


@contextmanager
def edited(inventory: Sequence[str]) -> Iterator[None]:
    """Let one process at a time read, edit and write the files of a site; the lock ends with the process.

    It is held on the folders themselves (flock(2)), so that nothing is left in a site.
    """
    paths = [Path(source) for source in inventory if "," not in source and Path(source).exists()]
    folders = sorted({(path if path.is_dir() else path.parent).resolve() for path in paths})
    with ExitStack() as stack:
        for folder in folders:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def encrypted(inventory: Sequence[str]) -> list[Path]:
    """The files of these sources that a vault encrypts as a whole."""
    found = [path for source in inventory if Path(source).exists() for path in files(Path(source))]
    return [_shown(path) for path in found if path.read_bytes().startswith(_VAULT)]


def _look_at(path: Path) -> list[str]:
    shown = _shown(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        return [
            _("{path}: cannot be read: {reason}. Correct its permissions.").format(path=path, reason=error.strerror)
        ]
    if data.startswith(_VAULT):
        return []
    shown = _shown(path)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        words = _("{path}:{line}: is not UTF-8: byte 0x{byte:02x} at offset {offset}. Save the file as UTF-8.")
        line = data.count(b"\n", 0, error.start) + 1
        return [words.format(path=shown, line=line, byte=data[error.start], offset=error.start)]
    if path.suffix not in _YAML and path.parent.name not in ROOMS and path.parent.parent.name not in ROOMS:
        return []
    try:
        document = _composed(text)
    except yaml.YAMLError as error:
        return [_syntax(shown, error)]
    return list(_in_mappings(shown, document)) if document is not None else []


def _composed(text: str) -> yaml.Node | None:
    """The text as YAML's nodes: by libyaml where it is there, which is quick; the other parser tells errors better."""
    try:
        document: yaml.Node | None = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        document = yaml.compose(text, Loader=yaml.SafeLoader)
    return document


def _syntax(shown: Path, error: yaml.YAMLError) -> str:
    """A syntax error with its line, and what mostly causes it."""
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or error).splitlines()[0]
    if "\\t" in problem:
        remedy = _("Indent with spaces, not with tabs.")
    elif "mapping values are not allowed" in problem:
        remedy = _("Quote a value that holds a colon, and look at the indentation of this line.")
    elif "cannot start any token" in problem:
        remedy = _("Quote the value.")
    else:
        remedy = _("Look at the quotes, the brackets and the indentation of this line and the one before.")
    place = f"{shown}:{mark.line + 1}" if mark is not None else str(shown)
    return _("{place}: is not YAML: {problem}. {remedy}").format(place=place, problem=problem, remedy=remedy)


def _in_mappings(shown: Path, node: yaml.Node) -> Iterator[str]:
    """Keys that stand twice, and templates without quotes, which YAML reads as mappings."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _in_mappings(shown, item)
    if not isinstance(node, yaml.MappingNode):
        return
    first: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            words = _("{path}:{line}: a template without quotes is no text to YAML. Quote it: '{{{{ ... }}}}'.")
            yield words.format(path=shown, line=line)
            continue
        if key.value in first:
            words = _("{path}:{line}: {key}: is there twice, first in line {first}. Remove one of the two.")
            yield words.format(path=shown, line=line, key=key.value, first=first[key.value])
        first[key.value] = line
        if key.value == "hosts" and isinstance(value, yaml.SequenceNode):
            words = _("{path}:{line}: hosts: is a list. Write each host as a key, its name and a colon.")
            yield words.format(path=shown, line=line)
        yield from _in_mappings(shown, value)


def _shown(path: Path) -> Path:
    """The path relative to the current folder where it lies in it."""
    absolute = path.absolute()
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute
