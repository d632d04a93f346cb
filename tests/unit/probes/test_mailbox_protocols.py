"""The IMAP and POP3 probes in small real conversations."""

from __future__ import annotations

from collections.abc import Callable

from valija.probes import imap, pop3

MESSAGE = b"X-Test-Id: abc\r\nSubject: x\r\n\r\n.one\r\n"

IMAP = [
    (b"@ CAPABILITY", b"* CAPABILITY IMAP4rev1\r\n@ OK done\r\n"),
    (b"@ LOGIN alice {6}", b"+ OK\r\n"),
    (b"@ LOGIN", b"@ OK LOGIN Ok.\r\n"),
    (b"secret", b"t OK LOGIN Ok.\r\n"),
    (b"@ EXAMINE", b"* 1 EXISTS\r\n@ OK [READ-ONLY] Ok\r\n"),
    (b"@ UID SEARCH", b"* SEARCH 7\r\n@ OK done\r\n"),
    (b"@ UID FETCH", b"* 1 FETCH (UID 7 BODY[] {%d}\r\n%s)\r\n@ OK done\r\n" % (len(MESSAGE), MESSAGE)),
    (b"@ XFOO", b"@ BAD no\r\n"),
    (b"@ LOGOUT", b"* BYE\r\n@ OK bye\r\n"),
]
POP3 = [
    (b"USER", b"+OK\r\n"),
    (b"PASS", b"+OK logged in\r\n"),
    (b"STAT", b"+OK 2 90\r\n"),
    (b"TOP 2", b"+OK\r\nX-Test-Id: other\r\n\r\n.\r\n"),
    (b"TOP 1", b"+OK\r\nX-Test-Id: abc\r\n\r\n.\r\n"),
    (b"RETR 1", b"+OK\r\nX-Test-Id: abc\r\nSubject: x\r\n\r\n..one\r\n.\r\n"),
    (b"LIST", b"+OK\r\n1 45\r\n2 45\r\n.\r\n"),
    (b"QUIT", b"+OK bye\r\n"),
]


def test_imap_finds_a_message_by_its_id_and_masks_the_password(scripted: Callable[..., int]) -> None:
    port = scripted(b"* OK ready\r\n", IMAP)
    with imap.connect("127.0.0.1", port) as box:
        box.login("alice", "secret")
        assert box.holding("abc") == [MESSAGE]
        assert box.ask("XFOO")[0] == "BAD"
        assert box.ask("LOGOUT")[0] == "OK"
    text = str(box.transcript)
    assert "secret" not in text and "LOGIN alice ********" in text
    assert text.count("LOGOUT") == 1


def test_a_password_sent_as_a_literal_is_masked(scripted: Callable[..., int]) -> None:
    port = scripted(b"* OK ready\r\n", IMAP)
    with imap.connect("127.0.0.1", port) as box:
        assert box.ask("LOGIN alice {6}")[0] == "+"
        box.send(b"secret\r\n")
        box.readline()
    assert "secret" not in str(box.transcript)


def test_pop3_finds_a_message_undoubles_dots_and_masks_the_password(scripted: Callable[..., int]) -> None:
    port = scripted(b"+OK hello\r\n", POP3)
    with pop3.connect("127.0.0.1", port) as drop:
        drop.user("alice")
        drop.pass_("secret")
        assert drop.number_of("abc") == 1
        assert drop.number_of("absent") == 0
        assert drop.content(1) == MESSAGE
        assert drop.ask("LIST", multiline=True) == ("+OK", [b"1 45", b"2 45"])
        drop.quit()
    assert "secret" not in str(drop.transcript)
