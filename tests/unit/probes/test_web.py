"""The browser and the webmail probe against a real HTTP server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from valija.probes import web
from valija.probes.web import Browser, Page
from valija.probes.webmail import SquirrelMail, WebmailError

LOGIN = """<form name="login_form" action="redirect.php" method="post"><input type="text" name="login_username">
<input type="password" name="secretkey"><input type="hidden" name="just_logged_in" value="1">
<input type="submit" name="smsubmit" value="Login"></form>"""
FRAMES = """<frameset><frame src="left_main.php"><frame src="right_main.php"></frameset>"""
LIST = """<a href="read_body.php?mailbox=INBOX&amp;passed_id=4">First &amp; last</a>"""


class Webmail(BaseHTTPRequestHandler):
    """As much of SquirrelMail as the probe touches."""

    def do_GET(self) -> None:
        inside = "SESSION=good" in (self.headers.get("Cookie") or "")
        path = self.path.partition("?")[0]
        if path == "/webmail/":
            self._answer(302, "", location="src/login.php")
        elif path == "/webmail/src/login.php" or not inside:
            self._answer(200, LOGIN)
        else:
            self._answer(200, {"right_main.php": LIST, "webmail.php": FRAMES}.get(path.rpartition("/")[2], "x"))

    def do_POST(self) -> None:
        fields = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        good = fields.get("secretkey") == ["secret"] and fields.get("just_logged_in") == ["1"]
        self._answer(302, "", location="webmail.php", cookie="SESSION=good; path=/" if good else "")

    def _answer(self, status: int, body: str, location: str = "", cookie: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        for name, value in (("Location", location), ("Set-Cookie", cookie)):
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_args: object) -> None:
        """Be quiet."""


@pytest.fixture
def browser() -> Iterator[Browser]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Webmail) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Browser(f"http://mail.example.test:{server.server_port}/", host="127.0.0.1")
        server.shutdown()
        thread.join()


def test_a_person_logs_in_and_sees_the_list(browser: Browser) -> None:
    person = SquirrelMail(browser)
    person.login("alice", "secret")
    assert [(row.uid, row.subject) for row in person.messages()] == [(4, "First & last")]
    text = str(person.transcript)
    assert "secret" not in text.replace("secretkey", "") and "SESSION=good" not in text
    assert "Host: mail.example.test" in text


def test_a_wrong_password_leads_nowhere(browser: Browser) -> None:
    with pytest.raises(WebmailError, match="did not lead to the mailbox"):
        SquirrelMail(browser).login("alice", "wrong")


def test_forms_keep_the_values_that_they_would_send() -> None:
    html = b"""<form action="a.php"><input type=hidden name=t value=1><textarea name=body>two
lines</textarea><select name=prio><option value=1>x<option value=3 selected>y</select>
<input type=checkbox name=c value=yes><input type=checkbox name=d value=yes checked>
<input type=submit name=go></form>"""
    [form] = web.forms(Page("http://x/", 200, {}, html))
    assert form.fields == {"t": "1", "body": "two\nlines", "prio": "3", "d": "yes"}
    assert (form.action, form.buttons) == ("a.php", {"go": ""})


def test_secrets_in_an_address_are_masked() -> None:
    assert web._without_secrets("/x.php?smtoken=abc&a=1") == "/x.php?smtoken=********&a=1"
