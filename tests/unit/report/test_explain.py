"""Every line of a transcript is understood and explained."""

from __future__ import annotations

from typing import Any

import pytest

from valija.report import explain, vocabulary
from valija.report.clauses import Clause, links


def annotate(protocol: str, *lines: str) -> list[explain.Said]:
    parts = [line.split(": ", 1) if ": " in line else [line.rstrip(":"), ""] for line in lines]
    said: list[dict[str, Any]] = [{"at": 0.1, "who": who, "text": text, "tls": None} for who, text in parts]
    return explain.annotate({"protocol": protocol, "lines": said})


@pytest.mark.parametrize(
    ("reply", "words", "code", "result"),
    [
        ("220 mail.example.org ESMTP", "The server is ready.", "220", 2),
        ("250 2.1.5 Ok", "Done as asked: the recipient's address is good.", "250 2.1.5", 2),
        ("250 2.1.0 Ok", "Done as asked.", "250 2.1.0", 2),
        ("354 End data with <CR><LF>.<CR><LF>", "Send the message; a line with a dot alone ends it.", "354", 3),
        (
            "450 4.1.8 <a@b>: Domain not found",
            "The mailbox cannot be used now; try again later: the sender's domain does not exist or cannot be reached.",
            "450 4.1.8",
            4,
        ),
        ("554 5.7.1 Relay denied", "Refused: the rules of this server do not allow it.", "554 5.7.1", 5),
        ("299 odd", "success", "299", 2),
        ("nonsense", "", "", None),
    ],
)
def test_a_reply_is_explained_by_both_its_codes(reply: str, words: str, code: str, result: int | None) -> None:
    (said,) = annotate("smtp", f"S: {reply}")
    assert (said.kind, said.words, said.code, said.result) == ("reply", words, code, result)
    assert said.text.startswith(said.code)


def test_the_body_of_a_message_is_no_command() -> None:
    said = annotate(
        "smtp", "C: DATA", "S: 354 go", "C: QUIT", "C: ..", "C: .", "S: 250 2.0.0 Ok: queued as X", "C: QUIT"
    )
    assert [line.kind for line in said] == ["command", "reply", "data", "data", "command", "reply", "command"]
    assert said[4].words == "A dot alone: the message ends."
    assert said[5].words == "The server has the message, and answers for it from now on."
    assert said[6].words == "Ends the session."


def test_a_refused_data_begins_no_message() -> None:
    said = annotate("smtp", "C: DATA", "S: 554 5.5.1 no valid recipients", "C: QUIT")
    assert said[2].kind == "command"


def test_each_extension_is_explained() -> None:
    said = annotate("smtp", "C: EHLO a", "S: 250-mail", "S: 250-SIZE 1", "S: 250 CHUNKING")
    assert [line.words for line in said[1:]] == [
        "Its name; the lines that follow say what it can do.",
        "The largest message accepted, in octets (RFC 1870).",
        "A message can be sent in counted chunks (RFC 3030).",
    ]


def test_a_remark_is_neither_side() -> None:
    assert annotate("smtp", "*: TLS handshake: TLSv1.3")[0].kind == "remark"


def test_imap_responses_are_told_from_a_messages_lines() -> None:
    said = annotate(
        "imap", "S: * OK [CAPABILITY IMAP4rev1] ready", "C: a1 UID FETCH 7 (BODY[])", "S: * 1 FETCH (BODY[] {24}",
        "S: * 9 EXISTS", "S: a2 OK no", "S: )", "S: a1 OK FETCH completed.", "S: * 2 EXISTS", "S: a1 NO sorry",
        "S: + idling",
    )  # fmt: skip
    assert [line.kind for line in said] == [
        "reply", "command", "reply", "data", "data", "data", "reply", "reply", "reply", "reply",
    ]  # fmt: skip
    assert said[1].words == "Asks for a message or parts of it."
    assert (said[6].code, said[6].result) == ("a1 OK", 2)
    assert (said[8].code, said[8].result) == ("a1 NO", 5)
    assert (said[9].code, said[9].result) == ("+", 3)


def test_pop3_lists_end_with_a_dot() -> None:
    said = annotate("pop3", "S: +OK Hello", "C: RETR 1", "S: +OK", "S: -ERR in a body", "S: .",
                    "C: LIST 1", "S: +OK 1 2", "C: DELE 9", "S: -ERR no such message")  # fmt: skip
    assert [line.kind for line in said] == [
        "reply", "command", "reply", "data", "data", "command", "reply", "command", "reply",
    ]  # fmt: skip
    assert said[0].words == "The server is ready."
    assert said[8].result == 5


def test_http_statuses_are_explained_and_headers_are_not() -> None:
    said = annotate("http", "C: GET / HTTP/1.1", "S: HTTP/1.1 302 Found", "S: Location: /x", "C: GET /x HTTP/1.1",
                    "S: HTTP/1.1 403 Forbidden")  # fmt: skip
    assert [line.words for line in said] == [
        "Asks for a page.",
        "It is elsewhere.",
        "",
        "Asks for a page.",
        "Forbidden.",
    ]
    assert [line.result for line in said] == [None, 3, None, None, 5]


def test_an_unknown_protocol_is_shown_without_words() -> None:
    assert [line.kind for line in annotate("gopher", "C: a", "S: b")] == ["command", "reply"]


def test_every_command_of_the_tutorial_has_words() -> None:
    verbs = "HELO EHLO MAIL RCPT DATA QUIT RSET SEND SOML SAML VRFY EXPN HELP NOOP TURN"
    assert not {*verbs.split()} - {*vocabulary.SMTP_COMMANDS}


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("RFC 5321", [Clause("RFC 5321", "https://www.rfc-editor.org/rfc/rfc5321")]),
        (
            "RFC 5321 sections 3.3, 4.1.1",
            [
                Clause("RFC 5321 §3.3", "https://www.rfc-editor.org/rfc/rfc5321#section-3.3"),
                Clause("§4.1.1", "https://www.rfc-editor.org/rfc/rfc5321#section-4.1.1"),
            ],
        ),
        (
            "RFC 5321 appendix F",
            [Clause("RFC 5321 App. F", "https://www.rfc-editor.org/rfc/rfc5321#appendix-F")],
        ),
        ("CVE-2021-38084", [Clause("CVE-2021-38084")]),
    ],
)
def test_a_clause_leads_to_its_text(clause: str, expected: list[Clause]) -> None:
    assert links(clause) == expected
