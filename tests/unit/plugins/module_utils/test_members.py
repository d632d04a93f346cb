"""Members of groups: only added, in group and gshadow alike, and nothing else of the files moves."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import members
from ansible_collections.valija.mailserver.plugins.module_utils.members import Wanted

GROUP = "# ours\nroot:x:0:\ncourier:x:102:web\nempty:x:103:\n+:::\n"
GSHADOW = "root:*::\ncourier:!::web\nempty:!::\n"
PASSWD = "root:x:0:0:root:/root:/bin/bash\npostfix:x:101:104::/var/spool/postfix:/usr/sbin/nologin\n"


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    for name, text in {"group": GROUP, "gshadow": GSHADOW, "passwd": PASSWD, "shadow": "root:*:1::::::\n"}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_user_joins_beside_those_who_are_members(etc: Path) -> None:
    wanted = members.wanted_of({"group": "courier", "users": ["postfix"], "restarts": ["postfix"]})
    assert wanted == (Wanted("courier", "postfix", ("postfix",)),)
    assert members.missing(wanted, etc) == wanted
    members.add(wanted, etc)
    assert (etc / "group").read_text() == GROUP.replace(":web", ":web,postfix")
    assert (etc / "gshadow").read_text() == GSHADOW.replace(":web", ":web,postfix")
    assert (etc / "passwd").read_text() == PASSWD
    assert members.missing(wanted, etc) == ()


def test_what_was_joined_can_be_undone(etc: Path) -> None:
    wanted = (Wanted("courier", "postfix"), Wanted("empty", "postfix"), Wanted("empty", "root"))
    members.add(wanted, etc)
    assert "empty:x:103:postfix,root\n" in (etc / "group").read_text()
    members.take_out(wanted, etc)
    assert (etc / "group").read_text() == GROUP
    assert (etc / "gshadow").read_text() == GSHADOW


def test_members_who_are_there_already_change_no_file(etc: Path) -> None:
    before = (etc / "group").stat().st_ino
    members.add((Wanted("courier", "web"),), etc)
    assert (etc / "group").stat().st_ino == before
    assert not (etc / "group.lock").exists()


def test_a_host_without_gshadow_has_members_all_the_same(etc: Path) -> None:
    (etc / "gshadow").unlink()
    members.add((Wanted("courier", "postfix"),), etc)
    assert "courier:x:102:web,postfix" in (etc / "group").read_text()
    assert not (etc / "gshadow").exists()


@pytest.mark.parametrize(
    ("group", "user", "said"), [("none", "postfix", "group none"), ("courier", "none", "user none")]
)
def test_a_group_or_user_that_is_not_there_is_named(etc: Path, group: str, user: str, said: str) -> None:
    wanted = (Wanted(group, user),)
    assert members.missing(wanted, etc) == wanted
    assert members.unknown(wanted, etc) == said
    assert members.unknown((Wanted("courier", "postfix"),), etc) == ""
