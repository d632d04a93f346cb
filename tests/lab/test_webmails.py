"""From one webmail to another and back: one is served, nobody's data is lost, and the second run changes nothing."""

from __future__ import annotations

from .conftest import LabHost, LabSite, summary_of

FORMS = {"squirrelmail": "login_username", "roundcube": "rcmloginuser"}
KEY = "/etc/roundcube/valija-key.inc.php"
DATA = "/var/local/squirrelmail/data/somebody.pref"


def served(host: LabHost) -> str:
    """The webmail whose login form stands under /webmail; `none` when nothing does."""
    look = (
        "import ssl, urllib.request as u; "
        'print(u.urlopen("https://localhost/webmail/", context=ssl._create_unverified_context()).read().decode())'
    )
    page = host.sh(f"python3 -c '{look}' 2>&1", check=False)
    assert "404" in page or "<form" in page, page
    return next((name for name, field in FORMS.items() if field in page), "none")


def test_one_webmail_is_served_after_every_switch_and_all_data_stay(converged: LabSite) -> None:
    host = converged.host
    host.sh(f"echo full_name=Somebody >{DATA}")
    keys = set()
    for name in ("roundcube", "none", "roundcube", "squirrelmail", "none", "squirrelmail"):
        before = host.managed_state()
        planned = converged.valija("plan", "-e", f"mail_webmail={name}")
        assert host.managed_state() == before, "a plan changes nothing"
        first = converged.valija("apply", "-e", f"mail_webmail={name}", "-vvv")
        assert first.code == 0, first.output
        assert served(host) == name
        again = converged.valija("apply", "-e", f"mail_webmail={name}", "--json")
        assert summary_of(again)["changed"] == 0, again.output
        keys.add(host.sh(f"cat {KEY}"))
        key = host.sh(f"sed -n \"s/.*= '\\(.*\\)';/\\1/p\" {KEY}")
        assert len(key) == 32 and key not in planned.output + first.output
    assert len(keys) == 1, "the key was made once"
    assert host.sh(f"stat -c '%U %G %a' {KEY}") == "root www-data 640"
    assert host.sh(f"cat {DATA}") == "full_name=Somebody"
    assert host.sh("ls -d /var/www/webmail.before-valija 2>/dev/null", check=False) == ""
    host.sh("test -s /var/lib/dbconfig-common/sqlite3/roundcube/roundcube")
