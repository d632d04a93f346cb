"""A batch on a tree that stands for a host: what is written, and that a run killed anywhere is completed later."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import account_host, hashing, maildir, shadow_files
from ansible_collections.valija.mailserver.plugins.module_utils.account import Account, read_accounts
from ansible_collections.valija.mailserver.plugins.module_utils.account_host import Outcome, Refused, converge
from ansible_collections.valija.mailserver.plugins.module_utils.accounts import Settings

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to other users")

HASH = "$y$j8T$lFKX2wH7qSDZW6RwIHgIT1$SbnyIHQoi3yU1mfRa3BuyA1j4D5AABB/g0P7BTgKcJ2"
FIRST = [
    {"name": "alice", "password_hash": HASH},
    {"name": "bob", "password_hash": HASH},
    {"name": "carol", "password_hash": HASH, "shell": "/bin/bash"},
]
SECOND = [
    {"name": "alice", "password_hash": HASH, "state": "disabled", "full_name": "Alice"},
    {"name": "bob", "state": "absent"},
    {"name": "carol", "state": "absent", "purge": True},
    {"name": "dave", "password_hash": HASH},
]
# bob and carol come back; erin's home is left over from an account that somebody took away by hand.
THIRD = [*FIRST, {"name": "dave", "state": "absent", "purge": True}, {"name": "erin", "password_hash": HASH}]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tree = tmp_path / "host"
    (tree / "etc/skel").mkdir(parents=True)
    (tree / "etc/skel/.bashrc").write_text("# shell\n")
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\nperson:x:1000:1000::/home/person:/bin/bash\n")
    (tree / "etc/group").write_text("root:x:0:\nperson:x:1000:\nstaff:x:50:person\n")
    (tree / "etc/shadow").write_text("root:*:1:0:99999:7:::\nperson:*:1:0:99999:7:::\n")
    (tree / "etc/gshadow").write_text("root:*::\nperson:!::\nstaff:*::person\n")
    (tree / "etc/login.defs").write_text("# comment\nUID_MIN\t\t 1000\nUID_MAX 60000\nGID_MIN 1000\n")
    for shell in ("usr/sbin/nologin", "bin/bash"):
        (tree / shell).parent.mkdir(parents=True, exist_ok=True)
        (tree / shell).write_text("")
        (tree / shell).chmod(0o755)
    return tree


def wanted(items: list[dict[str, Any]]) -> list[Account]:
    accounts, refusals = read_accounts(items)
    assert not refusals
    return accounts


def run(root: Path, items: list[dict[str, Any]], **how: Any) -> Outcome:
    return converge(wanted(items), Settings(), root=root, **how)


def state(root: Path) -> dict[str, Any]:
    """All that is to be the same after a run and after one that was killed and repeated; the order of lines is not."""
    found: dict[str, Any] = {
        name: sorted(text.splitlines()) for name, text in shadow_files.read_files(root / "etc").items()
    }
    for path in sorted(root.rglob("*")):
        status, name = path.lstat(), str(path.relative_to(root))
        if not name.startswith("etc/") or (name.count("/") == 1 and name.endswith(("+", ".lock"))):
            found[name] = (status.st_mode, status.st_uid, status.st_gid)
    return found


def complaints(root: Path) -> list[str]:
    """What the checkers of shadow-utils say; they look for group members on this machine, so they are never silent."""
    if shutil.which("pwck") is None:
        pytest.skip("shadow-utils are not on this machine")
    etc = root / "etc"
    found = []
    for command in (["pwck", "-rq", etc / "passwd", etc / "shadow"], ["grpck", "-r", etc / "group", etc / "gshadow"]):
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        found += (ran.stdout + ran.stderr).splitlines()
    return found


def test_accounts_are_made_with_private_maildirs(root: Path) -> None:
    before = complaints(root)
    outcome = run(root, FIRST)
    assert outcome.plan.created == ["alice", "bob", "carol"]
    gid = int(shadow_files.parse_entries((root / "etc/group").read_text())["valija"][2])
    for number, name in enumerate(["alice", "bob", "carol"], start=1001):
        for part in ("", *maildir.MAILDIR):
            status = (root / "home" / name / part).stat()
            assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (number, gid, 0o700)
    assert [path.name for path in (root / "home").rglob(".bashrc")] == [".bashrc"]
    assert (root / "home/carol/.bashrc").stat().st_uid == 1003
    assert complaints(root) == before


@pytest.mark.parametrize("steps", [[FIRST], [FIRST, SECOND], [FIRST, SECOND, THIRD]], ids=["made", "changed", "remade"])
def test_a_second_run_changes_nothing(root: Path, steps: list[list[dict[str, Any]]]) -> None:
    silence = complaints(root)
    for items in steps:
        assert run(root, items).changed
    before = state(root)
    files = {name: (root / "etc" / name).stat().st_ino for name in shadow_files.FILES}
    outcome = run(root, steps[-1])
    assert not outcome.changed
    assert outcome.plan.diff == outcome.repairs == []
    assert state(root) == before
    assert {name: (root / "etc" / name).stat().st_ino for name in shadow_files.FILES} == files
    assert complaints(root) == silence


def test_check_mode_says_the_same_and_changes_nothing(root: Path) -> None:
    run(root, FIRST)
    (root / "home/alice/Maildir/cur").chmod(0o755)
    before = state(root)
    items = [*SECOND[:3], {"name": "dave", "password": "secret"}]
    told = run(root, items, check=True)
    assert state(root) == before
    done = run(root, items)
    assert told.changed
    assert (told.plan.diff, told.plan.created, told.repairs) == (done.plan.diff, done.plan.created, done.repairs)


def test_a_refused_run_changes_nothing(root: Path) -> None:
    before = state(root)
    with pytest.raises(Refused, match="person: the host has an account") as refused:
        run(root, [*FIRST, {"name": "person"}, {"name": "root", "state": "absent", "purge": True}])
    assert len(refused.value.refusals) == 2
    assert state(root) == before


def test_mail_is_kept_apart_when_an_account_goes_and_comes_back(root: Path) -> None:
    run(root, FIRST)
    (root / "home/bob/Maildir/new/letter").write_text("dear bob\n")
    run(root, SECOND)
    assert not (root / "home/bob").exists()
    assert stat.S_IMODE((root / "home/.valija-former").stat().st_mode) == 0o700
    outcome = run(root, FIRST)
    assert any(note.startswith("bob: the new account does not get the mail") for note in outcome.plan.notes)
    assert list((root / "home/bob/Maildir/new").iterdir()) == []
    assert (root / "home/.valija-former/bob-1002/Maildir/new/letter").read_text() == "dear bob\n"
    assert shadow_files.parse_entries((root / "etc/passwd").read_text())["bob"][2] not in {"1002", "1003"}


def test_purged_mail_is_gone_with_what_was_kept(root: Path) -> None:
    for items in (FIRST, SECOND, FIRST, [{"name": "bob", "state": "absent", "purge": True}]):
        run(root, items)
    assert not [path for path in root.rglob("*") if path.name.startswith("bob")]


def test_what_was_changed_by_hand_is_mended(root: Path) -> None:
    run(root, FIRST)
    before = state(root)
    os.chown(root / "home/alice/Maildir/tmp", 0, 0)
    (root / "home/bob/Maildir").chmod(0o777)
    shutil.rmtree(root / "home/carol/Maildir/new")
    outcome = run(root, FIRST)
    assert outcome.repaired == ["alice", "bob", "carol"]
    assert outcome.repairs[1] == "bob: Maildir has mode 0777"
    assert state(root) == before


def test_a_link_that_a_user_made_is_not_followed(root: Path) -> None:
    run(root, FIRST)
    victim = root / "victim"
    victim.mkdir(mode=0o755)
    shutil.rmtree(root / "home/alice/Maildir")
    (root / "home/alice/Maildir").symlink_to(victim)
    (root / "home/alice").chmod(0o755)
    outcome = run(root, FIRST)
    assert not outcome.changed
    assert "Maildir is not a folder" in outcome.notes[0]
    assert (stat.S_IMODE(victim.stat().st_mode), list(victim.iterdir())) == (0o755, [])


def test_what_others_changed_since_the_first_look_is_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = hashing.new_hashes

    def slow(*args: Any) -> dict[str, str]:
        """Somebody adds an account while the passwords are hashed, before the files are locked."""
        path = root / "etc/passwd"
        if "other" not in path.read_text():
            path.write_text(path.read_text() + "other:x:1001:1000::/home/other:/bin/bash\n")
            shadow = root / "etc/shadow"
            shadow.write_text(shadow.read_text() + "other:*:1:0:99999:7:::\n")
        return ours(*args)

    monkeypatch.setattr(account_host, "new_hashes", slow)
    run(root, [{"name": "alice", "password": "secret"}], cost=1)
    entries = shadow_files.parse_entries((root / "etc/passwd").read_text())
    assert entries["other"][2] == "1001"
    assert entries["alice"][2] == "1002"
    assert (root / "home/alice").stat().st_uid == 1002


def test_a_home_that_came_since_the_first_look_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, before = hashing.new_hashes, (root / "etc/passwd").read_text()

    def slow(*args: Any) -> dict[str, str]:
        """Somebody puts a folder where the new account's home would be, while its password is hashed."""
        (root / "home/alice").mkdir(parents=True, exist_ok=True)
        return ours(*args)

    monkeypatch.setattr(account_host, "new_hashes", slow)
    with pytest.raises(Refused, match="is there already, and is not the home of an account that Valija made"):
        run(root, [{"name": "alice", "password": "secret"}], cost=1)
    assert (root / "etc/passwd").read_text() == before


def test_the_host_is_looked_at_once_when_nobody_meddles(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    ours = account_host.look

    def counted(*given: Any) -> Any:
        looks.append(given)
        return ours(*given)

    monkeypatch.setattr(account_host, "look", counted)
    run(root, FIRST)
    assert len(looks) == 1


def test_a_password_is_hashed_once_in_a_run_and_stays(root: Path) -> None:
    items = [{"name": "alice", "password": "secret"}]
    run(root, items, cost=1)
    made = shadow_files.parse_entries((root / "etc/shadow").read_text())["alice"][1]
    assert hashing.verify_password("secret", made)
    outcome = converge(wanted(items), Settings(password_policy="enforced"), root=root)
    assert not outcome.changed
    changed = converge(
        wanted([{"name": "alice", "password": "other"}]), Settings(password_policy="enforced"), cost=1, root=root
    )
    assert changed.plan.diff == ["alice: password"]
    assert "other" not in str(changed)


class Killed(BaseException):
    """The process ends here."""


def kill_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Raise Killed instead of the n-th change of the file system; returns how many there were."""
    count = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **keywords: Any) -> Any:
            nonlocal count
            count += 1
            if count == step:
                raise Killed
            return real(*args, **keywords)

        return call

    for name in ("mkdir", "chown", "fchown", "rmdir", "open"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    monkeypatch.setattr(Path, "rename", counted(Path.rename))
    return lambda: count


@pytest.mark.parametrize("before, items", [([], FIRST), ([FIRST], SECOND), ([FIRST, SECOND], THIRD)])
def test_a_run_killed_at_any_step_is_completed_by_the_next(
    before: list[list[dict[str, Any]]], items: list[dict[str, Any]], root: Path, tmp_path: Path
) -> None:
    for earlier in before:
        run(root, earlier)
    if items is THIRD:
        maildir.make(str(root / "home/erin"), 1050, (root / "home/alice").stat().st_gid)
    start = tmp_path / "start"
    shutil.copytree(root, start, symlinks=True)
    for path in [start, *start.rglob("*")]:
        status = (root / path.relative_to(start)).lstat()
        os.chown(path, status.st_uid, status.st_gid, follow_symlinks=False)
    run(root, items)
    expected = state(root)
    step = 0
    while True:
        step += 1
        tree = tmp_path / f"step{step}"
        subprocess.run(["cp", "-a", start, tree], check=True)
        with pytest.MonkeyPatch.context() as patch:
            steps = kill_at(step, patch)
            try:
                run(tree, items)
            except Killed:
                pass
            else:
                assert steps() < step
                break
        run(tree, items)
        assert state(tree) == expected, f"killed at step {step}"
        shutil.rmtree(tree)
    assert step > 10
