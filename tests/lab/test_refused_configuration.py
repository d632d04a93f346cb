"""A configuration that the product refuses is put back, the daemon with it, and mail still flows."""

from __future__ import annotations

import json

import pytest

from .conftest import LabSite

REFUSED = [
    # A value that `postfix check` lets pass and that every smtpd then dies of: only the greeting tells.
    {"postfix_main_cf_extra": {"smtpd_client_restrictions": "no_such_restriction_or_table:"}},
    # A daemon that is not there: nothing checks for it, and no greeting comes.
    {"postfix_master_cf_extra": {"smtp/inet": {"private": "n", "command": "no-such-daemon"}}},
    # What the product's own checker finds, before the daemon is touched.
    {"apache_server_name": "not a name"},
]


@pytest.mark.parametrize("settings", REFUSED, ids=["main.cf", "master.cf", "apache"])
def test_a_refused_file_is_put_back_and_mail_flows(converged: LabSite, settings: dict[str, object]) -> None:
    host = converged.host
    before = host.managed_state()
    run = converged.valija("apply", "-e", json.dumps(settings))
    assert run.code == 1, run.output
    assert "put back" in run.output
    assert host.managed_state() == before
    assert converged.valija("prove", "--only", "A-20").code == 0
    again = converged.valija("apply", "--json")
    assert again.code == 0, again.output


def test_an_interrupted_refusal_is_mended_by_the_next_run(converged: LabSite) -> None:
    """The daemon was killed by hand after the files were broken: drift, which a plain run mends."""
    host = converged.host
    before = host.managed_state()
    host.sh("echo garbage >> /etc/postfix/master.cf; systemctl restart postfix || true")
    assert converged.valija("apply").code == 0
    assert host.managed_state() == before
    assert converged.valija("prove", "--only", "A-20").code == 0
