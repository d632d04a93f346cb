"""`valija send`, as a person types it, against a real server."""

from __future__ import annotations

import json
import re
import shlex
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from valija.client import credentials
from valija.commands import send
from valija.errors import InputError

from .conftest import Start
from .servers import Running

LETTER = ("--from", "alice@example.org", "--to", "bob@example.net", "--subject", "S")


@pytest.fixture(autouse=True)
def no_secrets_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (credentials.PASSWORD_VARIABLE, credentials.TOKEN_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def valija(*arguments: str, text: str | bytes = "") -> Result:
    return CliRunner().invoke(send.command, arguments, input=text, standalone_mode=False)


def plain(server: Running) -> tuple[str, ...]:
    return ("--server", f"127.0.0.1:{server.port}", "--security", "none", *LETTER)


@pytest.fixture
def secure(start: Start, context: ssl.SSLContext, ca_file: Path) -> tuple[Running, tuple[str, ...]]:
    server = start(starttls=context)
    return server, ("--server", f"localhost:{server.port}", "--ca-file", str(ca_file), *LETTER)


def content(server: Running) -> str:
    assert isinstance(server.message.content, bytes)
    return server.message.content.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("way", ["option", "file", "dash", "input"])
def test_the_text_comes_from_where_it_is_said_to_be(way: str, start: Start, tmp_path: Path) -> None:
    server = start()
    (tmp_path / "text").write_text("Año nuevo\n")
    options = {
        "option": ["--body", "Año nuevo\n"],
        "file": ["--body-file", str(tmp_path / "text")],
        "dash": ["--body-file", "-"],
        "input": [],
    }[way]
    done = valija(*plain(server), *options, text="Año nuevo\n")
    assert done.return_value == 0, done.output
    assert content(server).endswith("\n\nAño nuevo\n")
    assert done.stdout == "Sent to bob@example.net. The server said: 250 2.0.0 Ok: queued as 4TEST\n"
    assert done.stderr == ""


def test_html_attachments_copies_and_reports_go_along(start: Start, tmp_path: Path) -> None:
    server = start()
    (tmp_path / "page.html").write_text("<p>Hi</p>")
    (tmp_path / "data.bin").write_bytes(b"\0\1\2")
    done = valija(
        *plain(server), "--body", "T", "--html", str(tmp_path / "page.html"), "--attach", str(tmp_path / "data.bin"),
        "--cc", "carol@example.net", "--bcc", "dan@example.net", "--reply-to", "list@example.org",
        "--dsn", "success,failure", "--dsn-return", "full", "--helo", "client.example.org",
    )  # fmt: skip
    assert done.return_value == 0, done.output
    said = server.received.decode()
    assert "EHLO client.example.org\r\n" in said
    assert " RET=FULL ENVID=" in said
    assert "RCPT TO:<dan@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;dan@example.net\r\n" in said
    assert "dan@" not in content(server)
    for part in ("Cc: carol@example.net", "Reply-To: list@example.org", "<p>Hi</p>", 'filename="data.bin"', "AAEC"):
        assert part in content(server)


def test_some_are_refused_and_the_others_get_it(start: Start) -> None:
    server = start(refuses={"RCPT no@example.net": "550 5.1.1 User unknown"})
    done = valija(*plain(server), "--to", "no@example.net", "--body", "T")
    assert done.return_value == 1
    assert done.stdout.startswith("Sent to bob@example.net.")
    assert done.stderr.splitlines() == [
        "Not sent to no@example.net.",
        "  The server said: 550 5.1.1 User unknown",
        "  Refused: no such mailbox, or not for you: there is no such mailbox.",
        "  Check the address for a slip of the pen, or ask the recipient for it.",
    ]


def test_json_says_it_all(start: Start) -> None:
    server = start(refuses={"RCPT no@example.net": "550 5.1.1 User unknown"})
    done = valija(*plain(server), "--to", "no@example.net", "--body", "T", "--json", "-v")
    data = json.loads(done.stdout)
    assert (data["sent"], data["exit_code"], data["accepted"]) == (True, 1, ["bob@example.net"])
    assert (data["refused"][0]["address"], data["refused"][0]["code"]) == ("no@example.net", 550)
    assert re.fullmatch(r"<.+@example\.org>", data["message_id"])
    assert data["transcript"]["protocol"] == "smtp"
    assert done.stderr == ""


def test_the_conversation_is_shown_and_explained(secure: tuple[Running, tuple[str, ...]]) -> None:
    _server, options = secure
    printed = f"{shlex.quote(sys.executable)} -c 'print(\"right horse\")'"
    done = valija(*options, "--body", "Hello", "-v", "--user", "alice", "--password-command", printed)
    assert done.return_value == 0, done.output
    assert re.search(r"C: AUTH PLAIN \*{8}   Logs in\.", done.stderr)
    assert "C: MAIL FROM:<alice@example.org>" in done.stderr
    assert "Begins a message: the reverse-path" in done.stderr
    assert "C: .   A dot alone: the message ends." in done.stderr
    assert "The server has the message, and answers for it from now on." in done.stderr
    assert "The server closes the connection." in done.stderr
    assert "right horse" not in done.output


@pytest.mark.parametrize(
    ("options", "environment"),
    [
        (["--password-command", f"{shlex.quote(sys.executable)} -c 'print(\"right horse\")'"], {}),
        (["--password-env", "MY_PASSWORD"], {"MY_PASSWORD": "right horse"}),
        ([], {"VALIJA_SEND_PASSWORD": "right horse"}),
        (["--auth", "login"], {"VALIJA_SEND_PASSWORD": "right horse", "VALIJA_SEND_TOKEN": "x"}),
        (["--token-env", "MY_TOKEN"], {"MY_TOKEN": "ya29.good"}),
        (["--token-command", "echo ya29.good"], {}),
        (["--auth", "xoauth2"], {"VALIJA_SEND_TOKEN": "ya29.good", "VALIJA_SEND_PASSWORD": "x"}),
        ([], {"VALIJA_SEND_TOKEN": "ya29.good"}),
    ],
)
def test_where_the_secret_comes_from(
    options: list[str],
    environment: dict[str, str],
    secure: tuple[Running, tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    done = valija(*secure[1], "--body", "T", "--user", "alice", *options)
    assert done.return_value == 0, done.output


def test_the_password_is_asked_for_at_the_terminal(
    secure: tuple[Running, tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "can_ask", lambda: True)
    done = valija(*secure[1], "--body", "T", "--user", "alice", text="right horse\n")
    assert done.return_value == 0, done.output
    assert "Password of alice at localhost:" in done.stderr
    assert "right horse" not in done.output


@pytest.mark.parametrize(
    ("reply", "code", "words"),
    [
        ("535 5.7.8 Username and Password not accepted", 4, "The name or the password is wrong"),
        ("454 4.7.0 Temporary authentication failure", 3, "Not possible for the moment"),
    ],
)
def test_a_refused_login_has_its_exit_code(
    reply: str,
    code: int,
    words: str,
    start: Start,
    context: ssl.SSLContext,
    ca_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(credentials.PASSWORD_VARIABLE, "wrong horse")
    server = start(starttls=context, refuses={"AUTH": reply})
    options = ("--server", f"localhost:{server.port}", "--ca-file", str(ca_file), *LETTER)
    done = valija(*options, "--body", "T", "--user", "alice")
    assert done.return_value == code
    assert done.stdout == ""
    assert done.stderr.startswith("Not sent.\n")
    assert words in done.stderr


def test_an_untrusted_certificate_has_its_exit_code(start: Start, context: ssl.SSLContext) -> None:
    server = start(starttls=context)
    done = valija("--server", f"localhost:{server.port}", *LETTER, "--body", "T")
    assert done.return_value == 5
    assert "not trusted here" in done.stderr


def test_the_table_is_shown() -> None:
    done = valija("--providers")
    assert done.return_value == 0
    assert re.search(r"gmail +Gmail, Google Workspace +smtp\.gmail\.com:587 starttls +an app password", done.stdout)
    data = json.loads(valija("--providers", "--json").stdout)
    assert data["yahoo"]["port"] == 465
    assert "app password" in data["yahoo"]["password"]


SERVER = ["--server", "127.0.0.1:1", *LETTER]
BARE = ["--server", "192.0.2.1", "--security", "none", *LETTER]
TEXT = ["--body", "T"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([*LETTER, *TEXT], "No server. Give --server"),
        (["--provider", "gmial", *LETTER, *TEXT], "Did you mean gmail"),
        (["--provider", "gmail", "--security", "none", *LETTER, *TEXT], "under TLS only"),
        (["--provider", "ses", *LETTER, *TEXT], "give --user with the name"),
        (["--provider", "outlook", *LETTER, *TEXT], "No token for alice@example.org"),
        (["--provider", "gmail", *LETTER, *TEXT], "No password for alice@example.org"),
        (["--server", "x:y", *LETTER, *TEXT], "not a server"),
        (["--server", "x", "--to", "b@x.org", *TEXT], "No sender. Give --from"),
        (["--server", "x", "--from", "a@x.org", *TEXT], "Nobody to send to"),
        (["--server", "x", "--from", "a", "--to", "b@x.org", *TEXT], "not an address"),
        ([*SERVER, *TEXT, "--body-file", "x"], "not both"),
        ([*SERVER, "--body-file", "/nonexistent"], "cannot be read"),
        ([*SERVER, *TEXT, "--attach", "/nonexistent"], "cannot be read"),
        ([*SERVER, *TEXT, "--html", "/nonexistent"], "cannot be read"),
        ([*SERVER, *TEXT, "--dsn", "sometimes"], "give success, failure, delay, or never"),
        ([*SERVER, *TEXT, "--dsn", "never,failure"], "never stands alone"),
        ([*SERVER, *TEXT, "--dsn-return", "full"], "say with --dsn"),
        ([*SERVER, *TEXT, "--ca-file", "/nonexistent"], "no certificates can be read"),
        ([*SERVER, *TEXT, "--security", "none", "--ca-file", "x"], "Leave one of them away"),
        ([*SERVER, *TEXT, "--password-env", "X"], "give --user as well"),
        ([*SERVER, *TEXT, "--auth", "plain"], "--auth is for a login"),
        ([*SERVER, *TEXT, "--user", "a", "--password-env", "X", "--token-env", "Y"], "one source"),
        ([*SERVER, *TEXT, "--user", "a", "--password-env", "UNSET_X"], "not set, or empty"),
        ([*SERVER, *TEXT, "--user", "a", "--password-command", "false"], "printed no secret .exit code 1"),
        ([*SERVER, *TEXT, "--user", "a", "--password-command", "/nonexistent"], "cannot be run"),
        ([*SERVER, *TEXT, "--user", "a", "--password-command", "'"], "No closing quotation"),
        ([*SERVER, *TEXT, "--user", "a", "--password-command", ""], "no command is given"),
        ([*SERVER, *TEXT, "--user", "a", "--auth", "xoauth2", "--password-env", "X"], "takes a token"),
        ([*SERVER, *TEXT, "--user", "a", "--auth", "plain", "--token-env", "X"], "takes a password"),
        ([*SERVER, *TEXT, "--user", "a"], "No password for a: set VALIJA_SEND_PASSWORD"),
        (
            [
                "--server",
                "192.0.2.1",
                "--security",
                "none",
                *LETTER,
                *TEXT,
                "--user",
                "a",
                "--password-command",
                "echo x",
            ],
            "A login without TLS",
        ),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(
    options: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "can_ask", lambda: False)
    done = valija(*options)
    assert isinstance(done.exception, InputError), done.output
    with pytest.raises(InputError, match=words):
        raise done.exception


@pytest.mark.parametrize("option", ["--password", "--token"])
def test_no_secret_can_be_given_on_the_command_line(option: str) -> None:
    done: Any = valija(*SERVER, *TEXT, option, "secret")
    assert "No such option" in str(done.exception)


def test_text_that_is_not_utf8_is_refused() -> None:
    done = valija(*SERVER, text="año".encode("latin-1"))
    assert "the input: not UTF-8" in str(done.exception)
