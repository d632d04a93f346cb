"""Files on a host: what differs is seen, what lands is whole, and a secret is never shown."""

from __future__ import annotations

import dataclasses
import os
import stat
from pathlib import Path

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import files, landing
from ansible_collections.valija.mailserver.plugins.module_utils.files import Actual, Blocked, Change, Wanted

FILE = Wanted("/etc/x", content=b"new\n")
SAME = Actual("file", b"new\n", 0o644, 0, 0)

DECISIONS: list[tuple[str, Wanted, Actual, tuple[str, ...] | None]] = [
    ("nothing differs", FILE, SAME, None),
    ("content", FILE, dataclasses.replace(SAME, content=b"old\n"), ("content",)),
    ("mode", FILE, dataclasses.replace(SAME, mode=0o600), ("mode",)),
    ("owner and group", FILE, dataclasses.replace(SAME, uid=7, gid=8), ("owner", "group")),
    ("file missing", FILE, Actual(), ("state",)),
    ("link where a file is wanted", FILE, Actual("link", target="/y"), ("state",)),
    ("folder there", Wanted("/x", "directory", mode=0o755), Actual("directory", mode=0o755), None),
    ("folder too open", Wanted("/x", "directory", mode=0o750), Actual("directory", mode=0o777), ("mode",)),
    ("link right", Wanted("/x", "link", target="/y"), Actual("link", target="/y"), None),
    ("link elsewhere", Wanted("/x", "link", target="/y"), Actual("link", target="/z"), ("target",)),
    ("gone already", Wanted("/x", "absent"), Actual(), None),
    ("to be removed", Wanted("/x", "absent"), Actual("file"), ("state",)),
]


@pytest.mark.parametrize(
    ("wanted", "actual", "differs"), [case[1:] for case in DECISIONS], ids=[c[0] for c in DECISIONS]
)
def test_a_difference_is_named(wanted: Wanted, actual: Actual, differs: tuple[str, ...] | None) -> None:
    change = files.decide(wanted, actual, 0, 0)
    assert (change.differs if change else None) == differs


def test_an_owner_who_does_not_exist_yet_is_a_difference() -> None:
    change = files.decide(dataclasses.replace(FILE, owner="courier"), SAME, None, 0)
    assert change and change.differs == ("owner",)


@pytest.mark.parametrize(
    ("wanted", "actual"),
    [
        (FILE, Actual("directory")),
        (FILE, Actual("other")),
        (Wanted("/x", "link", target="/y"), Actual("directory")),
        (Wanted("/x", "directory"), Actual("file")),
    ],
)
def test_what_is_no_file_is_never_replaced(wanted: Wanted, actual: Actual) -> None:
    with pytest.raises(Blocked, match="Move it away"):
        files.decide(wanted, actual, 0, 0)


OURS = b"# Managed by Valija, role postfix: changes made here are lost.\n"
TAKE_OVERS = [
    ("a stranger's file", FILE, Actual("file", b"theirs"), ("content",), frozenset(), False, True),
    ("kept before", FILE, Actual("file", b"theirs"), ("content",), frozenset(), True, False),
    ("carries our header", FILE, Actual("file", OURS), ("content",), frozenset(), False, False),
    ("ours without a header", FILE, Actual("file", b"ours"), ("content",), frozenset({"/etc/x"}), False, False),
    ("only its mode", FILE, Actual("file", b"theirs"), ("mode",), frozenset(), False, False),
    ("nothing there", FILE, Actual(), ("state",), frozenset(), False, False),
    ("not to be kept", dataclasses.replace(FILE, keep=False), Actual("file"), ("content",), frozenset(), False, False),
    ("a link replaced", FILE, Actual("link", target="/y"), ("state",), frozenset(), False, True),
    ("a link removed", Wanted("/x", "absent"), Actual("link", target="/y"), ("state",), frozenset(), False, False),
]


@pytest.mark.parametrize(
    ("wanted", "actual", "differs", "owned", "kept", "expected"),
    [case[1:] for case in TAKE_OVERS],
    ids=[case[0] for case in TAKE_OVERS],
)
def test_only_a_strangers_file_is_kept(
    wanted: Wanted, actual: Actual, differs: tuple[str, ...], owned: frozenset[str], kept: bool, expected: bool
) -> None:
    assert files.takes_over(Change(wanted, actual, differs), owned, kept) is expected


def test_the_diff_of_a_secret_shows_nothing_of_it() -> None:
    secret = dataclasses.replace(FILE, content=b"hunter2\n", secret=True)
    for actual in (Actual(), Actual("file", b"swordfish\n", 0o600)):
        change = files.decide(secret, actual, 0, 0)
        assert change
        shown = repr(files.diff_of(change))
        assert "(secret content)" in shown
        assert "hunter2" not in shown and "swordfish" not in shown


def test_the_diff_shows_content_and_permissions_apart() -> None:
    change = files.decide(FILE, dataclasses.replace(SAME, content=b"old\n", mode=0o600), 0, 0)
    assert change
    content, permissions = files.diff_of(change)
    assert (content["before"], content["after"]) == ("old\n", "new\n")
    assert (permissions["before"], permissions["after"]) == ("mode: 0600\n", "mode: 0644\n")


def mine(path: Path, **more: object) -> Wanted:
    """A wanted path that the user of the tests may own."""
    return Wanted(str(path), owner=str(os.getuid()), group=str(os.getgid()), **more)  # type: ignore[arg-type]


def landed(wanted: Wanted) -> None:
    change = files.decide(wanted, files.read_for(wanted), files.user_id(wanted.owner), files.group_id(wanted.group))
    assert change
    landing.land(change)
    assert not files.decide(wanted, files.read_for(wanted), os.getuid(), os.getgid())


def test_what_is_wanted_lands(tmp_path: Path) -> None:
    landed(mine(tmp_path / "a/b/file", content=b"text\n", mode=0o640))
    landed(mine(tmp_path / "folder", state="directory", mode=0o750))
    landed(mine(tmp_path / "link", state="link", target="folder"))
    landed(mine(tmp_path / "link", state="absent"))
    (tmp_path / "a/b/file").chmod(0o666)
    landed(mine(tmp_path / "a/b/file", content=b"text\n", mode=0o640))
    assert list((tmp_path / "a/b").iterdir()) == [tmp_path / "a/b/file"]


def test_a_folder_behind_a_link_counts_as_the_folder(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir(mode=0o755)
    (tmp_path / "www").symlink_to("disk")
    wanted = mine(tmp_path / "www", state="directory", mode=0o755)
    assert files.decide(wanted, files.read_for(wanted), os.getuid(), os.getgid()) is None


def test_a_secret_is_never_readable_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    chown = os.fchown

    def watch(descriptor: int, uid: int, gid: int) -> None:
        seen.extend(stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir())
        chown(descriptor, uid, gid)

    monkeypatch.setattr(os, "fchown", watch)
    previous = os.umask(0)
    try:
        landing.write_file(str(tmp_path / "secret"), b"x", os.getuid(), os.getgid(), 0o600)
    finally:
        os.umask(previous)
    assert seen == [0o600]


def test_a_write_that_fails_leaves_the_former_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("former")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        landing.write_file(str(path), b"new", os.getuid(), os.getgid(), 0o644)
    assert path.read_text() == "former"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_holds_something_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/mail").touch()
    with pytest.raises(Blocked, match="cannot be removed"):
        landing.remove(str(tmp_path / "folder"))
