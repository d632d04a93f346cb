"""The source comes from a git repository or an archive, checked, and the same source makes the same archive."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from ansible_collections.valija.mailserver.plugins.plugin_utils import archives
from ansible_collections.valija.mailserver.plugins.plugin_utils.squirrelmail_source import SourceError, obtain

from .test_squirrelmail_tree import SOURCE


@pytest.fixture(autouse=True)
def no_settings_of_the_person(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "default-cache"))


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A Developer", "-c", "user.email=developer@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> tuple[Path, str]:
    """A repository with SquirrelMail's source in its first commit, and another commit on top; with the first's id."""
    folder = tmp_path / "squirrelmail"
    for name, content in SOURCE.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    git(folder.parent, "init", "--quiet", "--initial-branch=main", str(folder))
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--message=one")
    commit = git(folder, "rev-parse", "HEAD")
    (folder / "src/login.php").write_text("<?php // later\n")
    git(folder, "commit", "--quiet", "--all", "--message=two")
    return folder, commit


def packed(source: dict[str, bytes], top: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in source.items():
            member = tarfile.TarInfo(f"{top}{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def an_archive(tmp_path: Path, content: bytes) -> dict[str, str]:
    path = tmp_path / "source.tar.gz"
    path.write_bytes(content)
    return {"archive": str(path), "sha256": hashlib.sha256(content).hexdigest()}


def test_a_commit_becomes_an_archive_of_that_commit(repository: tuple[Path, str], tmp_path: Path) -> None:
    folder, commit = repository
    archive = obtain({"git": str(folder), "commit": commit}, tmp_path / "cache")
    with tarfile.open(archive.path) as tar:
        login = tar.extractfile("src/login.php")
        assert login is not None and login.read() == SOURCE["src/login.php"]
        assert {(member.uid, member.gid, member.mtime) for member in tar} == {(0, 0, archives.MTIME)}
        assert {oct(member.mode) for member in tar} == {"0o644", "0o755"}
        assert tar.getnames() == sorted(tar.getnames())
    assert archive.version == f"1.4.23 [SVN] {commit[:12]}"


def test_a_server_that_does_not_give_single_commits_is_asked_for_all(
    repository: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, commit = repository
    git(folder, "config", "uploadpack.allowAnySHA1InWant", "false")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "protocol.version")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "0")
    assert obtain({"git": f"file://{folder}", "commit": commit}, tmp_path / "cache").digest


def test_what_was_made_once_needs_no_source_any_more(repository: tuple[Path, str], tmp_path: Path) -> None:
    folder, commit = repository
    first = obtain({"git": str(folder), "commit": commit}, tmp_path / "cache")
    folder.rename(tmp_path / "gone")
    assert obtain({"git": str(folder), "commit": commit}, tmp_path / "cache") == first


def test_a_damaged_archive_is_made_again(repository: tuple[Path, str], tmp_path: Path) -> None:
    folder, commit = repository
    first = obtain({"git": str(folder), "commit": commit}, tmp_path / "cache")
    whole = first.path.read_bytes()
    first.path.write_bytes(whole[:1000])
    assert obtain({"git": str(folder), "commit": commit}, tmp_path / "cache") == first
    assert first.path.read_bytes() == whole


def test_the_same_source_makes_the_same_archive_from_git_and_from_a_file(
    repository: tuple[Path, str], tmp_path: Path
) -> None:
    folder, commit = repository
    one = obtain({"git": str(folder), "commit": commit}, tmp_path / "a")
    two = obtain(an_archive(tmp_path, packed(SOURCE, "squirrelmail-1.4.23/")), tmp_path / "b")
    assert one.digest == two.digest
    assert one.path.read_bytes() == two.path.read_bytes()


def test_archives_are_kept_in_the_persons_cache(repository: tuple[Path, str], tmp_path: Path) -> None:
    folder, commit = repository
    assert obtain({"git": str(folder), "commit": commit}).path.parent == tmp_path / "default-cache" / "valija"


def test_what_git_says_is_passed_on_with_the_remedy(tmp_path: Path) -> None:
    address = str(tmp_path / "nowhere")
    with pytest.raises(SourceError) as caught:
        obtain({"git": address, "commit": "0" * 40}, tmp_path / "cache")
    text = str(caught.value)
    assert address in text and "0" * 40 in text and "does not" in text
    assert "mail_squirrelmail_source" in text and "mail_webmail: none" in text and "insteadOf" in text


def test_a_token_in_the_address_is_not_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = f"file://robot:hunter3@{tmp_path}/nowhere"
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{mirror}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://alice:hunter2@git.invalid/a")
    with pytest.raises(SourceError) as caught:
        obtain({"git": "https://alice:hunter2@git.invalid/a", "commit": "0" * 40}, tmp_path / "cache")
    text = str(caught.value)
    assert "hunter" not in text and "alice" not in text and "robot" not in text
    assert "from https://git.invalid/a, commit" in text and "nowhere" in text


def test_a_commit_that_is_not_there_is_said(repository: tuple[Path, str], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="1111111111"):
        obtain({"git": str(repository[0]), "commit": "1" * 40}, tmp_path / "cache")


def test_another_checksum_is_refused(tmp_path: Path) -> None:
    source = {**an_archive(tmp_path, packed(SOURCE)), "sha256": "0" * 64}
    with pytest.raises(SourceError, match=r"has sha256 [0-9a-f]{64} where 0{64} was asked for"):
        obtain(source, tmp_path / "cache")


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no tar archive"):
        obtain(an_archive(tmp_path, b"<html>not found</html>"), tmp_path / "cache")


def test_an_archive_of_something_else_is_refused_by_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"functions/strings\.php"):
        obtain(an_archive(tmp_path, packed({"README": b""})), tmp_path / "cache")


def test_links_and_paths_that_lead_out_are_left_out(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in {**SOURCE, "../out.php": b"", "/etc/out.php": b""}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("src/link.php")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    made = obtain(an_archive(tmp_path, buffer.getvalue()), tmp_path / "cache")
    with tarfile.open(made.path) as tar:
        assert not [name for name in tar.getnames() if "out" in name or "link" in name]


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ({"git": "https://git.example.org/a", "commit": "master"}, "commit has 40 hexadecimal digits"),
        ({"archive": "/tmp/a.tar", "sha256": "12"}, "sha256 has 64 hexadecimal digits"),
        ({"git": "https://git.example.org/a"}, "needs git and commit"),
        ({"git": "a", "commit": "0" * 40, "archive": "b"}, "needs git and commit"),
        ({}, "needs git and commit"),
    ],
)
def test_half_a_source_is_refused(source: dict[str, str], named: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=named):
        obtain(source, tmp_path)
