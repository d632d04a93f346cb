"""A message to be sent: who, to whom, text, HTML and attachments; made into MIME by the standard library."""

from __future__ import annotations

import mimetypes
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from email import policy
from email.errors import MessageError, NonASCIILocalPartDefect
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import localtime, make_msgid
from pathlib import Path

from valija.errors import InputError
from valija.messages import _


@dataclass(frozen=True)
class Attachment:
    """One file beside the text: its octets arrive as they are."""

    name: str
    content: bytes
    media_type: str = "application/octet-stream"

    @classmethod
    def read(cls, path: Path) -> Attachment:
        """The attachment that a file makes; its type is guessed from its name. Raises InputError."""
        guessed, encoding = mimetypes.guess_type(path.name)
        plain = guessed and not encoding and not guessed.startswith(("message/", "multipart/"))
        return cls(path.name, _read(path), guessed if guessed and plain else cls.media_type)


@dataclass(frozen=True)
class Message:
    """What is to be sent. Addresses are `alice@example.org` or `Alice <alice@example.org>`, one or several with commas.

    `bcc` is in the envelope and in no header. An internationalised domain goes out in its ASCII form (RFC 5890); an
    address whose part before the @ is not ASCII needs a server with SMTPUTF8 (RFC 6531). What cannot be made into a
    message raises InputError when it is made.
    """

    sender: str
    to: str | Sequence[str] = ()
    subject: str = ""
    text: str = ""
    html: str = ""
    cc: str | Sequence[str] = ()
    bcc: str | Sequence[str] = ()
    reply_to: str | Sequence[str] = ()
    attachments: Sequence[Attachment] = ()

    def __post_init__(self) -> None:
        if len(addresses(self.sender)) != 1:
            raise InputError(_("From: one sender, please: {value}").format(value=self.sender or _("none is given")))
        if not self.recipients:
            raise InputError(_("Nobody to send to. Give a recipient: --to, --cc or --bcc."))
        addresses(self.reply_to)
        if _has_control(self.subject):
            raise InputError(_("Subject: it holds a line end or another control character. Write it on one line."))

    @property
    def reverse_path(self) -> str:
        """The envelope's sender, to which reports of failure go."""
        return addresses(self.sender)[0].addr_spec

    @property
    def recipients(self) -> tuple[str, ...]:
        """The envelope's recipients, each once, in the order given."""
        return tuple(dict.fromkeys(one.addr_spec for one in self._listed(self.to, self.cc, self.bcc)))

    @property
    def needs_smtputf8(self) -> bool:
        """Whether an address is not ASCII, so that neither envelope nor header can go without SMTPUTF8."""
        listed = self._listed(self.sender, self.to, self.cc, self.bcc, self.reply_to)
        return any(not one.addr_spec.isascii() for one in listed)

    def mime(self, *, eight_bit: bool = True) -> EmailMessage:
        """The message as MIME (RFC 2045), with a Date and a fresh Message-ID; `eight_bit`: 8BITMIME is offered."""
        rules = policy.SMTPUTF8 if self.needs_smtputf8 else policy.SMTP
        mime = EmailMessage(policy=rules.clone(cte_type="8bit" if eight_bit else "7bit"))
        mime["From"] = addresses(self.sender)
        for name, given in (("To", self.to), ("Cc", self.cc), ("Reply-To", self.reply_to)):
            if listed := addresses(given):
                mime[name] = listed
        mime["Subject"] = self.subject
        mime["Date"] = localtime()
        domain = addresses(self.sender)[0].domain
        mime["Message-ID"] = make_msgid(domain=domain if domain.isascii() else "localhost")
        try:
            if self.text or not self.html:
                mime.set_content(self.text)
                if self.html:
                    mime.add_alternative(self.html, subtype="html")
            else:
                mime.set_content(self.html, subtype="html")
        except UnicodeEncodeError as error:
            raise InputError(_("The text holds what is no character (a lone surrogate). Is it UTF-8?")) from error
        for attached in self.attachments:
            kind, _slash, subtype = attached.media_type.partition("/")
            mime.add_attachment(attached.content, maintype=kind, subtype=subtype, filename=attached.name)
        return mime

    @staticmethod
    def _listed(*given: str | Sequence[str]) -> Iterator[Address]:
        for one in given:
            yield from addresses(one)


def addresses(given: str | Iterable[str]) -> list[Address]:
    """The addresses in one text or several (RFC 5322 section 3.4); raises InputError for what is none."""
    texts = [given] if isinstance(given, str) else given
    return [found for text in texts if text.strip() for found in _parsed(text)]


def _parsed(text: str) -> list[Address]:
    if _has_control(text):
        raise InputError(_("{value}: an address has no control character.").format(value=ascii(text)))
    try:
        header = policy.default.header_factory("To", text)
    except (IndexError, ValueError, MessageError):  # the standard library's parser stumbles over some beginnings
        header = None
    found: tuple[Address, ...] = header.addresses if header else ()
    serious = header and [one for one in header.defects if not isinstance(one, NonASCIILocalPartDefect)]
    if serious or not found or any(not one.username or not one.domain for one in found):
        words = _('{value}: not an address. Write alice@example.org, or "Doe, Alice" <alice@example.org>.')
        raise InputError(words.format(value=text))
    return [Address(one.display_name, one.username, _ascii_domain(one)) for one in found]


def _has_control(text: str) -> bool:
    """Whether a line end, another control character or a lone surrogate is in it: what could end a header early."""
    return any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text)


def _ascii_domain(address: Address) -> str:
    """The domain in its ASCII form, unless the whole address needs SMTPUTF8 anyway."""
    if address.domain.isascii() or not address.username.isascii():
        return address.domain
    try:
        made = address.domain.encode("idna").decode("ascii")
        same = made.encode("ascii").decode("idna") == address.domain.lower()
    except UnicodeError:
        same = False
    if not same:  # the standard library knows IDNA 2003 alone, which makes another domain of some letters, such as ß
        words = _("{domain}: its ASCII form cannot be told for sure. Write it so: xn--...")
        raise InputError(words.format(domain=address.domain))
    return made


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(_("{path}: cannot be read: {why}").format(path=path, why=error.strerror)) from error


def read_text(path: Path) -> str:
    """A text file in UTF-8; raises InputError."""
    return decoded(_read(path), str(path))


def decoded(content: bytes, name: str) -> str:
    """The text that these octets of UTF-8 are; raises InputError with the name."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        words = _("{name}: not UTF-8 (octet {place}). Convert it (iconv), or attach it with --attach.")
        raise InputError(words.format(name=name, place=error.start)) from error
