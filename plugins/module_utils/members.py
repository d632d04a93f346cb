"""Users who must be members of groups, beside those who are: group(5) and gshadow(5), under the locks of shadow-utils.

A membership is only ever added. The daemon that needs it must be restarted: a process keeps the groups it began with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils import shadow_files
from ansible_collections.valija.mailserver.plugins.module_utils.shadow_files import Entries

ETC = Path("/etc")
# Which field of a line holds the members, separated by commas.
_FIELD = {"group": 3, "gshadow": 3}
# Other programs give up waiting for the locks after 15 s.
WITHIN_SECONDS = 30.0


@dataclass(frozen=True)
class Wanted:
    """A user who must be a member of a group, and the services, by name, that need it from their start."""

    group: str
    user: str
    restarts: tuple[str, ...] = ()


def wanted_of(data: Mapping[str, Any]) -> tuple[Wanted, ...]:
    """The members of one group from the plain values of a call."""
    return tuple(Wanted(data["group"], user, tuple(data.get("restarts") or ())) for user in data["users"])


def missing(wanted: Sequence[Wanted], etc: Path | None = None) -> tuple[Wanted, ...]:
    """Those who are not yet members, or whose group or user is not there."""
    if not wanted:
        return ()
    groups = shadow_files.parse_entries(shadow_files.read_files(etc or ETC).get("group", ""))
    return tuple(each for each in wanted if each.user not in _members(groups, each.group, "group"))


def unknown(wanted: Sequence[Wanted], etc: Path | None = None) -> str:
    """The first group or user that the host does not have; empty when it has all."""
    texts = shadow_files.read_files(etc or ETC)
    for each in wanted:
        if each.group not in shadow_files.parse_entries(texts.get("group", "")):
            return f"group {each.group}"
        if each.user not in shadow_files.parse_entries(texts.get("passwd", "")):
            return f"user {each.user}"
    return ""


def add(wanted: Sequence[Wanted], etc: Path | None = None) -> None:
    """Make them members. Raises shadow_files.LockError when another program keeps the account files."""
    _edit(wanted, etc or ETC, present=True)


def take_out(wanted: Sequence[Wanted], etc: Path | None = None) -> None:
    """Undo ``add``, for those who were missing before it."""
    _edit(wanted, etc or ETC, present=False)


def _edit(wanted: Sequence[Wanted], etc: Path, *, present: bool) -> None:
    with shadow_files.locked(etc, WITHIN_SECONDS):
        texts = shadow_files.read_files(etc)
        for file in _FIELD:
            entries = shadow_files.parse_entries(texts.get(file, ""))
            edits = _edits(entries, file, wanted, present=present)
            if edits:
                shadow_files.replace_file(etc / file, shadow_files.edit_entries(texts[file], edits))


def _edits(entries: Entries, file: str, wanted: Sequence[Wanted], *, present: bool) -> dict[str, tuple[str, ...]]:
    """The lines of the file that change, whole; a group without a line in it is left out."""
    changed: dict[str, tuple[str, ...]] = {}
    for each in wanted:
        fields = changed.get(each.group) or entries.get(each.group)
        if fields is None or len(fields) <= _FIELD[file]:
            continue
        members = [name for name in fields[_FIELD[file]].split(",") if name]
        if (each.user in members) == present:
            continue
        members = [*members, each.user] if present else [name for name in members if name != each.user]
        place = _FIELD[file]
        changed[each.group] = (*fields[:place], ",".join(members), *fields[place + 1 :])
    return changed


def _members(entries: Entries, group: str, file: str) -> list[str]:
    fields = entries.get(group, ())
    return fields[_FIELD[file]].split(",") if len(fields) > _FIELD[file] else []
