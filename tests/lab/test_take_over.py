"""A host on which something stands in the way is refused with the reason, before anything on it was touched."""

from __future__ import annotations

import pytest

from .conftest import LabSite

IMAGE = "bare"

IN_THE_WAY = [
    ("exim4-daemon-light", "exim4"),
    ("sendmail-bin", "sendmail"),
    ("dovecot-imapd", "dovecot"),
    ("nginx-light", "nginx"),
]


@pytest.mark.parametrize(("package", "name"), IN_THE_WAY)
def test_a_host_with_another_server_is_refused_untouched(lab: LabSite, package: str, name: str) -> None:
    host = lab.host
    host.sh(
        "apt-get update -qq; DEBIAN_FRONTEND=noninteractive "
        f"apt-get install -y -qq --no-install-recommends {package} >/dev/null 2>&1"
    )
    try:
        host.mark()
        run = lab.valija("apply")
        assert run.code == 1, run.output
        assert name in run.output
        assert "apt-get" in run.output, "the refusal says what to do"
        assert host.touched() == []
        assert package in host.sh(f"dpkg-query -W -f '${{Package}} ${{db:Status-Status}}' {package}"), (
            "nothing is removed silently"
        )
    finally:
        host.sh(
            f"apt-get purge -y -qq --autoremove {package} >/dev/null 2>&1; "
            "rm -rf /etc/dovecot /etc/nginx /etc/exim4 /etc/mail"
        )


def test_a_host_whose_own_name_does_not_resolve_is_refused(lab: LabSite) -> None:
    host = lab.host
    name = host.sh("hostname")
    host.sh("hostname nowhere-to-be-found")
    try:
        run = lab.valija("apply")
        assert run.code == 1, run.output
        assert "nowhere-to-be-found" in run.output
    finally:
        host.sh(f"hostname {name}")


def test_ubuntu_24_04_is_refused_with_the_reason(lab: LabSite) -> None:
    host = lab.host
    host.sh(
        "rm -f /etc/os-release; printf 'ID=ubuntu\\nVERSION_ID=\"24.04\"\\nVERSION_CODENAME=noble\\n' > /etc/os-release"
    )
    try:
        run = lab.valija("apply")
        assert run.code == 1, run.output
        assert "courier-imap" in run.output
    finally:
        host.sh("ln -sf ../usr/lib/os-release /etc/os-release")


def test_the_class_rooms_server_is_refused_on_a_public_address(lab: LabSite) -> None:
    host = lab.host
    host.sh("ip address add 9.9.9.9/32 dev lo label lo:0")
    try:
        host.mark()
        run = lab.valija("apply", "-e", "mail_profile=tutorial")
        assert run.code == 1, run.output
        assert "9.9.9.9" in run.output and "mail_profile" in run.output
        assert host.touched() == []
    finally:
        host.sh("ip address del 9.9.9.9/32 dev lo")
