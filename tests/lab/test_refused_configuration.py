"""A configuration that the product refuses is put back, the daemon with it, and mail still flows."""

from __future__ import annotations

import pytest

from .conftest import LabSite

REFUSED = [
    # A value that `postfix check` lets pass and that every smtpd then dies of: only the greeting tells.
    (
        {"postfix_main_cf_extra": {"smtpd_client_restrictions": "no_such_restriction_or_table:"}},
        "/etc/postfix/main.cf",
    ),
    (
        {"postfix_master_cf_extra": [{"service": "smtp", "type": "bogus", "command": "smtpd"}]},
        "/etc/postfix/master.cf",
    ),
]


@pytest.mark.parametrize(("settings", "path"), REFUSED, ids=["main.cf", "master.cf"])
def test_a_refused_file_is_put_back_and_mail_flows(converged: LabSite, settings: dict[str, object], path: str) -> None:
    import json

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
