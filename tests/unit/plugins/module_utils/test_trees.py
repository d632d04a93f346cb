"""A tree shipped as an archive has one digest on both sides, and nothing in it leads out of it."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import trees

FILES = {"index.php": (b"<?php\n", 0o600), "bin/run": (b"#!/bin/sh\n", 0o700), "data/.htaccess": (b"Deny\n", 0o664)}


def archive(path: Path, extra: list[tarfile.TarInfo] | None = None) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, (content, mode) in FILES.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            tar.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("data/link")
        link.type, link.linkname = tarfile.SYMTYPE, "../index.php"
        for member in [link, *(extra or [])]:
            tar.addfile(member)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    source = archive(tmp_path / "a.tar.gz")
    root = tmp_path / "tree"
    trees.unpack(source.read_bytes(), root, os.getuid(), os.getgid())
    return root


def test_both_sides_compute_the_same_digest(tree: Path, tmp_path: Path) -> None:
    assert trees.digest_of_directory(str(tree)) == trees.digest_of_archive(tmp_path / "a.tar.gz")
    assert trees.owned_by(str(tree), os.getuid(), os.getgid())


@pytest.mark.parametrize(
    "drift",
    [
        lambda tree: (tree / "index.php").write_text("<?php evil();"),
        lambda tree: (tree / "index.php").chmod(0o666),
        lambda tree: (tree / "shell.php").touch(),
        lambda tree: (tree / "data/.htaccess").unlink(),
        lambda tree: (tree / "data/link").unlink() or (tree / "data/link").symlink_to("/etc/passwd"),
        lambda tree: (tree / "empty").mkdir(),
    ],
)
def test_every_drift_changes_the_digest(tree: Path, drift: object) -> None:
    before = trees.digest_of_directory(str(tree))
    drift(tree)  # type: ignore[operator]
    assert trees.digest_of_directory(str(tree)) != before


def test_our_own_files_below_a_tree_do_not_count(tree: Path) -> None:
    before = trees.digest_of_directory(str(tree))
    (tree / "config.php").touch()
    assert trees.digest_of_directory(str(tree), frozenset({"config.php"})) == before


def test_what_is_no_folder_has_no_digest(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert trees.digest_of_directory(str(tmp_path / "none")) is None
    assert trees.digest_of_directory(str(tmp_path / "link")) is None


@pytest.mark.parametrize(
    "evil",
    [
        member("/etc/passwd"),
        member("../outside"),
        member("a/../../outside"),
        member("out", tarfile.SYMTYPE, "../outside"),
        member("out", tarfile.SYMTYPE, "/etc"),
        member("hard", tarfile.LNKTYPE, "index.php"),
        member("null", tarfile.CHRTYPE),
    ],
    ids=lambda info: f"{info.name}-{info.linkname}",
)
def test_nothing_leads_out_of_a_tree(tmp_path: Path, evil: tarfile.TarInfo) -> None:
    source = archive(tmp_path / "a.tar.gz", [evil])
    with pytest.raises(trees.BadArchiveError):
        trees.digest_of_archive(source)
    with pytest.raises(trees.BadArchiveError):
        trees.unpack(source.read_bytes(), tmp_path / "tree", os.getuid(), os.getgid())
    assert not (tmp_path / "outside").exists()


def test_a_swap_keeps_our_files_and_the_former_tree(tree: Path, tmp_path: Path) -> None:
    source = archive(tmp_path / "b.tar.gz", [member("added.php")])
    (tree / "config.php").write_text("ours")
    (tree / "config.php").chmod(0o640)
    digest = trees.digest_of_archive(source)
    aside = str(tmp_path / "aside")
    ours = frozenset({"config.php"})
    trees.swap_in(source.read_bytes(), str(tree), digest, os.getuid(), os.getgid(), ours, aside)
    assert trees.digest_of_directory(str(tree), ours) == digest
    assert (tree / "config.php").read_text() == "ours"
    assert (tree / "config.php").stat().st_mode & 0o777 == 0o640
    assert not Path(aside, "added.php").exists() and Path(aside, "index.php").exists()


def test_an_archive_with_another_digest_does_not_land(tree: Path, tmp_path: Path) -> None:
    before = trees.digest_of_directory(str(tree))
    with pytest.raises(trees.BadArchiveError, match="does not have the digest"):
        data = (tmp_path / "a.tar.gz").read_bytes()
        trees.swap_in(data, str(tree), "0" * 64, os.getuid(), os.getgid(), frozenset(), str(tmp_path / "aside"))
    assert trees.digest_of_directory(str(tree)) == before
