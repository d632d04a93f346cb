"""Roundcube in a browser: its elastic skin, which changes the page without leaving it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valija.messages import _
from valija.probes.browser.chromium import Window
from valija.probes.browser.webmail import Draft, NotSeenError

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Locator

PREFIX = "INBOX."

# rcmail is busy before a click returns; what it loads besides, it says.
IDLE = "() => window.rcmail && !rcmail.busy && !document.querySelector('#messagestack .loading')"


class RoundcubePages:
    """See `Webmail`."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.page = window.page

    def login(self, name: str, password: str) -> None:
        self.window.says(_("log in as {name}"), name=name)
        self.page.goto(self.window.url)
        self.page.fill("[name=_user]", name)
        self.page.fill("[name=_pass]", password)
        self.page.click("#rcmloginsubmit")
        self.page.wait_for_selector("#messagelist", state="attached")
        self._settle()

    def folders(self) -> list[str]:
        self._task("?_task=mail")
        links = self.page.locator("#mailboxlist a[rel]").all()
        return [str(link.get_attribute("rel")).removeprefix(PREFIX) for link in links]

    def subjects(self, folder: str) -> list[str]:
        self.window.says(_("open the folder {folder}"), folder=folder)
        self._task("?_task=mail&_mbox=" + _imap_name(folder))
        return self._listed()

    def read(self, folder: str, subject: str) -> str:
        self.subjects(folder)
        self.window.says(_("read {subject}"), subject=subject)
        if self._narrow:
            self._row(subject).click()
            shown = self.page.frame_locator("#messagecontframe").locator("body")
            shown.locator("#messagebody").wait_for()
            return shown.inner_text()
        self._row(subject).dblclick()
        self.page.wait_for_selector("#messagebody")
        self._settle()
        return self.page.inner_text("#layout-content")

    def reply(self, body: str) -> None:
        self.window.says(_("reply"))
        self.page.click("a.reply:visible >> nth=0")
        self._write(body)
        self.send()

    def compose(self, draft: Draft) -> None:
        self.window.says(_("write to {address}"), address=draft.to)
        self._task("?_task=mail&_action=compose")
        for file in draft.files:
            with self.page.expect_file_chooser() as chooser:
                self.page.click("#compose-attachments button.attach")
            chooser.value.set_files(file)
            self.page.wait_for_selector(f"#attachment-list li:not(.uploading):has-text('{file.name}')")
        recipient = self.page.locator("#compose_to input[role=combobox]")
        recipient.fill(draft.to)
        recipient.press("Enter")
        self.page.fill("#compose-subject", draft.subject)
        self._write(draft.body)

    def send(self) -> None:
        self.window.says(_("send"))
        self.page.click("button.send")
        self.page.wait_for_selector("#messagelist", state="attached")
        self._settle()

    def search(self, text: str) -> list[str]:
        self.subjects("INBOX")
        self.window.says(_("search for {text}"), text=text)
        with self.page.expect_response(lambda response: "_action=search" in response.url):
            self.page.fill("#mailsearchform", text)
            self.page.press("#mailsearchform", "Enter")
        self._settle()
        return self._listed()

    def create_folder(self, name: str) -> None:
        self.window.says(_("create the folder {name}"), name=name)
        self._task("?_task=settings&_action=folders")
        self.page.click("a.create")
        self._form.locator("[name=_name]").fill(name)
        self._save()

    def rename_folder(self, old: str, new: str) -> None:
        self.window.says(_("rename the folder {old} to {new}"), old=old, new=new)
        self._open_in_settings(old)
        self._form.locator("[name=_name]").fill(new)
        self._save()

    def delete_folder(self, name: str) -> None:
        self.window.says(_("delete the folder {name}"), name=name)
        self._open_in_settings(name)
        self.page.click("a.delete:visible")
        self.page.click(".ui-dialog-buttonset button.mainaction")
        self.page.wait_for_selector(f"#subscription-table li:has-text('{name}')", state="detached")
        self._settle()

    def move(self, folder: str, subject: str, target: str) -> None:
        self._tick(folder, subject)
        self.window.says(_("move it to {target}"), target=target)
        self.page.click("#messagemenulink")
        self.page.click("#message-menu a.move")
        self.page.click(f"#folder-selector a:has-text('{target}')")
        self._settle()

    def delete(self, folder: str, subject: str) -> None:
        self._tick(folder, subject)
        self.window.says(_("delete it"))
        self.page.click("a.delete:visible")
        self._settle()

    def purge(self) -> None:
        self.subjects("Trash")
        self.window.says(_("empty the trash"))
        self.page.click("a.sidebar-menu")
        self.page.click("#mailboxoptions-menu a.purge")
        self.page.click(".ui-dialog-buttonset button.mainaction")
        self._settle()

    def add_contact(self, name: str, address: str) -> None:
        self.window.says(_("add {name} <{address}> to the address book"), name=name, address=address)
        self._task("?_task=addressbook")
        self.page.click("a.create")
        form = self.page.frame_locator("#contact-frame")
        form.locator("[name=_firstname]").fill(name)
        form.locator("[name^=_email]").first.fill(address)
        form.locator("button.submit").click()
        self.page.wait_for_selector(f"#contacts-table :text('{name}')")

    def contacts(self) -> str:
        self._task("?_task=addressbook")
        return self.page.inner_text("#contacts-table")

    def set_full_name(self, name: str) -> None:
        self.window.says(_("set the full name {name}"), name=name)
        self._task("?_task=settings&_action=identities")
        self.page.click("#identities-table tbody tr >> nth=0")
        self._form.locator("[name=_name]").fill(name)
        self._save()

    def logout(self) -> None:
        self.window.says(_("log out"))
        self.page.click("a.logout")
        self.page.wait_for_selector("[name=_pass]")

    def inside(self) -> bool:
        self.page.goto(f"{self.window.url}?_task=mail&_mbox=INBOX")
        if not self.page.locator("#messagelist").count():
            return False
        self._settle()
        return True

    @property
    def _narrow(self) -> bool:
        """Whether one column is all there is room for: a message then takes the place of the list."""
        size = self.page.viewport_size
        return size is not None and size["width"] < 768

    @property
    def _form(self) -> FrameLocator:
        return self.page.frame_locator("#preferences-frame")

    def _task(self, query: str) -> None:
        """Go to a part of the webmail by its address, as a bookmark does."""
        self.page.goto(self.window.url + query)
        self._settle()

    def _settle(self) -> None:
        self.page.wait_for_load_state("load")
        self.page.wait_for_function(IDLE)

    def _listed(self) -> list[str]:
        return [text.strip() for text in self.page.locator("#messagelist tbody td.subject .subject").all_inner_texts()]

    def _row(self, subject: str) -> Locator:
        exact = self.page.locator(f"td.subject .subject :text-is('{subject}')")
        return self.page.locator("#messagelist tbody tr", has=exact).first

    def _tick(self, folder: str, subject: str) -> None:
        self.subjects(folder)
        self.window.says(_("choose {subject}"), subject=subject)
        self._row(subject).click()
        self.page.frame_locator("#messagecontframe").locator("#messagebody").wait_for()
        self._settle()

    def _write(self, body: str) -> None:
        self.page.wait_for_selector("#composebody")
        self._settle()
        quoted = self.page.input_value("#composebody")
        self.page.fill("#composebody", f"{body}\n\n{quoted}" if quoted.strip() else body)

    def _open_in_settings(self, folder: str) -> None:
        self._task("?_task=settings&_action=folders")
        self.page.click(f"#subscription-table li a:text-is('{folder}')")
        self._form.locator("[name=_name]").wait_for()

    def _save(self) -> None:
        """Save the form in the frame; the webmail says in words whether it did."""
        self._form.locator("button.submit").click()
        said = self.page.locator("#messagestack .confirmation, #messagestack .error, #messagestack .warning").first
        said.wait_for()
        if "confirmation" not in str(said.get_attribute("class")):
            raise NotSeenError(_("The webmail did not save: {reason}").format(reason=said.inner_text()))
        self._settle()


def _imap_name(folder: str) -> str:
    return folder if folder == "INBOX" else PREFIX + folder
