"""What a transaction has replaced: the originals, kept on the host until the new configuration is proved.

The journal is on the disk before the first write. A run that is killed leaves it behind, and the next run knows from it
the last configuration that was good.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils import files, landing


class Journal:
    """The journal of one role below ``state``. ``opened``: it is on the disk; ``left_over``: by a killed run."""

    def __init__(self, role: str, state: Path) -> None:
        self.folder = state / "rollback" / role
        self.left_over = self.opened = False
        self._data: dict[str, Any] = {"since": 0.0, "restarts": [], "reloads": [], "services": {}, "entries": []}
        try:
            self._data = json.loads((self.folder / "journal.json").read_text())
            self.left_over = self.opened = True
        except (FileNotFoundError, ValueError):
            pass

    @property
    def since(self) -> float:
        """When the first write of the transaction was made, seconds since 1970."""
        return float(self._data["since"])

    @property
    def restarts(self) -> list[str]:
        """The services that must have been restarted after `since`."""
        return list(self._data["restarts"])

    @property
    def reloads(self) -> list[str]:
        """The services that must have been reloaded or restarted after `since`."""
        return list(self._data["reloads"])

    @property
    def services(self) -> dict[str, dict[str, bool]]:
        """The services as they were before the transaction: name to ``running`` and ``enabled``."""
        return dict(self._data["services"])

    def __contains__(self, path: str) -> bool:
        return any(entry["path"] == path for entry in self._data["entries"])

    def was_absent(self, path: str) -> bool:
        """Whether a killed run has found nothing at this path."""
        return any(entry["path"] == path and entry["kind"] == "absent" for entry in self._data["entries"])

    def open(
        self,
        paths: Iterable[str],
        trees: Mapping[str, bool],
        *,
        restarts: Iterable[str],
        reloads: Iterable[str],
        services: Mapping[str, Mapping[str, bool]],
    ) -> None:
        """Save the originals of all paths and trees that are about to change, before any does.

        ``trees`` tells of each whether it is somebody else's, and so is kept beside ours once all went well.
        What an earlier, killed transaction saved stays: that is what was good.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        data = self._data
        data["since"] = data["since"] or time.time()
        data["restarts"] = sorted({*data["restarts"], *restarts})
        data["reloads"] = sorted({*data["reloads"], *reloads})
        data["services"] = {**services, **data["services"]}
        for tree, foreign in trees.items():
            if tree not in self:
                existed = Path(tree).is_dir()
                self._add(
                    {"path": tree, "kind": "tree", "aside": aside_of(tree), "existed": existed, "foreign": foreign}
                )
        for path in paths:
            for parent in landing.missing_parents(path):
                if parent not in self:
                    self._add({"path": parent, "kind": "absent"})
            if path not in self:
                self._add(self._saved(path))
        text = json.dumps(data, indent=1)
        landing.write_file(str(self.folder / "journal.json"), text.encode(), os.geteuid(), os.getegid(), 0o600)
        self.opened = True

    def _add(self, entry: dict[str, Any]) -> None:
        self._data["entries"].append(entry)

    def _saved(self, path: str) -> dict[str, Any]:
        actual = files.read(path)
        entry: dict[str, Any] = {"path": path, "kind": actual.kind}
        if actual.kind in ("file", "directory"):
            entry |= {"mode": actual.mode, "uid": actual.uid, "gid": actual.gid}
        if actual.kind == "file":
            name = f"{len(self._data['entries']):04d}"
            modified = Path(path).stat().st_mtime_ns
            landing.write_file(str(self.folder / name), actual.content, os.geteuid(), os.getegid(), 0o600)
            entry |= {"saved": name, "modified_ns": modified}
        elif actual.kind == "link":
            entry["target"] = actual.target
        return entry

    def put_back(self) -> list[str]:
        """Restore every original, the last change first, and return their paths. The journal itself stays."""
        restored = []
        for entry in reversed(self._data["entries"]):
            if self._restore(entry):
                restored.append(str(entry["path"]))
        return restored[::-1]

    def _restore(self, entry: Mapping[str, Any]) -> bool:
        path, kind = entry["path"], entry["kind"]
        if kind == "tree":
            return _restore_tree(entry)
        actual = files.read(path)
        if kind == "absent":
            if actual.kind == "absent":
                return False
            try:
                landing.remove(path)
            except files.Blocked:
                return False  # a folder of ours into which somebody put something meanwhile
            return True
        if kind == "link":
            if actual.kind == "link" and actual.target == entry["target"]:
                return False
            landing.write_link(path, entry["target"])
            return True
        same_owner = (actual.mode, actual.uid, actual.gid) == (entry.get("mode"), entry.get("uid"), entry.get("gid"))
        if kind == "directory":
            if actual.kind == "directory" and same_owner:
                return False
            if actual.kind == "absent":
                Path(path).mkdir(0o700)
            os.chown(path, entry["uid"], entry["gid"])
            Path(path).chmod(entry["mode"])
            return True
        content = (self.folder / entry["saved"]).read_bytes()
        if actual.kind == "file" and same_owner and actual.content == content:
            return False
        landing.write_file(path, content, entry["uid"], entry["gid"], entry["mode"], entry["modified_ns"])
        return True

    def discard(self) -> None:
        """Forget the originals: what stands now is good."""
        for entry in self._data["entries"]:
            if entry["kind"] != "tree":
                landing.clear(landing.beside(entry["path"]))
                continue
            shutil.rmtree(landing.beside(entry["path"]), ignore_errors=True)
            if not Path(entry["aside"]).is_dir():
                continue
            kept = Path(entry["path"] + files.KEPT)
            if entry["foreign"] and not kept.exists():
                Path(entry["aside"]).rename(kept)
            else:
                shutil.rmtree(entry["aside"])
        (self.folder / "journal.json").unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def aside_of(tree: str) -> str:
    """Where a tree's original stands until the new one is proved: beside it, for a rename stays on one file system."""
    return f"{Path(tree).parent}/.{Path(tree).name}.valija-former"


def _restore_tree(entry: Mapping[str, Any]) -> bool:
    path, aside = entry["path"], entry["aside"]
    if Path(aside).is_dir():
        shutil.rmtree(path, ignore_errors=True)
        Path(aside).rename(path)
        return True
    if not entry["existed"] and Path(path).is_dir():
        shutil.rmtree(path)
        return True
    return False
