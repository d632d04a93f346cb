"""What a person does in any webmail; each of ours is one class that knows its own pages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class NotSeenError(AssertionError):
    """A page does not show what a person would have looked for."""


@dataclass(frozen=True)
class Draft:
    """A message to write; `files` are attached by their names."""

    to: str
    subject: str
    body: str
    files: tuple[Path, ...] = ()


class Webmail(Protocol):
    """One person's window. Folders are named without the IMAP server's prefix: `INBOX`, `Sent`, `Trash`.

    A method ends when the page that follows is there; it raises NotSeenError, or playwright's own errors, when that
    page does not come.
    """

    def login(self, name: str, password: str) -> None:
        """Log in; the inbox is there in the end."""

    def folders(self) -> list[str]:
        """The names of the folders beside the message list."""

    def subjects(self, folder: str) -> list[str]:
        """The subjects on the first page of a folder."""

    def read(self, folder: str, subject: str) -> str:
        """Open a message; its page as text."""

    def reply(self, body: str) -> None:
        """Answer the message that is open."""

    def compose(self, draft: Draft) -> None:
        """Write a message, and attach its files; it is not sent yet."""

    def send(self) -> None:
        """Send what was written."""

    def search(self, text: str) -> list[str]:
        """The subjects that a search in the inbox finds."""

    def create_folder(self, name: str) -> None:
        """Make a folder below the inbox."""

    def rename_folder(self, old: str, new: str) -> None:
        """Give a folder another name."""

    def delete_folder(self, name: str) -> None:
        """Delete a folder for good."""

    def move(self, folder: str, subject: str, target: str) -> None:
        """Move a message to another folder."""

    def delete(self, folder: str, subject: str) -> None:
        """Delete a message: it goes to the trash."""

    def purge(self) -> None:
        """Empty the trash."""

    def add_contact(self, name: str, address: str) -> None:
        """Add a person to the address book; `name` is one word."""

    def contacts(self) -> str:
        """The address book as text."""

    def set_full_name(self, name: str) -> None:
        """In the options, the name that stands in From."""

    def logout(self) -> None:
        """Log out; the session is over."""

    def inside(self) -> bool:
        """Whether the inbox's own address shows the inbox."""
