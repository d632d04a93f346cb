"""A new site: what `write_site` and `valija init` put on disk."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from valija.commands.init import command
from valija.errors import InputError
from valija.skeleton import SiteHost, as_block, as_yaml, write_site


def write(directory: Path, **more: Any) -> list[Path]:
    values: dict[str, Any] = {
        "domain": "example.org",
        "hosts": [SiteHost("mail.example.org", "192.0.2.10")],
        "accounts": [{"name": "b.ob", "password": "x: {y} # 'z'", "full_name": "Bob, é"}],
        "postmaster": "b.ob",
    }
    return write_site(directory, **values | more)


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_every_file_of_a_site_is_written_and_reads_back(tmp_path: Path) -> None:
    written = write(tmp_path / "site")
    names = {str(path.relative_to(tmp_path / "site")) for path in written}
    assert names == {"ansible.cfg", "hosts.yml", "group_vars/all/mail.yml", "group_vars/all/secrets.yml", "README.md"}
    assert read(tmp_path / "site/hosts.yml") == {
        "mail": {"hosts": {"mail.example.org": {"ansible_host": "192.0.2.10", "ansible_user": "root"}}}
    }
    mail = read(tmp_path / "site/group_vars/all/mail.yml")
    assert mail["mail_accounts"] == [
        {"name": "b.ob", "password": '{{ vault_passwords["b.ob"] }}', "full_name": "Bob, é"}
    ]
    assert (mail["mail_domain"], mail["mail_postmaster"], mail["mail_profile"]) == ("example.org", "b.ob", "internet")
    assert read(tmp_path / "site/group_vars/all/secrets.yml") == {"vault_passwords": {"b.ob": "x: {y} # 'z'"}}


def test_secrets_are_readable_by_their_owner_alone_and_stand_nowhere_else(tmp_path: Path) -> None:
    written = write(tmp_path, settings={"mail_relayhost": "[a.example]:587", "mail_relayhost_password": "hunter22"})
    holding = [path for path in written if "hunter22" in path.read_text(encoding="utf-8")]
    assert [path.name for path in holding] == ["secrets.yml"]
    assert stat.S_IMODE(holding[0].stat().st_mode) == 0o600


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("mine\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"hosts\.yml is there already"):
        write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["hosts.yml"]
    write(tmp_path, overwrite=True)
    assert "mine" not in (tmp_path / "hosts.yml").read_text(encoding="utf-8")


def test_settings_variables_of_hosts_and_of_the_group_find_their_files(tmp_path: Path) -> None:
    host = SiteHost("debian-13", "192.0.2.1", variables={"mail_domain": "trixie.example.test"})
    write(
        tmp_path,
        domain="",
        hosts=[host, SiteHost("debian-12", user="")],
        settings={"mail_webmail": "none", "mail_aliases": {"info": ["b.ob"]}},
        extra_group_vars={"ansible_ssh_common_args": "-o X=y"},
        accounts=[],
        profile="tutorial",
    )
    mail = read(tmp_path / "group_vars/all/mail.yml")
    assert "mail_domain" not in mail
    assert (mail["mail_webmail"], mail["mail_aliases"], mail["mail_accounts"]) == ("none", {"info": ["b.ob"]}, [])
    assert read(tmp_path / "group_vars/all/extra.yml") == {"ansible_ssh_common_args": "-o X=y"}
    assert read(tmp_path / "host_vars/debian-13.yml") == {"mail_domain": "trixie.example.test"}
    assert read(tmp_path / "hosts.yml")["mail"]["hosts"]["debian-12"] is None
    assert read(tmp_path / "group_vars/all/secrets.yml") == {"vault_passwords": {}}


@pytest.mark.parametrize("value", ["no", "12", "a: b", "", None, True, "é", "{{ x }}", "- x", "two\nlines", [1, "a"]])
def test_values_come_back_from_yaml_as_they_were(value: Any) -> None:
    assert yaml.safe_load(f"key: {as_yaml(value)}") == {"key": value}
    assert yaml.safe_load(as_block({"key": value})) == {"key": value}


def test_init_names_what_comes_next_and_makes_passwords(tmp_path: Path) -> None:
    site = tmp_path / "a site"
    result = CliRunner().invoke(command, [str(site), "--domain", "example.org", "--user", "carol", "--user", "dave"])
    assert result.exit_code == 0, result.output
    for verb in ("check", "plan", "apply", "prove"):
        assert f"valija {verb} -i '{site}'" in result.output
    passwords = read(site / "group_vars/all/secrets.yml")["vault_passwords"]
    assert sorted(passwords) == ["carol", "dave"]
    assert all(len(password) == 16 for password in passwords.values())
    assert not [password for password in passwords.values() if password in result.output]
    assert read(site / "group_vars/all/mail.yml")["mail_postmaster"] == "carol"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--domain", "exam ple.org"], "--domain: contains a space: 'exam ple.org'"),
        (["--domain", "example.org", "--user", "root"], "--user: is a name of the system: 'root'"),
    ],
)
def test_init_refuses_what_check_would_refuse(arguments: list[str], said: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, [str(tmp_path / "site"), *arguments])
    assert isinstance(result.exception, InputError)
    assert said in str(result.exception)
    assert not (tmp_path / "site").exists()


def test_two_hosts_are_numbered(tmp_path: Path) -> None:
    arguments = ["--domain", "example.org", "--host", "192.0.2.1", "--host", "192.0.2.2"]
    assert CliRunner().invoke(command, [str(tmp_path), *arguments]).exit_code == 0
    hosts = read(tmp_path / "hosts.yml")["mail"]["hosts"]
    assert {name: host["ansible_host"] for name, host in hosts.items()} == {
        "mail1.example.org": "192.0.2.1",
        "mail2.example.org": "192.0.2.2",
    }
