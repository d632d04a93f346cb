"""The two programs that the role courier puts on a host."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

TEMPLATES = Path(__file__).parents[3] / "roles/courier/templates"
FOLDERS = ["Drafts", "Sent", "Junk", "Trash"]


def without_expressions(template: str) -> str:
    """The program as a host gets it, but for the header."""
    text = (TEMPLATES / template).read_text()
    text = text.replace("{{ courier_standard_folders | list | to_json }}", repr(FOLDERS))
    return "\n".join("#" if line.startswith("{{") else line for line in text.split("\n"))


@pytest.fixture
def folders() -> Any:
    """The functions of standard-folders, without its run."""
    program = without_expressions("usr/local/lib/valija/standard-folders.j2").partition("os.umask(")[0]
    names: dict[str, Any] = {}
    exec(compile(program, "standard-folders", "exec"), names)
    return SimpleNamespace(**names)


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    """A mailbox as it is made with its account."""
    for part in ("cur", "new", "tmp"):
        (tmp_path / part).mkdir()
    return tmp_path


def test_a_new_mailbox_gets_its_folders_once(folders: Any, maildir: Path) -> None:
    assert folders.is_new(maildir)
    folders.fill(maildir)
    assert (maildir / "courierimapsubscribed").read_text() == "INBOX.Drafts\nINBOX.Sent\nINBOX.Junk\nINBOX.Trash\n"
    for name in FOLDERS:
        assert sorted(path.name for path in (maildir / f".{name}").iterdir()) == ["cur", "maildirfolder", "new", "tmp"]
    assert not folders.is_new(maildir)


def test_what_a_killed_run_began_is_completed(folders: Any, maildir: Path) -> None:
    (maildir / ".Drafts" / "tmp").mkdir(parents=True)
    assert folders.is_new(maildir)
    folders.fill(maildir)
    assert (maildir / ".Drafts" / "cur").is_dir()


@pytest.mark.parametrize("found", [".Private", "courierimapsubscribed"])
def test_a_mailbox_that_somebody_has_arranged_stays_as_it_is(folders: Any, maildir: Path, found: str) -> None:
    (maildir / found).mkdir()
    assert not folders.is_new(maildir)


@pytest.mark.parametrize("name", ["root", "nobody-has-this-name", "", "-x", "a b\\c"])
def test_every_login_that_comes_this_far_is_refused_a_second_later(tmp_path: Path, name: str) -> None:
    program = tmp_path / "authProg"
    program.write_text(without_expressions("etc/courier/authProg.j2"))
    request = f"smtp\nlogin\n{name}\npassword\n"
    asked = f"PRE . smtp {name}\nAUTH {len(request)}\n{request}ENUMERATE\n"
    began = time.monotonic()
    done = subprocess.run(["/bin/sh", program], input=asked, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "FAIL\nFAIL\nFAIL\n", "one answer to each question, and the password is none"
    assert time.monotonic() - began >= 1
    assert not done.stderr
