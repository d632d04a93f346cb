"""The files of an inventory, before Ansible reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from valija import inventory_files
from valija.errors import InputError


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "group_vars" / "all").mkdir(parents=True)
    (tmp_path / "hosts.yml").write_text("mail: {hosts: {a.example.org: }}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def findings(site: Path, text: str, name: str = "group_vars/all/mail.yml") -> list[str]:
    (site / name).write_text(text, encoding="utf-8")
    return inventory_files.findings([str(site)])


def test_what_ansible_reads_is_let_through(site: Path) -> None:
    (site / "README.md").write_text("a: b: c", encoding="utf-8")
    (site / "ansible.cfg").write_text("[defaults]\n", encoding="utf-8")
    (site / "group_vars/all/.mail.yml.swp").write_bytes(b"\xff")
    text = "a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  33\nb: '{{ c }}'\nc: !unsafe '%x'\nd: {e: [f]}\n"
    assert findings(site, text) == []
    assert findings(site, "") == []
    assert inventory_files.findings(["a.example.org,b.example.org,"]) == []


def test_a_vault_is_let_through_and_named_on_request(site: Path) -> None:
    assert findings(site, "$ANSIBLE_VAULT;1.1;AES256\n33\n", "group_vars/all/secrets.yml") == []
    assert inventory_files.encrypted([str(site)]) == [Path("group_vars/all/secrets.yml")]


def test_an_ini_inventory_is_no_yaml(site: Path) -> None:
    (site / "hosts.yml").unlink()
    (site / "hosts").write_text("[mail]\na.example.org x='y: z'\n", encoding="utf-8")
    assert inventory_files.findings([str(site / "hosts")]) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: b: c\n", "group_vars/all/mail.yml:1: is not YAML: mapping values are not allowed here."),
        ("a: [b\n", "group_vars/all/mail.yml:2: is not YAML: "),
        ("a:\n\t- b\n", "group_vars/all/mail.yml:2: is not YAML: found character '\\t'"),
        ("a: @b\n", "group_vars/all/mail.yml:1: is not YAML: found character '@'"),
        ("x: y\na: {{ b }}\n", "group_vars/all/mail.yml:2: a template without quotes is no text to YAML."),
        ("a:\n  - b: 1\n    b: 2\n", "group_vars/all/mail.yml:3: b: is there twice, first in line 2."),
    ],
)
def test_a_broken_file_is_told_with_its_line(text: str, said: str, site: Path) -> None:
    (line,) = findings(site, text)
    assert line.startswith(said)
    assert line.endswith(".")


def test_a_wrong_encoding_is_told_with_byte_and_offset(site: Path) -> None:
    (site / "group_vars/all/mail.yml").write_bytes(b"a: b\nc: \xe9t\xe9\n")
    assert inventory_files.findings([str(site)]) == [
        "group_vars/all/mail.yml:2: is not UTF-8: byte 0xe9 at offset 8. Save the file as UTF-8."
    ]


def test_all_broken_files_are_told_at_once_as_one_error(site: Path) -> None:
    findings(site, "a: b: c\n")
    findings(site, "mail: {hosts: [a]}\n", "hosts.yml")
    with pytest.raises(InputError) as error:
        inventory_files.require_readable([str(site / "hosts.yml"), str(site / "nowhere")])
    assert len(str(error.value).splitlines()) == 3


def test_a_file_is_replaced_behind_its_link_and_keeps_its_mode(site: Path) -> None:
    (site / "real.yml").write_text("a: b\n", encoding="utf-8")
    (site / "real.yml").chmod(0o640)
    (site / "group_vars/all/mail.yml").symlink_to(site / "real.yml")
    inventory_files.replace(site / "group_vars/all/mail.yml", "a: ñ\r\n")
    assert (site / "group_vars/all/mail.yml").is_symlink()
    assert (site / "real.yml").read_bytes() == "a: ñ\r\n".encode()
    assert (site / "real.yml").stat().st_mode & 0o7777 == 0o640
