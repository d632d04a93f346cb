"""Roundcube as its own pages speak with it: log in, list, read, send, log out, over plain HTTP."""

from __future__ import annotations

import json
import re
from urllib.parse import urlencode

from valija.messages import _
from valija.probes import web
from valija.probes.transcript import Transcript
from valija.probes.web import Browser, Page
from valija.probes.webmail import Listed, WebmailError, visible_text

_TOKEN = re.compile(r'"request_token":"(\w+)"')
_ROW = re.compile(r"this\.add_message_row\((\d+),(\{.*?\}),\{", re.S)


class Roundcube:
    """One person's session, with the same methods as `SquirrelMail`; `root` is the path where the webmail stands."""

    def __init__(self, browser: Browser, root: str = "/webmail/") -> None:
        self.browser = browser
        self.root = root
        self._token = ""

    def login_page(self) -> Page:
        """The page with the login form; raises when the form is missing."""
        page = self.browser.get(self.root)
        if page.status != 200 or not any("_pass" in form.fields for form in web.forms(page)):
            raise WebmailError(
                _("No login form at {url}: {status}, {size} octets.").format(
                    url=page.url, status=page.status, size=len(page.body)
                ),
                page,
            )
        return page

    def login(self, name: str, password: str) -> Page:
        """The page after the login form; raises when it is not the mailbox."""
        page = self.try_login(name, password)
        if not self.logged_in(page):
            raise WebmailError(
                _("The login of {name} did not lead to the mailbox: {reason}").format(
                    name=name, reason=visible_text(page)[:200]
                ),
                page,
            )
        found = _TOKEN.search(page.text)
        self._token = found[1] if found else ""
        return page

    def try_login(self, name: str, password: str) -> Page:
        page = self.login_page()
        form = next(form for form in web.forms(page) if "_pass" in form.fields)
        return self.browser.submit(page, form, {"_user": name, "_pass": password})

    def logged_in(self, page: Page) -> bool:
        """Whether a page belongs to a session: it leads to the logout and has no password field."""
        out = any("_task=logout" in link for link in web.links(page))
        return page.status == 200 and out and not any("_pass" in form.fields for form in web.forms(page))

    def inbox(self) -> Page:
        """The page at the inbox's address, whoever asks."""
        return self.browser.get(f"{self.root}?_task=mail&_mbox=INBOX")

    def messages(self, folder: str = "INBOX") -> list[Listed]:
        """The first page of a folder's message list."""
        query = urlencode({"_task": "mail", "_action": "list", "_mbox": folder, "_remote": 1})
        page = self._page(query, {"X-Roundcube-Request": self._token})
        rows = _ROW.findall(json.loads(page.text)["exec"])
        return [Listed(int(uid), str(json.loads(cells)["subject"])) for uid, cells in rows]

    def read(self, uid: int, folder: str = "INBOX") -> Page:
        """The page that shows one message."""
        return self._page(urlencode({"_task": "mail", "_action": "show", "_uid": uid, "_mbox": folder}))

    def source(self, uid: int, folder: str = "INBOX") -> bytes:
        """The whole message as the webmail lets a person download it."""
        query = {"_task": "mail", "_action": "viewsource", "_uid": uid, "_mbox": folder}
        query |= {"_save": 1, "_token": self._token}
        return self._page(urlencode(query)).body

    def send(self, to: str, subject: str, body: str) -> Page:
        """Compose and send one message; raises when the webmail does not say that it is sent."""
        page = self._page("_task=mail&_action=compose")
        form = next((form for form in web.forms(page) if "_subject" in form.fields), None)
        if form is None:
            raise WebmailError(_("No compose form at {url}.").format(url=page.url), page)
        sent = self.browser.submit(page, form, {"_to": to, "_subject": subject, "_message": body})
        if "sent_successfully" not in sent.text:
            raise WebmailError(_("The webmail did not send: {reason}").format(reason=visible_text(sent)[:300]), sent)
        return sent

    def logout(self) -> Page:
        return self.browser.get(f"{self.root}?_task=logout&_token={self._token}")

    @property
    def transcript(self) -> Transcript:
        return self.browser.transcript

    def _page(self, query: str, headers: dict[str, str] | None = None) -> Page:
        page = self.browser.get(f"{self.root}?{query}", headers=headers)
        if page.status != 200:
            raise WebmailError(_("{url} answered {status}.").format(url=page.url, status=page.status), page)
        return page
