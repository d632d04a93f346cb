"""Members of groups: only added, in group and gshadow alike, and nothing else of the files moves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import members
from ansible_collections.valija.mailserver.plugins.module_utils.checking import Refused
from ansible_collections.valija.mailserver.plugins.module_utils.journal import Journal
from ansible_collections.valija.mailserver.plugins.module_utils.members import Wanted
from ansible_collections.valija.mailserver.plugins.module_utils.plan import ABOUT_TO, Plan, loads_of
from ansible_collections.valija.mailserver.plugins.module_utils.request import request_of
from ansible_collections.valija.mailserver.plugins.module_utils.transaction import configure

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


class TestTransaction:
    """Members are part of what configure lands and puts back."""

    @pytest.fixture(autouse=True)
    def host(self, etc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(members, "ETC", etc)
        self.folder = tmp_path

    def configure(self, *, group: str = "courier", passes: bool = True, check_mode: bool = False) -> dict[str, Any]:
        me = {"owner": str(os.getuid()), "group": str(os.getgid())}
        asked = {
            "owner_role": "test",
            "files": [{"path": f"{self.folder}/file", "content": "text\n", **me}],
            "members": [{"group": group, "users": ["postfix"]}],
            "checks": [["true"] if passes else ["false"]],
        }
        places = {"state": self.folder / "state", "stage": self.folder / "stage"}
        return configure(request_of(asked), check_mode=check_mode, **places)

    def test_a_second_run_changes_nothing(self) -> None:
        first = self.configure()
        assert first["changed"]
        assert {"members of group courier"} == {
            entry["after_header"] for entry in first["diff"] if "members" in str(entry)
        }
        assert ":web,postfix\n" in (self.folder / "group").read_text()
        assert not self.configure()["changed"]

    def test_check_mode_tells_and_leaves_the_groups_alone(self) -> None:
        assert self.configure(check_mode=True)["changed"]
        assert self.configure(check_mode=True, group="of-a-package-to-come")["changed"]
        assert (self.folder / "group").read_text() == GROUP

    def test_what_is_refused_afterwards_takes_the_member_out_again(self) -> None:
        with pytest.raises(Refused, match="members of group courier"):
            self.configure(passes=False)
        assert (self.folder / "group").read_text() == GROUP
        assert not (self.folder / "file").exists()

    def test_a_group_that_is_not_there_is_refused_before_anything_changes(self) -> None:
        with pytest.raises(Refused, match=r"no group none\. Is its package installed"):
            self.configure(group="none")
        assert not (self.folder / "file").exists()


def test_a_service_restarts_for_the_membership_that_it_lacked_and_for_no_other(tmp_path: Path) -> None:
    asked = {"group": "courier", "users": ["postfix"], "restarts": ["postfix"]}
    request = request_of(
        {"owner_role": "test", "members": [asked], "services": [{"name": "postfix"}, {"name": "other"}]}
    )
    lacking = loads_of(request, Plan(members=request.members), Journal("test", tmp_path))
    assert lacking["postfix"].restart == ABOUT_TO
    assert lacking["other"].restart == 0.0
    assert loads_of(request, Plan(), Journal("test", tmp_path))["postfix"].restart == 0.0
