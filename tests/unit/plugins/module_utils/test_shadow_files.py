"""The account files: edited by entry, replaced whole, locked as other programs lock them."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import shadow_files
from hypothesis import given
from hypothesis import strategies as st

PASSWD = """root:x:0:0:root:/root:/bin/bash
# a comment: of somebody

broken line
bob:x:1000:1000::/home/bob:/bin/sh
bob:x:1001:1000::/home/twin:/bin/sh
+@staff::::::
+::::::
"""

names = st.text("abcdefghij", min_size=1, max_size=3)
entries = st.tuples(st.text("xyz*!$/. ", max_size=5), st.text("0123456789", max_size=4))


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    for name, mode in (("passwd", 0o644), ("group", 0o644), ("shadow", 0o640), ("gshadow", 0o640)):
        (tmp_path / name).write_text(f"root:{name}\n")
        (tmp_path / name).chmod(mode)
    return tmp_path


def left_over(etc: Path) -> list[str]:
    known = {*shadow_files.FILES, *(f"{name}-" for name in shadow_files.FILES), ".pwd.lock"}
    return sorted(path.name for path in etc.iterdir() if path.name not in known)


def test_comments_nis_lines_and_broken_lines_are_no_entries() -> None:
    found = shadow_files.parse_entries(PASSWD)
    assert list(found) == ["root", "bob"]
    assert found["bob"][2] == "1000"


def test_new_entries_come_before_the_nis_lines_and_all_else_stays() -> None:
    new = ("new", "x", "1002", "1000", "", "/home/new", "/bin/sh")
    edited = shadow_files.edit_entries(PASSWD, {"new": new})
    assert edited == PASSWD.replace("+@staff", ":".join(new) + "\n+@staff")


def test_a_removed_name_is_gone_with_its_twin() -> None:
    assert "bob" not in shadow_files.edit_entries(PASSWD, {"bob": None})


@given(st.dictionaries(names, entries), st.dictionaries(names, st.none() | entries))
def test_edits_are_read_back_and_touch_nothing_else(
    old: dict[str, tuple[str, ...]], edits: dict[str, tuple[str, ...] | None]
) -> None:
    text = "".join(":".join((name, *fields)) + "\n" for name, fields in old.items())
    asked = {name: None if fields is None else (name, *fields) for name, fields in edits.items()}
    found = shadow_files.parse_entries(shadow_files.edit_entries(text, asked))
    wanted = {name: (name, *fields) for name, fields in old.items()} | asked
    assert found == {name: fields for name, fields in wanted.items() if fields is not None}


def test_bytes_that_are_no_text_survive(etc: Path) -> None:
    (etc / "passwd").write_bytes(b"m\xfcller:x:1000:1000:M\xfcller:/home/m:/bin/sh\n")
    text = shadow_files.read_files(etc)["passwd"]
    shadow_files.replace_file(etc / "passwd", shadow_files.edit_entries(text, {"new": ("new", "x")}))
    assert (etc / "passwd").read_bytes() == b"m\xfcller:x:1000:1000:M\xfcller:/home/m:/bin/sh\nnew:x\n"


def test_a_replaced_file_keeps_its_mode_and_the_old_text_beside_it(etc: Path) -> None:
    shadow_files.replace_file(etc / "shadow", "new\n")
    assert (etc / "shadow").read_text() == "new\n"
    assert (etc / "shadow-").read_text() == "root:shadow\n"
    for name in ("shadow", "shadow-"):
        assert stat.S_IMODE((etc / name).stat().st_mode) == 0o640
    assert left_over(etc) == []


def test_no_planted_file_is_written_through(etc: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    victim = tmp_path_factory.mktemp("elsewhere") / "victim"
    victim.write_text("mine\n")
    (etc / "passwd+").symlink_to(victim)
    (etc / "passwd-").symlink_to(victim)
    shadow_files.replace_file(etc / "passwd", "new\n")
    assert victim.read_text() == "mine\n"


def test_all_locks_are_held_and_given_back(etc: Path) -> None:
    with shadow_files.locked(etc):
        for name in shadow_files.FILES:
            assert (etc / f"{name}.lock").read_bytes() == b"%d\0" % os.getpid()
        program = (
            f"import fcntl, sys\nfcntl.lockf(open({str(etc / '.pwd.lock')!r}, 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        )
        assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode != 0
    assert left_over(etc) == []
    with (etc / ".pwd.lock").open("w") as stream:
        fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_locks_are_given_back_when_the_work_fails(etc: Path) -> None:
    with pytest.raises(RuntimeError), shadow_files.locked(etc):
        raise RuntimeError
    assert left_over(etc) == []


def test_the_lock_of_a_dead_process_is_taken_over(etc: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    (etc / "passwd.lock").write_bytes(b"%d\0" % dead.pid)
    with shadow_files.locked(etc, within_seconds=1):
        assert (etc / "passwd.lock").read_bytes() == b"%d\0" % os.getpid()
    assert left_over(etc) == []


@pytest.mark.parametrize("content", [b"%d\0" % os.getppid(), b"", b"nonsense\0", b"0\0"])
def test_a_lock_that_may_be_alive_is_respected(etc: Path, content: bytes) -> None:
    (etc / "gshadow.lock").write_bytes(content)
    with pytest.raises(shadow_files.LockError, match=r"gshadow\.lock"), shadow_files.locked(etc, within_seconds=0.2):
        pass
    assert left_over(etc) == ["gshadow.lock"]


def test_who_holds_the_password_lock_for_too_long_is_named(etc: Path) -> None:
    program = (
        "import fcntl, sys\n"
        f"stream = open({str(etc / '.pwd.lock')!r}, 'w')\n"
        "fcntl.lockf(stream, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout and other.stdout.readline() == b"held\n"
        with pytest.raises(shadow_files.LockError, match=r"\.pwd\.lock"), shadow_files.locked(etc, within_seconds=0.2):
            pass
        other.communicate()
    with shadow_files.locked(etc, within_seconds=1):
        pass
