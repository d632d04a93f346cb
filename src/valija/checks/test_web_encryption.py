"""The web over TLS: what a browser is told beside the page, and that nobody stays on http."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from valija.checks.marks import check, rfc
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes.web import Browser, Page

REMEDY = N_("Run `valija apply --tags apache,webmail`; a page of your own may take a header away or set another.")

# Half a year, the least that tests of web servers take for earnest (RFC 6797 sets no number).
LEAST_HSTS_SECONDS = 15768000


def header_problems(page: Page, *, private: bool) -> list[str]:
    """What is missing beside a page; `private` is one behind the login, which no cache may keep."""
    policy = page.header("content-security-policy")
    age = re.search(r"max-age=(\d+)", page.header("strict-transport-security"))
    owed = {
        "Strict-Transport-Security": age is not None and int(age[1]) >= LEAST_HSTS_SECONDS,
        "X-Content-Type-Options": page.header("x-content-type-options").lower() == "nosniff",
        "X-Frame-Options": "frame-ancestors" in policy
        or page.header("x-frame-options").upper() in ("DENY", "SAMEORIGIN"),
        "Referrer-Policy": page.header("referrer-policy").lower() in ("no-referrer", "same-origin"),
        "Content-Security-Policy": bool(policy),
        "Cache-Control": not private or "no-store" in page.header("cache-control").lower(),
        "Server": not re.search(r"\d", page.header("server")),
        "X-Powered-By": not page.header("x-powered-by"),
    }
    return [
        _("{url}: {header} is {value!r}.").format(url=urlsplit(page.url).path, header=name, value=page.header(name))
        for name, right in owed.items()
        if not right
    ]


@check(
    "C-19",
    N_("Every page over https tells a browser to stay there, not to guess, not to be framed, and to keep nothing"),
    clauses=[rfc(6797, "6.1"), "OWASP Secure Headers"],
    setting="mail_webmail",
    remedy=REMEDY,
    needs=["tls"],
)
def test_headers(
    site: Site, browser: Callable[..., Browser], request: pytest.FixtureRequest, alice: Account, family: str
) -> None:
    visitor = browser(family)
    pages = [(visitor.get(path), False) for path in ("/", "/no-such-page")]
    if site.webmail != "none":
        person = request.getfixturevalue("webmail")(alice)
        pages += [(browser(family).get("/webmail/"), False), (person.inbox(), True)]
        pages += [(person.read(row.uid), True) for row in person.messages()[:1]]
    assert {page.status for page, _private in pages} <= {200, 404}, [page.status for page, _private in pages]
    wrong = [problem for page, private in pages for problem in header_problems(page, private=private)]
    assert not wrong, "\n".join(wrong)


@check(
    "C-20",
    N_("http leads to https at the same host, whatever is asked for, and sets no cookie on the way"),
    tier="quick",
    clauses=[rfc(9110, "15.4.2"), rfc(6797, "7.2")],
    setting="mail_tls_source",
    remedy=REMEDY,
    needs=["tls"],
)
@pytest.mark.parametrize("path", ["/", "/webmail/", "/webmail/src/login.php?a=b", "/no/such/page"])
def test_http_leads_to_https(browser: Callable[..., Browser], site: Site, family: str, path: str) -> None:
    for name in (site.hostname, "other.invalid", site.addresses[family]):
        asked = f"[{name}]" if ":" in name else name
        visitor = browser(family, scheme="http")
        page = visitor.get(path, follow=False, headers={"Host": asked})
        target = page.header("location")
        owed = (f"https://{asked}{path}", f"https://{site.hostname}{path}")
        assert page.status in (301, 308) and target in owed, _(
            "http://{host}{path} is answered {status} {target}; a redirect to {owed} is owed."
        ).format(host=asked, path=path, status=page.status, target=target, owed=owed[0])
        assert not visitor.cookies and b"<form" not in page.body.lower(), f"{asked}{path}: {page.text[:200]}"


@check(
    "C-05",
    N_("Port 80 does not turn to TLS within a connection, where two requests could be taken for one"),
    clauses=[rfc(2817, "3"), "CVE-2025-49812"],
    remedy=N_("Take `SSLEngine optional` out of Apache's configuration."),
    needs=["tls"],
)
def test_no_upgrade_to_tls(browser: Callable[..., Browser], family: str) -> None:
    for method in ("GET", "OPTIONS"):
        visitor = browser(family, scheme="http")
        asked = {"Upgrade": "TLS/1.2, TLS/1.0", "Connection": "Upgrade"}
        page = visitor.get("/", follow=False, headers=asked) if method == "GET" else visitor.ask(method, "/")
        assert page.status != 101 and "TLS" not in page.header("upgrade"), f"{method}: {page.status} {page.headers}"
