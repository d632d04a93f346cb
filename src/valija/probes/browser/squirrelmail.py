"""SquirrelMail in a browser: folders in the left frame, everything else in the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valija.messages import _
from valija.probes.browser.chromium import Window
from valija.probes.browser.webmail import Draft, NotSeenError

if TYPE_CHECKING:
    from playwright.sync_api import Frame

PREFIX = "INBOX."


class SquirrelMailPages:
    """See `Webmail`."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.page = window.page

    def login(self, name: str, password: str) -> None:
        self.window.says(_("log in as {name}"), name=name)
        self.page.goto(self.window.url)
        self.page.fill("[name=login_username]", name)
        self.page.fill("[name=secretkey]", password)
        self.page.click("input[type=submit]")
        self.page.wait_for_url("**/webmail.php*")
        self._must_show("Current Folder: INBOX")

    def folders(self) -> list[str]:
        self._follow(self._left, "a:text-is('Check mail')")
        links = self._left.locator("a[target=right][href*='right_main.php']")
        return [str(link.get_attribute("title")) for link in links.all()]

    def subjects(self, folder: str) -> list[str]:
        self.window.says(_("open the folder {folder}"), folder=folder)
        self.folders()
        self._follow(self._left, f"a[target=right][href$='mailbox={_imap_name(folder)}']", self._right)
        return self._listed()

    def read(self, folder: str, subject: str) -> str:
        self.subjects(folder)
        self.window.says(_("read {subject}"), subject=subject)
        self._follow(self._right, f"a[href*='read_body.php']:text-is('{subject}')")
        return self._right.inner_text("body")

    def reply(self, body: str) -> None:
        self.window.says(_("reply"))
        self._follow(self._right, "a:text-is('Reply')")
        quoted = self._right.input_value("#body")
        self._right.fill("#body", f"{body}\n\n{quoted}")
        self.send()

    def compose(self, draft: Draft) -> None:
        self.window.says(_("write to {address}"), address=draft.to)
        self._menu("Compose")
        for file in draft.files:
            self._right.set_input_files("[name=attachfile]", file)
            self._follow(self._right, "[name=attach]")
            self._must_show(file.name)
        for field, value in (("send_to", draft.to), ("subject", draft.subject), ("body", draft.body)):
            self._right.fill(f"#{field}", value)

    def send(self) -> None:
        self.window.says(_("send"))
        self._follow(self._right, "[name=send] >> nth=-1")
        if "compose.php" in self._right.url:
            raise NotSeenError(
                _("The webmail did not send: {reason}").format(reason=self._right.inner_text("body")[:400])
            )

    def search(self, text: str) -> list[str]:
        self.window.says(_("search for {text}"), text=text)
        self.subjects("INBOX")
        self._menu("Search")
        self._right.fill("[name=what]", text)
        self._right.select_option("[name=where]", "SUBJECT")
        self._follow(self._right, "form[name=s] [type=submit]")
        return self._listed()

    def create_folder(self, name: str) -> None:
        self.window.says(_("create the folder {name}"), name=name)
        self._menu("Folders")
        self._right.fill("#folder_name", name)
        self._follow(self._right, "form[name=cf] [type=submit]")
        self._must_show("Created folder successfully")

    def rename_folder(self, old: str, new: str) -> None:
        self.window.says(_("rename the folder {old} to {new}"), old=old, new=new)
        self._menu("Folders")
        self._right.select_option("[name=old]", _imap_name(old))
        self._follow(self._right, "form:has([name=old]) [type=submit]")
        self._right.fill("[name=new_name]", new)
        self._follow(self._right, "form:has([name=new_name]) [type=submit]")
        self._must_show("Renamed successfully")

    def delete_folder(self, name: str) -> None:
        self.window.says(_("delete the folder {name}"), name=name)
        self._menu("Folders")
        form = "form[action^='folders_delete.php']"
        self._right.select_option(f"{form} [name=mailbox]", _imap_name(name))
        self._follow(self._right, f"{form} [type=submit]")
        self._follow(self._right, "[name=confirmed]")
        self._must_show("Deleted folder successfully")

    def move(self, folder: str, subject: str, target: str) -> None:
        self._tick(folder, subject)
        self.window.says(_("move it to {target}"), target=target)
        self._right.select_option("[name=targetMailbox]", _imap_name(target))
        self._follow(self._right, "[name=moveButton]")

    def delete(self, folder: str, subject: str) -> None:
        self._tick(folder, subject)
        self.window.says(_("delete it"))
        self._follow(self._right, "[name=delete]")

    def purge(self) -> None:
        self.folders()
        self.window.says(_("empty the trash"))
        self._follow(self._left, "a[href*='empty_trash.php']")

    def add_contact(self, name: str, address: str) -> None:
        self.window.says(_("add {name} <{address}> to the address book"), name=name, address=address)
        self._menu("Addresses")
        for field, value in (("nickname", name), ("email", address), ("firstname", name)):
            self._right.fill(f"#addaddr_{field}_", value)
        self._follow(self._right, "#addaddr_SUBMIT_")

    def contacts(self) -> str:
        self._menu("Addresses")
        return self._right.inner_text("body")

    def set_full_name(self, name: str) -> None:
        self.window.says(_("set the full name {name}"), name=name)
        self._menu("Options")
        self._follow(self._right, "a:text-is('Personal Information')")
        self._right.fill("[name=new_full_name]", name)
        self._follow(self._right, "[name=submit_personal]")
        self._must_show("Successfully Saved Options")

    def logout(self) -> None:
        self.page.goto(f"{self.window.url}src/webmail.php")
        self.window.says(_("log out"))
        self._right.click("a:text-is('Sign Out')")
        self.page.wait_for_url("**/signout.php*")

    def inside(self) -> bool:
        self.page.goto(f"{self.window.url}src/right_main.php")
        return "Current Folder:" in self.page.inner_text("body")

    @property
    def _left(self) -> Frame:
        return self._frame("left")

    @property
    def _right(self) -> Frame:
        return self._frame("right")

    def _frame(self, name: str) -> Frame:
        frame = self.page.frame(name=name)
        if frame is None:
            raise NotSeenError(_("The page {url} has no frame {name}.").format(url=self.page.url, name=name))
        return frame

    def _follow(self, frame: Frame, selector: str, other: Frame | None = None) -> None:
        """Click in a frame, and wait for the page that comes there, or in the other frame."""
        with (other or frame).expect_navigation(wait_until="load"):
            frame.click(selector)

    def _menu(self, entry: str) -> None:
        self._follow(self._right, f"a:text-is('{entry}')")

    def _listed(self) -> list[str]:
        texts = self._right.locator("a[href*='read_body.php']").all_inner_texts()
        return [text.strip() for text in texts if text.strip()]

    def _tick(self, folder: str, subject: str) -> None:
        self.subjects(folder)
        self.window.says(_("tick {subject}"), subject=subject)
        link = self._right.locator(f"a[href*='read_body.php']:text-is('{subject}')")
        self._right.locator("tr", has=link).last.locator("input[type=checkbox]").check()

    def _must_show(self, text: str) -> None:
        """The right frame comes to show a text; a no-break space counts as a space."""
        shown = self._right.locator("body")
        try:
            shown.get_by_text(text).first.wait_for()
        except Exception as error:
            raise NotSeenError(
                _("The page {url} does not show {text!r}: {seen}").format(
                    url=self._right.url, text=text, seen=shown.inner_text()[:300]
                )
            ) from error


def _imap_name(folder: str) -> str:
    return folder if folder == "INBOX" else PREFIX + folder
