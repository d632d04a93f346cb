"""What the roles declare is known without a host."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from valija.errors import ValijaError
from valija.lab.packages import declared
from valija.lab.releases import RELEASES


def role(roles: Path, name: str, variables: str, defaults: str = "{}") -> None:
    for folder, text in (("vars", variables), ("defaults", defaults)):
        path = roles / name / folder / "main.yml"
        path.parent.mkdir(parents=True)
        path.write_text(dedent(text))


def test_lists_of_all_roles_are_joined_and_rendered_for_the_release(tmp_path: Path) -> None:
    role(
        tmp_path,
        "postfix",
        """
        __postfix_packages: "{{ ['postfix'] + __postfix_release.packages }}"
        __postfix_releases: {debian-12: {packages: [postfix-lmdb]}, debian-13: {packages: []}}
        __postfix_release: "{{ __postfix_releases[__mail_release] }}"
        __postfix_of_a_host: "{{ ansible_facts['something'] }}"
        __postfix_debconf: [{question: postfix/main_mailer_type, type: select, value: No configuration}]
        """,
    )
    role(tmp_path, "courier", "__courier_packages: [courier-imap, postfix]")
    role(tmp_path, "accounts", "{}")
    bookworm, trixie = declared("debian-12", tmp_path), declared("debian-13", tmp_path)
    assert bookworm.packages == ("courier-imap", "postfix", "postfix-lmdb")
    assert trixie.packages == ("courier-imap", "postfix")
    assert bookworm.debconf == ("postfix postfix/main_mailer_type select No configuration",)
    assert bookworm.digest != trixie.digest


def test_a_list_that_needs_a_host_is_named(tmp_path: Path) -> None:
    role(tmp_path, "postfix", """__postfix_packages: "{{ ansible_facts['packages'] }}" """)
    with pytest.raises(ValijaError, match="__postfix_packages"):
        declared("debian-13", tmp_path)


@pytest.mark.parametrize("release", [name for name in RELEASES if name != "ubuntu-24.04"])
def test_the_roles_of_this_collection_declare_packages_for_each_release(release: str) -> None:
    assert {"postfix", "courier-imap", "courier-pop", "apache2"} <= set(declared(release).packages)
