"""What a message becomes on its way: headers, parts, and nothing that was not put in."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from valija.client import Attachment, Message
from valija.client.message import addresses, decoded, read_text
from valija.errors import InputError

# Characters that people write; no control characters, no surrogates.
WORDS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=120)


def parsed(content: bytes) -> EmailMessage:
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_the_envelope_has_every_recipient_once_and_the_header_has_no_bcc() -> None:
    message = Message(
        "Alice <alice@example.org>",
        ["bob@example.net, Carol <carol@example.net>"],
        cc="bob@example.net",
        bcc="dan@example.net",
    )
    assert message.recipients == ("bob@example.net", "carol@example.net", "dan@example.net")
    content = message.mime().as_bytes()
    assert b"dan@" not in content
    assert b"bcc" not in content.lower()
    assert str(parsed(content)["Cc"]) == "bob@example.net"


def test_text_html_and_attachments_are_the_parts_and_octets_stay(tmp_path: Path) -> None:
    octets = bytes(range(256)) * 40
    (tmp_path / "ñandú.bin").write_bytes(octets)
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "lines.txt").write_bytes(b"a\nb\r\nc\rd")
    (tmp_path / "letter.eml").write_bytes(b"Subject: x\n\ny\n")
    attached = [Attachment.read(tmp_path / name) for name in ("ñandú.bin", "empty.txt", "lines.txt", "letter.eml")]
    message = Message("a@x.org", "b@x.org", "S", "text", "<p>html</p>", attachments=attached)
    mime = parsed(message.mime().as_bytes())
    assert mime.get_content_type() == "multipart/mixed"
    assert [part.get_content_type() for part in mime.walk()][1:4] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    found = list(mime.iter_attachments())
    assert [part.get_filename() for part in found] == ["ñandú.bin", "empty.txt", "lines.txt", "letter.eml"]
    assert [part.get_payload(decode=True) for part in found] == [one.content for one in attached]


def test_html_alone_is_html_alone() -> None:
    mime = Message("a@x.org", "b@x.org", html="<p>ñ</p>").mime()
    assert mime.get_content_type() == "text/html"


@pytest.mark.parametrize("eight_bit", [True, False])
def test_eight_bits_only_where_they_are_taken(eight_bit: bool) -> None:
    content = Message("a@x.org", "b@x.org", "¿Qué?", "Año nuevo\n", "<p>Año</p>").mime(eight_bit=eight_bit).as_bytes()
    assert content.isascii() is not eight_bit
    assert "Año nuevo" in parsed(content).get_body(("plain",)).get_content()  # type: ignore[union-attr]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(subject=WORDS, name=WORDS, text=st.text(st.characters(exclude_categories=["Cs"]), max_size=2000))
def test_what_is_written_is_what_is_read(subject: str, name: str, text: str) -> None:
    quoted = name.replace("\\", "").replace('"', "").strip()
    message = Message(f'"{quoted}" <a@x.org>', [f'"{quoted}" <b{n}@x.org>' for n in range(4)], subject, text)
    for eight_bit in (True, False):
        content = message.mime(eight_bit=eight_bit).as_bytes()
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)", content)
        assert max(len(line) for line in content.split(b"\r\n")) <= 998
        found = parsed(content)
        assert [one.addr_spec for one in found["To"].addresses] == [f"b{n}@x.org" for n in range(4)]
        assert " ".join(str(found["Subject"]).split()) == " ".join(subject.split())


@pytest.mark.parametrize(
    ("given", "specs"),
    [
        ("alice@example.org", ["alice@example.org"]),
        ('"Doe, Alice" <alice@example.org>, bob@example.org', ["alice@example.org", "bob@example.org"]),
        ("Ana <ana@exámple.org>", ["ana@xn--exmple-qta.org"]),
        ("josé@exámple.org", ["josé@exámple.org"]),
        ('"a b"@example.org', ['"a b"@example.org']),
        ("postmaster@[192.0.2.1]", ["postmaster@[192.0.2.1]"]),
        (["a@x.org", "b@x.org,c@x.org"], ["a@x.org", "b@x.org", "c@x.org"]),
        ("", []),
    ],
)
def test_addresses_are_understood(given: str | list[str], specs: list[str]) -> None:
    assert [one.addr_spec for one in addresses(given)] == specs


@pytest.mark.parametrize(
    "given",
    [
        "alice",
        "alice@",
        "@example.org",
        "a@b@c",
        "<a@x.org",
        "Doe, John <j@x.org>",
        "a@x..org",
        "a@x.org\r\nBcc: e@x.org",
        "a@x.org\0",
        "ana@straße.org",
    ],
)
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(InputError):
        addresses(given)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sender": ""}, "one sender"),
        ({"sender": "a@x.org, b@x.org"}, "one sender"),
        ({"to": ()}, "Nobody to send to"),
        ({"subject": "a\nBcc: eve@x.org"}, "control character"),
        ({"reply_to": "nobody"}, "not an address"),
    ],
)
def test_what_cannot_be_a_message_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Message(**{"sender": "a@x.org", "to": "b@x.org", **changes})  # type: ignore[arg-type]


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.txt: cannot be read: No such file"):
        Attachment.read(tmp_path / "nothing.txt")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        Attachment.read(tmp_path)
    (tmp_path / "latin").write_bytes("año".encode("latin-1"))
    with pytest.raises(InputError, match="latin: not UTF-8"):
        read_text(tmp_path / "latin")
    assert decoded(b"\xef\xbb\xbfx", "bom") == "x"
