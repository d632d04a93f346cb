"""Which files on the host are ours already: so our own former content is never kept as a stranger's.

Most files say so in their header; some grammars have no comments (/etc/mailname).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from ansible_collections.valija.mailserver.plugins.module_utils import landing


class Owned:
    """The list of one role, below ``state``. ``paths`` holds those of all roles: one may take over from another."""

    def __init__(self, role: str, state: Path) -> None:
        self._file = state / "owned" / f"{role}.json"
        self._own = _listed(self._file)
        self.paths = self._own.union(*map(_listed, self._file.parent.glob("*.json")))

    def add(self, paths: Iterable[str]) -> None:
        """Remember more paths; writes only when one is new."""
        known = self._own | frozenset(paths)
        if known == self._own:
            return
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = json.dumps(sorted(known), indent=1) + "\n"
        landing.write_file(str(self._file), text.encode(), os.geteuid(), os.getegid(), 0o600)
        self._own, self.paths = known, self.paths | known


def _listed(file: Path) -> frozenset[str]:
    with contextlib.suppress(OSError, ValueError):
        return frozenset(json.loads(file.read_text()))
    return frozenset()
