"""Writes the pictures of the webmail: see scripts/pictures."""

from __future__ import annotations

import imaplib
import smtplib
import sys
import tempfile
import time
import urllib.request
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid
from pathlib import Path

from valija.lab import Lab
from valija.lab.state import Host
from valija.probes import wait
from valija.probes.browser.chromium import Window, open_browser
from valija.probes.browser.roundcube import RoundcubePages
from valija.probes.browser.squirrelmail import SquirrelMailPages
from valija.probes.browser.webmail import Draft

WEBMAILS = {"squirrelmail": ("login_username", SquirrelMailPages), "roundcube": ("rcmloginuser", RoundcubePages)}
SIZES = {"": (1280, 800), "-phone": (390, 844)}

LETTERS = (
    ("Carla Ruiz", "carla@example.org", "The minutes of Tuesday", "Here they are. Thank you all for coming.\n"),
    ("Bob", "bob@{domain}", "Re: Bread", "Two loaves, and the rye that you liked.\n\nBob\n"),
    (
        "Nuria Vidal",
        "nuria@example.org",
        "Lunch on Friday?",
        "Dear Alice,\n\nshall we meet on Friday at one, at the same place as last time?\n"
        "I bring the maps of the north.\n\nUntil then\nNuria\n",
    ),
)


def main(lab_name: str, folder: Path) -> None:
    lab = Lab.load(lab_name)
    for host in lab.hosts:
        fill(host, lab.passwords["alice"])
        with urllib.request.urlopen(f"http://{host.ipv4}/webmail/") as answer:
            page = answer.read().decode()
        name = next(name for name, (field, _pages) in WEBMAILS.items() if field in page)
        take(host, name, lab.passwords["alice"], folder)


def fill(host: Host, password: str) -> None:
    """Empty alice's inbox, and have a few letters delivered."""
    with imaplib.IMAP4(host.ipv4) as box:
        box.login("alice", password)
        box.select("INBOX")
        box.store("1:*", "+FLAGS", r"(\Deleted)")
        box.expunge()
        for person, address, subject, text in LETTERS:
            letter = EmailMessage()
            letter["From"] = f"{person} <{address.format(domain=host.domain)}>"
            letter["To"] = f"Alice <alice@{host.domain}>"
            letter["Subject"] = subject
            letter["Date"] = format_datetime(localtime())
            letter["Message-ID"] = make_msgid(domain="example.org")
            letter.set_content(text)
            with smtplib.SMTP(host.ipv4) as server:
                server.send_message(letter, from_addr="carla@remote.test", to_addrs=[f"alice@{host.domain}"])
            time.sleep(1)  # each has a second of its own, by which the list is sorted
        wait.until(lambda: box.noop() and box.search(None, "ALL")[1][0].count(b" ") == 2, 20, "three letters")


def take(host: Host, name: str, password: str, folder: Path) -> None:
    """The pictures of one webmail, in both widths."""
    with open_browser({host.hostname: host.ipv4}) as browser, tempfile.TemporaryDirectory() as drawer:
        maps = Path(drawer) / "maps.pdf"
        maps.write_bytes(b"%PDF-1.4\n" * 40000)
        for suffix, (width, height) in SIZES.items():
            window = Window(browser, f"http://{host.hostname}/webmail/", width=width, height=height)
            mail = WEBMAILS[name][1](window)
            mail.login("alice", password)
            if not suffix:
                mail.set_full_name("Alice")
            mail.subjects("INBOX")
            window.page.screenshot(path=folder / f"{name}-list{suffix}.png")
            mail.read("INBOX", "Lunch on Friday?")
            window.page.screenshot(path=folder / f"{name}-read{suffix}.png")
            text = "Dear Nuria,\n\nFriday at one is fine. The maps of the south are enclosed.\n\nAlice"
            mail.compose(Draft("nuria@example.org", "Lunch on Friday", text, () if suffix else (maps,)))
            window.page.screenshot(path=folder / f"{name}-compose{suffix}.png")
            window.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
