"""A file of the control node is replaced whole, and stays its owner's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.valija.mailserver.plugins.plugin_utils import local_files

from valija import inventory_files
from valija.lab import state


@pytest.mark.parametrize(
    ("before", "given", "after"), [(None, None, 0o600), (0o640, None, 0o640), (0o644, 0o600, 0o600)]
)
def test_the_mode_is_the_one_given_or_the_one_that_was(
    before: int | None, given: int | None, after: int, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    if before is not None:
        path.touch()
        path.chmod(before)
    local_files.replace(path, b"new", given)
    assert (path.read_bytes(), path.stat().st_mode & 0o7777) == (b"new", after)
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes the files of others")
def test_a_file_stays_its_owners_when_root_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch(mode=0o600)
    os.chown(path, 1234, 2345)
    inventory_files.replace(path, "new")
    status = path.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (1234, 2345, 0o600)


def test_owner_and_disk_are_seen_to_before_the_file_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def refused(_descriptor: int, uid: int, _gid: int) -> None:
        done.append(f"owner {uid}" if uid == -1 else "owner")
        if uid != -1:
            raise PermissionError

    def synced(_descriptor: int) -> None:
        done.append(f"sync {path.read_text()}")

    monkeypatch.setattr(os, "fchown", refused)
    monkeypatch.setattr(os, "fsync", synced)
    inventory_files.replace(path, "new")
    assert done == ["owner", "owner -1", "sync old"]
    assert path.read_bytes() == b"new"


def test_a_write_that_fails_leaves_what_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(_descriptor: int) -> None:
        raise OSError

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        local_files.replace(path, b"new")
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("file", b"old")]


def test_the_lab_and_the_roles_keep_what_can_be_made_again_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative, so invalid")
    assert state.cache_home() == local_files.cache_directory() == Path.home() / ".cache" / "valija"
