"""SquirrelMail as a person uses it: log in, list, read, send, log out."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from valija.messages import _
from valija.probes import web
from valija.probes.transcript import Transcript
from valija.probes.web import Browser, Page


class WebmailError(AssertionError):
    """A page is not what a person would have seen; `page` is what came instead."""

    def __init__(self, text: str, page: Page) -> None:
        super().__init__(text)
        self.page = page


@dataclass(frozen=True)
class Listed:
    """One row of a message list: the UID that SquirrelMail calls passed_id, and the subject."""

    uid: int
    subject: str


class SquirrelMail:
    """One person's session; `root` is the path where the webmail stands."""

    def __init__(self, browser: Browser, root: str = "/webmail/") -> None:
        self.browser = browser
        self.root = root

    def login_page(self) -> Page:
        """The page with the login form; raises when the form is missing."""
        page = self.browser.get(self.root)
        if page.status != 200 or not any("secretkey" in form.fields for form in web.forms(page)):
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
        for link in web.links(page):  # the frames, as a browser loads them: the left one makes Sent, Drafts and Trash
            if "left_main.php" in link or "right_main.php" in link:
                self.browser.get(link)
        return page

    def try_login(self, name: str, password: str) -> Page:
        page = self.login_page()
        form = next(form for form in web.forms(page) if "secretkey" in form.fields)
        return self.browser.submit(page, form, {"login_username": name, "secretkey": password})

    def logged_in(self, page: Page) -> bool:
        """Whether a page belongs to a session: it has frames or links into the mailbox and no password field."""
        inside = any(
            part in link for link in web.links(page) for part in ("right_main.php", "left_main.php", "options.php")
        )
        return page.status == 200 and inside and not any("secretkey" in form.fields for form in web.forms(page))

    def inbox(self) -> Page:
        """The page at the inbox's address, whoever asks."""
        return self.browser.get(f"{self.root}src/right_main.php")

    def messages(self, folder: str = "INBOX") -> list[Listed]:
        """The first page of a folder's message list."""
        page = self._page(f"src/right_main.php?PG_SHOWALL=0&startMessage=1&mailbox={quote(folder)}")
        listed = {}
        for anchor in re.finditer(r'<a[^>]+href="(read_body\.php\?[^"]+)"[^>]*>(.*?)</a>', page.text, re.S | re.I):
            uid = parse_qs(urlsplit(html.unescape(anchor[1])).query).get("passed_id", [""])[0]
            subject = html.unescape(re.sub(r"<[^>]+>", "", anchor[2])).strip()
            if uid.isdigit() and subject:
                listed[int(uid)] = Listed(int(uid), subject)
        return list(listed.values())

    def read(self, uid: int, folder: str = "INBOX") -> Page:
        """The page that shows one message."""
        query = urlencode({"mailbox": folder, "passed_id": uid, "startMessage": 1})
        return self._page(f"src/read_body.php?{query}")

    def source(self, uid: int, folder: str = "INBOX") -> bytes:
        """The whole message as the webmail lets a person download it."""
        query = urlencode({"mailbox": folder, "passed_id": uid, "ent_id": 0, "absolute_dl": "true"})
        return self._page(f"src/download.php?{query}").body

    def send(self, to: str, subject: str, body: str) -> Page:
        """Compose and send one message; raises when the webmail shows the compose form again."""
        page = self._page("src/compose.php?startMessage=1")
        form = next((form for form in web.forms(page) if "send_to" in form.fields), None)
        if form is None:
            raise WebmailError(_("No compose form at {url}.").format(url=page.url), page)
        sent = self.browser.submit(page, form, {"send_to": to, "subject": subject, "body": body}, button="send")
        if sent.status != 200 or any("send_to" in form.fields for form in web.forms(sent)):
            raise WebmailError(_("The webmail did not send: {reason}").format(reason=visible_text(sent)[:300]), sent)
        return sent

    def logout(self) -> Page:
        return self.browser.get(f"{self.root}src/signout.php")

    @property
    def transcript(self) -> Transcript:
        return self.browser.transcript

    def _page(self, path: str) -> Page:
        page = self.browser.get(self.root + path)
        if page.status != 200:
            raise WebmailError(_("{url} answered {status}.").format(url=page.url, status=page.status), page)
        return page


def visible_text(page: Page) -> str:
    """A page's text without its markup, white space folded."""
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", page.text, flags=re.S | re.I)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())
