"""Which paths are ours already."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.valija.mailserver.plugins.module_utils.owned import Owned


def test_a_path_of_one_role_is_no_strangers_for_another(tmp_path: Path) -> None:
    Owned("squirrelmail", tmp_path).add(["/var/www/webmail"])
    roundcube = Owned("roundcube", tmp_path)
    assert "/var/www/webmail" in roundcube.paths
    roundcube.add(["/etc/roundcube"])
    assert Owned("apache", tmp_path).paths == {"/var/www/webmail", "/etc/roundcube"}


def test_a_role_lists_its_own_paths_alone(tmp_path: Path) -> None:
    Owned("squirrelmail", tmp_path).add(["/var/www/webmail"])
    Owned("roundcube", tmp_path).add(["/var/www/webmail"])
    assert (tmp_path / "owned" / "roundcube.json").read_text().split() == ["[", '"/var/www/webmail"', "]"]


def test_a_list_that_cannot_be_read_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "owned").mkdir()
    (tmp_path / "owned" / "apache.json").write_text("[")
    assert Owned("apache", tmp_path).paths == frozenset()
