"""The web server and the webmail as a stranger and as a thief see them."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest

from valija.checks.journey import log_sizes, new_log_lines
from valija.checks.marks import check
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import web
from valija.probes.web import Browser
from valija.probes.webmail import visible_text

DENY = N_(
    "Run `valija apply --tags squirrelmail,roundcube,apache`: the web server denies these folders; .htaccess does not."
)

# What no webmail gives out, and what each keeps beside its pages.
PROTECTED = [".git/config", ".svn/entries", ".htaccess", "config/", "plugins/"]
PROTECTED_OF = {
    "squirrelmail": [
        *("config/config.php", "config/conf.pl", "config/config_default.php", "config/config_local.php"),
        *("data/", "data/default_pref", "class/", "class/mime.class.php", "functions/global.php", "functions/"),
        *("include/validate.php", "include/", "contrib/", "doc/", "doc/ReleaseNotes", "locale/", "po/", "configure"),
        *("plugins/translate/setup.php", "plugins/mail_fetch/fetch.php", "src/configtest.php"),
        *("config/config.php.bak", "config/config.php~", "config/config.php.before-valija"),
    ],
    "roundcube": [
        *("config/config.inc.php", "config/config.inc.php.before-valija", "config/defaults.inc.php", "SQL/", "bin/"),
        *("SQL/sqlite.initial.sql", "bin/update.sh", "installer/", "installer/index.php", "logs/", "logs/errors.log"),
        *("temp/", "vendor/", "program/", "program/include/iniset.php", "program/lib/", "program/js/", "skins/"),
        *("plugins/jqueryui/jqueryui.php", "plugins/jqueryui/config.inc.php", "skins/elastic/meta.json"),
        *("program/localization/en_US/labels.inc", "skins/elastic/templates/login.html.bak", "composer.json"),
    ],
}
SERVER = [
    *("/server-status", "/server-info", "/icons/", "/cgi-bin/", "/manual/", "/javascript/", "/roundcube/"),
    *("/.git/config", "/.htaccess"),
]

# Objects as PHP writes them: of a class of PHP's own, of one of SquirrelMail's, in an array, and named in base64.
SERIALIZED = [
    'O:8:"stdClass":0:{}',
    'O:7:"Message":1:{s:14:"att_local_name";s:11:"/etc/passwd";}',
    'a:1:{s:2:"to";O:8:"stdClass":0:{}}',
    "Tzo4OiJzdGRDbGFzcyI6MDp7fQ==",
]


@check(
    "E-01",
    N_("The login page is a clean page: no notice of PHP, no version"),
    vantage="client",
    tier="quick",
    needs=["webmail"],
)
def test_login_page_is_clean(webmail: Callable[..., Any], browser: Callable[..., Browser]) -> None:
    page = webmail(login=False).login_page()
    notice = re.search(r"(Notice|Warning|Deprecated|Fatal error)</b>?:", page.text)
    assert not notice, _("PHP speaks on the login page: {text}").format(text=visible_text(page)[:200])
    front = browser().get("/")
    for name in ("server", "x-powered-by"):
        for answer in (page, front):
            value = answer.header(name)
            assert not re.search(r"\d", value), _("{name}: {value} tells the version.").format(name=name, value=value)


@check(
    "E-02",
    N_("The login form refuses a wrong password, an unknown name and no name"),
    vantage="client",
    needs=["webmail"],
)
def test_bad_logins_at_the_form(webmail: Callable[..., Any], alice: Account) -> None:
    def attempt(name: str) -> str:
        """What is wrong with the answer to a bad login, or an empty text."""
        person = webmail(login=False)
        page = person.try_login(name, "wrong-password")
        if person.logged_in(page) or person.logged_in(person.inbox()):
            return _("{name!r} is logged in with a wrong password.").format(name=name)
        return _("{name!r} came back as it was written.").format(name=name) if "<b>x" in page.text else ""

    # A refused login sleeps some seconds in the daemon: side by side.
    with ThreadPoolExecutor(4) as pool:
        wrong = list(filter(None, pool.map(attempt, [alice.name, "nobody-x", "'\"<b>x", ""])))
    assert not wrong, " ".join(wrong)


@check("E-04", N_("After the logout the old cookies open nothing"), vantage="client", needs=["webmail"])
def test_stolen_cookies_after_logout(webmail: Callable[..., Any]) -> None:
    person, thief = webmail(), webmail(login=False)
    thief.browser.cookies.update(person.browser.cookies)
    assert thief.logged_in(thief.inbox()), _("The cookies are no session.")
    person.logout()
    assert not thief.logged_in(thief.inbox()), _("The session lives on after the logout.")


@check(
    "E-09",
    N_("What a browser sends never becomes an object: SquirrelMail's compose form ignores it (CVE-2020-14932, -14933)"),
    vantage="client",
    needs=["webmail"],
    setting="mail_squirrelmail_source",
    remedy=N_("Run `valija apply --tags squirrelmail`: the tree on the host is not the one that Valija prepares."),
)
def test_nothing_sent_becomes_an_object(webmail: Callable[..., Any], host: Any, site: Site) -> None:
    if site.webmail != "squirrelmail":
        pytest.skip(_("another webmail: {name} has no such form").format(name=site.webmail))
    person = webmail()
    compose = f"{person.root}src/compose.php"
    folder, before = log_sizes(host)
    broken = []
    for payload in (*SERIALIZED, "a:1:{i:0;" * 400):
        page = person.browser.get(f"{compose}?mailtodata={quote(payload)}")
        if page.status != 200 or not any("send_to" in form.fields for form in web.forms(page)):
            broken.append(f"mailtodata={payload[:40]}: {page.status}, {visible_text(page)[:80]}")
    for payload in (*SERIALIZED, "a:1:{i:0;" * 100_000, "x" * 1_000_000):
        page = person.browser.post(compose, {"attachments": payload, "send_to": "", "subject": "x", "body": "x"})
        if page.status != 200:
            broken.append(f"attachments={payload[:40]}: {page.status}, {visible_text(page)[:80]}")
    assert not broken, "\n".join(broken)
    lines = new_log_lines(host, folder, before)
    assert not lines, "\n".join(lines)


@check(
    "E-18",
    N_("The webmail's protected folders are not served"),
    tier="quick",
    needs=["webmail"],
    setting="mail_webmail",
    remedy=DENY,
)
def test_protected_folders(browser: Callable[..., Browser], site: Site) -> None:
    visitor = browser()
    served = []
    for path in PROTECTED + PROTECTED_OF[site.webmail]:
        page = visitor.get(f"/webmail/{path}", follow=False)
        if page.status not in (403, 404):
            served.append(f"{path}: {page.status}")
    assert not served, _("These are served: {paths}").format(paths=", ".join(served))


@check("E-18", N_("The web server shows nothing of itself"), setting="apache_*", remedy=DENY)
def test_server_shows_nothing_of_itself(browser: Callable[..., Browser]) -> None:
    visitor = browser()
    served = [path for path in SERVER if visitor.get(path, follow=False).status not in (403, 404)]
    assert not served, _("These are served: {paths}").format(paths=", ".join(served))


@check("E-20", N_("A folder without a page of its own is never listed"), setting="apache_*", remedy=DENY)
def test_no_directory_listing(browser: Callable[..., Browser]) -> None:
    visitor = browser()
    for path in (
        "/",
        "/webmail/images/",
        "/webmail/src/",
        "/webmail/themes/",
        "/webmail/help/",
        "/webmail/skins/",
        "/webmail/program/js/",
    ):
        page = visitor.get(path)
        assert "Index of" not in page.text and "Parent Directory" not in page.text, path


@check("E-21", N_("HTTP methods that only a fool or a thief sends are refused"), setting="apache_*")
@pytest.mark.parametrize("method", ["TRACE", "PUT", "DELETE", "PROPFIND", "TRACK", "FOO"])
def test_http_methods(browser: Callable[..., Browser], method: str) -> None:
    page = browser().ask(method, "/")
    assert page.status in (400, 403, 405, 501), _("{method} was answered {status}.").format(
        method=method, status=page.status
    )
    assert web.forms(page) == []
