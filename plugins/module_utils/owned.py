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
    """The list of one role, below ``state``."""

    def __init__(self, role: str, state: Path) -> None:
        self._file = state / "owned" / f"{role}.json"
        self.paths: frozenset[str] = frozenset()
        with contextlib.suppress(OSError, ValueError):
            self.paths = frozenset(json.loads(self._file.read_text()))

    def add(self, paths: Iterable[str]) -> None:
        """Remember more paths; writes only when one is new."""
        known = self.paths | frozenset(paths)
        if known == self.paths:
            return
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = json.dumps(sorted(known), indent=1) + "\n"
        landing.write_file(str(self._file), text.encode(), os.geteuid(), os.getegid(), 0o600)
        self.paths = known
