"""What was changed on a host by hand is found and mended; nothing else is touched."""

from __future__ import annotations

import pytest

from .conftest import LabSite, summary_of

DRIFT = {
    "file edited": "echo '# edited' >> /etc/postfix/main.cf",
    "file deleted": "rm /etc/courier/imapd",
    "mode changed": "chmod 0600 /etc/apache2/ports.conf",
    "owner changed": "chown nobody /etc/postfix/master.cf",
    "link moved": "ln -sfn /tmp /var/www/webmail",
    "compiled table deleted": "rm /etc/aliases.lmdb",
    "daemon stopped": "systemctl stop courier-pop",
    "daemon disabled": "systemctl disable -q courier-imap",
    "daemon masked": "systemctl mask -q --now apache2",
    "Maildir opened to all": "chmod 0755 /home/alice/Maildir",
    "package removed": "dpkg --purge --force-depends mailutils >/dev/null 2>&1",
    "webmail file edited": "echo '// edited' >> /usr/local/share/squirrelmail/src/login.php",
}


def test_drift_of_every_kind_is_found_and_mended_by_one_run(converged: LabSite) -> None:
    host = converged.host
    before = host.managed_state()
    for line in DRIFT.values():
        host.sh(line)
    drifted = host.managed_state()
    run = converged.valija("apply", "--json")
    assert run.code == 0, run.output
    assert drifted != before
    assert host.managed_state() == before
    assert host.sh("systemctl is-active apache2 courier-imap courier-pop").split() == ["active"] * 3
    assert host.sh("systemctl is-enabled apache2 courier-imap courier-pop").split() == ["enabled"] * 3
    assert host.sh("dpkg-query -W -f '${db:Status-Status}' mailutils") == "installed"


@pytest.mark.slow
@pytest.mark.parametrize("drift", DRIFT)
def test_drift_alone_is_found_and_mended(converged: LabSite, drift: str) -> None:
    host = converged.host
    before = host.managed_state()
    host.sh(DRIFT[drift])
    run = converged.valija("apply", "--json")
    assert run.code == 0, run.output
    assert summary_of(run)["changed"] >= 1
    assert host.managed_state() == before
