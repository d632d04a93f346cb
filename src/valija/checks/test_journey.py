"""A person's way through the webmail in a browser; each step is seen by IMAP, or where the message arrives.

The steps stand in the order of the day, and all of them take place in one window.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from valija.checks.journey import attachments, body_digest, header, log_sizes, new_log_lines
from valija.checks.mailbox import ARRIVAL_SECONDS, Mailbox
from valija.checks.marks import check
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import message, transcript, wait
from valija.probes.browser.chromium import Window, open_browser, proved_key
from valija.probes.browser.roundcube import RoundcubePages
from valija.probes.browser.squirrelmail import SquirrelMailPages
from valija.probes.browser.webmail import Draft, Webmail
from valija.probes.peer import Peer
from valija.probes.transcript import Recorder

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PAGES: dict[str, Callable[[Window], Webmail]] = {"squirrelmail": SquirrelMailPages, "roundcube": RoundcubePages}

DESKTOP, PHONE = (1280, 800), (390, 844)
FULL_NAME = "Pilar Probe"
FOLDERS = {"INBOX", "Drafts", "Sent", "Trash"}
REMEDY = N_("Run `valija apply --tags squirrelmail,roundcube,apache`; the pages asked for stand in the transcript.")
NEEDS = ("webmail", "browser")


@dataclass
class Day:
    """What the steps hand on: the window, the words by which this journey's messages are known, the logs before."""

    window: Window
    mail: Webmail
    log_folder: str
    logs_before: dict[str, int]
    word: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    @property
    def question(self) -> str:
        return f"Question {self.word}"

    @property
    def letter(self) -> str:
        return f"Letter {self.word}"

    @property
    def folder(self) -> str:
        return f"kept-{self.word}"


@pytest.fixture(scope="module")
def chromium(site: Site, main_family: str, request: pytest.FixtureRequest) -> Iterator[Browser]:
    """The browser; it finds the host by its name, whatever this machine's resolver says, and trusts its one key."""
    address = site.addresses[main_family]
    context = request.getfixturevalue("tls_context") if site.tls else None
    keys = [proved_key(site.hostname, address, context)] if context else []
    with open_browser({site.hostname: address}, keys) as browser:
        yield browser


@pytest.fixture(scope="module")
def open_window(chromium: Browser, site: Site) -> Iterator[Callable[..., Window]]:
    """Open another window, of the given size: `open_window(*PHONE)`."""
    windows: list[Window] = []

    def open_one(width: int = DESKTOP[0], height: int = DESKTOP[1]) -> Window:
        scheme = "https" if site.tls else "http"
        windows.append(Window(chromium, f"{scheme}://{site.hostname}/webmail/", width=width, height=height))
        return windows[-1]

    yield open_one
    for window in windows:
        window.close()


@pytest.fixture(scope="module")
def begun(open_window: Callable[..., Window], site: Site, host: Any, alice: Account) -> Day:
    """The day of alice, who has just logged in."""
    window = open_window()
    log_folder, sizes = log_sizes(host)
    day = Day(window, PAGES[site.webmail](window), log_folder, sizes)
    day.mail.login(alice.name, alice.password)
    return day


@pytest.fixture
def day(begun: Day) -> Day:
    """The same day, with a transcript of this step alone."""
    listen(begun.window)
    return begun


@pytest.fixture(scope="module")
def enclosures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Files to attach: none of 0 bytes gets lost, and each byte of a MiB is there."""
    folder = tmp_path_factory.mktemp("enclosures")
    files = {"nothing.txt": b"", "all-bytes.bin": bytes(range(256)) * 4096}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return tuple(folder / name for name in files)


@pytest.fixture
def picture(request: pytest.FixtureRequest, site: Site) -> Callable[[Window, str], None]:
    """Keep a picture of a window in the report's folder, when there is a report."""
    report: Path | None = request.config.getoption("--report-dir")

    def take(window: Window, name: str) -> None:
        if report is not None:
            folder = report / "screenshots"
            folder.mkdir(parents=True, exist_ok=True)
            window.page.screenshot(path=folder / f"{site.webmail}-{name}.png")

    return take


def listen(window: Window) -> None:
    """From here on, what the window says belongs to the running check."""
    window.recorder = Recorder("http", window.url, "Chromium")
    transcript.on_conversation(window.recorder)


def seen(condition: Callable[[], Any], what: str) -> Any:
    """Wait for what the webmail did to be there for other eyes."""
    return wait.until(condition, ARRIVAL_SECONDS, what)


@check("E-03", N_("A first login lands in the inbox, and the standard folders are there"), needs=NEEDS, remedy=REMEDY)
def test_first_login(
    open_window: Callable[..., Window], site: Site, newcomer: Account, imap: Callable[..., Any]
) -> None:
    window = open_window()
    listen(window)
    mail = PAGES[site.webmail](window)
    mail.login(newcomer.name, newcomer.password)
    folders = mail.folders()
    assert set(folders) >= FOLDERS, _("The webmail shows the folders {names}.").format(names=", ".join(folders))
    with imap(newcomer) as box:
        there = str(box.list()[1])
    missing = [name for name in FOLDERS - {"INBOX"} if f"INBOX.{name}" not in there]
    assert not missing, _("IMAP does not list {names}: {there}").format(names=", ".join(missing), there=there)
    mail.logout()
    window.close()


@check("E-03", N_("Options: the name that a person sets stands in From"), needs=NEEDS, mutates=True, remedy=REMEDY)
def test_options(day: Day, alice: Account, imap: Callable[..., Any]) -> None:
    day.mail.set_full_name(FULL_NAME)
    subject = f"Named {day.word}"
    day.mail.compose(Draft(alice.address, subject, "Who am I?"))
    day.mail.send()
    with imap(alice) as box:
        got = seen(lambda: box.found(f'SUBJECT "{subject}"'), _("the message to myself"))[0]
    assert header(got, "From") == f"{FULL_NAME} <{alice.address}>", header(got, "From")


@check("E-03", N_("A message from elsewhere is listed, and read"), needs=NEEDS, mutates=True, remedy=REMEDY)
def test_list_and_read(
    day: Day,
    smtp: Callable[..., Any],
    mailbox: Mailbox,
    imap: Callable[..., Any],
    sender: str,
    alice: Account,
    picture: Callable[[Window, str], None],
) -> None:
    sent = message.new(sender, alice.address, subject=day.question, body=b"Shall we meet on Friday?\r\n")
    with smtp() as talk:
        talk.say_ehlo()
        assert talk.message(sender, [alice.address], sent.content).code == 250
    mailbox.arrived(sent)
    assert day.question in day.mail.subjects("INBOX"), _("The webmail does not list the message.")
    picture(day.window, "list")
    assert "Shall we meet on Friday?" in day.mail.read("INBOX", day.question)
    picture(day.window, "read")
    with imap() as box:
        assert seen(lambda: box.found(f'SEEN SUBJECT "{day.question}"'), _("the message to be marked as read"))


@check(
    "E-03",
    N_("A reply arrives elsewhere, belongs to its question, and its copy in Sent has the same body"),
    needs=(*NEEDS, "peer"),
    mutates=True,
    remedy=REMEDY,
)
def test_reply(day: Day, imap: Callable[..., Any], sink: Peer, sender: str) -> None:
    day.mail.read("INBOX", day.question)
    day.mail.reply("Friday suits me.")
    received = seen(lambda: sink.holding(f"Re: {day.question}"), _("the reply in the peer's sink"))[-1]
    assert received.rcpt_to == (sender,)
    assert b"Friday suits me." in received.data
    with imap() as box:
        question = box.found(f'SUBJECT "{day.question}" HEADER X-Test-Id ""')[0]
        assert header(received.data, "In-Reply-To") == header(question, "Message-ID")
        copy = box.found(f'SUBJECT "Re: {day.question}"', "INBOX.Sent")[0]
        assert seen(lambda: box.found(f'ANSWERED SUBJECT "{day.question}"'), _("the question to be marked as answered"))
    assert body_digest(copy) == body_digest(received.data), _("The copy in Sent is not what was sent.")


@check(
    "E-03",
    N_("A letter with attachments of 0 bytes and 1 MiB arrives next door, and its copy in Sent has the same body"),
    needs=NEEDS,
    mutates=True,
    remedy=REMEDY,
)
def test_send_to_a_local_address(
    day: Day,
    imap: Callable[..., Any],
    bob: Account,
    enclosures: tuple[Path, ...],
    picture: Callable[[Window, str], None],
) -> None:
    day.mail.compose(Draft(bob.address, day.letter, "Two files, one of them empty.\n.\nThe end.", enclosures))
    picture(day.window, "compose")
    day.mail.send()
    with imap(bob) as box:
        got = seen(lambda: box.found(f'SUBJECT "{day.letter}"'), _("the letter in the other mailbox"))[0]
    with imap() as box:
        copy = box.found(f'SUBJECT "{day.letter}"', "INBOX.Sent")[0]
    assert attachments(got) == {file.name: message.digest(file.read_bytes()) for file in enclosures}
    assert body_digest(copy) == body_digest(got), _("The copy in Sent is not what was sent.")


@check(
    "E-03",
    N_("The same letter to an address elsewhere arrives there, its attachments whole"),
    needs=(*NEEDS, "peer"),
    mutates=True,
    remedy=REMEDY,
)
def test_send_to_a_remote_address(
    day: Day, sink: Peer, remote_domain: str, imap: Callable[..., Any], enclosures: tuple[Path, ...]
) -> None:
    subject = f"Far {day.word}"
    day.mail.compose(Draft(f"v@{remote_domain}", subject, "From afar.", enclosures))
    day.mail.send()
    received = seen(lambda: sink.holding(subject), _("the letter in the peer's sink"))[-1]
    assert received.rcpt_to == (f"v@{remote_domain}",)
    assert attachments(received.data) == {file.name: message.digest(file.read_bytes()) for file in enclosures}
    with imap() as box:
        copy = box.found(f'SUBJECT "{subject}"', "INBOX.Sent")[0]
    assert body_digest(copy) == body_digest(received.data), _("The copy in Sent is not what was sent.")


@check("E-03", N_("A search finds the message, and no other"), needs=NEEDS, remedy=REMEDY)
def test_search(day: Day) -> None:
    assert day.mail.search(day.question) == [day.question]


@check("E-03", N_("A folder is made and renamed, and IMAP has it"), needs=NEEDS, mutates=True, remedy=REMEDY)
def test_folders(day: Day, imap: Callable[..., Any]) -> None:
    first = f"new-{day.word}"
    with imap() as box:
        day.mail.create_folder(first)
        assert f"INBOX.{first}" in str(box.list()[1])
        day.mail.rename_folder(first, day.folder)
        there = str(box.list()[1])
    assert f"INBOX.{day.folder}" in there and first not in there, there
    assert day.folder in day.mail.folders()


@check("E-03", N_("A message is moved, deleted, and gone with the trash"), needs=NEEDS, mutates=True, remedy=REMEDY)
def test_move_delete_purge(day: Day, imap: Callable[..., Any]) -> None:
    wanted = f'SUBJECT "{day.question}" HEADER X-Test-Id ""'

    def where() -> list[str]:
        with imap() as box:
            return [name for name in ("INBOX", f"INBOX.{day.folder}", "INBOX.Trash") if box.found(wanted, name)]

    day.mail.move("INBOX", day.question, day.folder)
    seen(lambda: where() == [f"INBOX.{day.folder}"], _("the message in the other folder"))
    assert day.mail.subjects(day.folder) == [day.question]
    day.mail.delete(day.folder, day.question)
    seen(lambda: where() == ["INBOX.Trash"], _("the message in the trash"))
    day.mail.purge()
    seen(lambda: where() == [], _("the message to be gone"))


@check("E-03", N_("A folder is deleted for good"), needs=NEEDS, mutates=True, remedy=REMEDY)
def test_delete_folder(day: Day, imap: Callable[..., Any]) -> None:
    day.mail.delete_folder(day.folder)
    with imap() as box:
        assert day.folder not in str(box.list()[1])
    assert day.folder not in day.mail.folders()


@check("E-03", N_("The address book keeps a person"), needs=NEEDS, mutates=True, remedy=REMEDY)
def test_address_book(day: Day) -> None:
    day.mail.add_contact("Quintana", f"quintana-{day.word}@example.org")
    assert "Quintana" in day.mail.contacts()


@check("E-03", N_("At the width of a phone the list, a message and a new one are there"), needs=NEEDS, remedy=REMEDY)
def test_phone(
    day: Day,
    open_window: Callable[..., Window],
    site: Site,
    alice: Account,
    picture: Callable[[Window, str], None],
) -> None:
    window = open_window(*PHONE)
    listen(window)
    mail = PAGES[site.webmail](window)
    mail.login(alice.name, alice.password)
    subject = f"Named {day.word}"
    assert subject in mail.subjects("INBOX")
    picture(window, "phone-list")
    assert "Who am I?" in mail.read("INBOX", subject)
    picture(window, "phone-read")
    mail.compose(Draft(alice.address, subject, "Written on the way."))
    picture(window, "phone-compose")
    window.close()


@check("E-03", N_("After the logout the mailbox is closed"), needs=NEEDS, remedy=REMEDY)
def test_logout(day: Day) -> None:
    assert day.mail.inside(), _("The session was over before the logout.")
    day.mail.logout()
    assert not day.mail.inside(), _("The mailbox is shown after the logout.")


@check("E-03", N_("No page asks another server for anything, and no script of it fails"), needs=NEEDS, remedy=REMEDY)
def test_pages_are_their_own(day: Day) -> None:
    assert not day.window.foreign, day.window.foreign
    assert not day.window.script_errors, day.window.script_errors


@check(
    "E-26",
    N_("PHP has logged nothing on the whole way"),
    needs=NEEDS,
    vantage="host",
    remedy=N_("Read the line: a page of the webmail met something that this release of PHP does not like."),
)
def test_php_has_logged_nothing(day: Day, host: Any) -> None:
    lines = new_log_lines(host, day.log_folder, day.logs_before)
    assert not lines, "\n".join(lines[:20])
