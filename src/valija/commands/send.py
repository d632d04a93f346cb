"""`valija send`: send a message through any SMTP server; what refuses it is explained."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from valija import options
from valija.client import Attachment, Message, NotSentError, Reports, Result, Security, Server, credentials, send
from valija.client import message as messages
from valija.client import providers as public
from valija.client.providers import Provider
from valija.client.sending import TIMEOUT_SECONDS
from valija.errors import InputError
from valija.messages import _
from valija.report import explain


@click.command(
    help=_(
        "Send a message through an SMTP server.\n\n"
        "The text comes from --body, from --body-file, or from the input. The connection is protected by TLS, and the "
        "server's certificate is verified, unless --security none says otherwise. The password is asked for, or comes "
        "from the environment (VALIJA_SEND_PASSWORD, VALIJA_SEND_TOKEN) or from a command; there is no option for it, "
        "because others could read the command line.\n\n"
        "Exit code: 0 sent to all, 1 refused for some or all, 2 the input is wrong and nothing was sent, 3 not "
        "reached or not now: try again later, 4 the login is refused, 5 no TLS that can be trusted, 6 not known "
        "whether the server has the message."
    )
)
@click.option("--server", metavar="HOST[:PORT]", help=_("The server. Port: 587; 465 with TLS at once; 25 without TLS."))
@click.option("--provider", metavar="NAME", help=_("A public service of the table; --server changes its host alone."))
@click.option("--providers", "show_providers", is_flag=True, help=_("Show the table of public services, and end."))
@click.option(
    "--security",
    type=click.Choice([one.value for one in Security]),
    help=_("How TLS begins. Default: tls on port 465, else starttls, which must succeed."),
)
@click.option(
    "--ca-file", type=click.Path(path_type=Path), help=_("PEM file of a private root, in place of the system's.")
)
@click.option("--from", "sender", metavar="ADDRESS", help=_("Who sends."))
@click.option(
    "--to", multiple=True, metavar="ADDRESS", help=_("A recipient. May be given several times, or with commas.")
)
@click.option("--cc", multiple=True, metavar="ADDRESS", help=_("A recipient of a copy."))
@click.option("--bcc", multiple=True, metavar="ADDRESS", help=_("A recipient whom the others do not see."))
@click.option("--reply-to", multiple=True, metavar="ADDRESS", help=_("Where answers should go."))
@click.option("--subject", default="", metavar="TEXT", help=_("The subject."))
@click.option("--body", metavar="TEXT", help=_("The text."))
@click.option("--body-file", metavar="FILE", help=_("The text, from a file in UTF-8; - is the input."))
@click.option("--html", type=click.Path(path_type=Path), help=_("The text as HTML, from a file in UTF-8."))
@click.option("--attach", multiple=True, type=click.Path(path_type=Path), help=_("A file to attach."))
@click.option("--user", metavar="NAME", help=_("Log in with this name. Default with --provider: the sender's address."))
@click.option("--password-command", metavar="COMMAND", help=_("A command that prints the password: pass show mail."))
@click.option("--password-env", metavar="NAME", help=_("The variable of the environment that holds the password."))
@click.option("--token-command", metavar="COMMAND", help=_("A command that prints an OAuth 2.0 access token."))
@click.option("--token-env", metavar="NAME", help=_("The variable of the environment that holds the token."))
@click.option(
    "--auth",
    type=click.Choice(["plain", "login", "xoauth2"]),
    help=_("How to log in. Default: PLAIN, else LOGIN; XOAUTH2 with a token."),
)
@click.option(
    "--dsn", metavar="WHEN", help=_("Ask for reports of delivery: success, failure, delay, with commas; never.")
)
@click.option("--dsn-return", type=click.Choice(["headers", "full"]), help=_("What the reports bring back."))
@click.option("--helo", default="", metavar="NAME", help=_("This machine's name for EHLO. Default: its address."))
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help=_(
        "How long to wait for a reply. Default: 60, and 600 after the message, where a second try makes duplicates."
    ),
)
@click.option(
    "-v", "--verbose", is_flag=True, help=_("Show the conversation, line by line, explained; secrets masked.")
)
@options.as_json
def command(show_providers: bool, as_json: bool, verbose: bool, **given: Any) -> int:
    """Read what is given, send, and say how it went."""
    if show_providers:
        _show_providers(as_json)
        return 0
    provider = public.named(given["provider"]) if given["provider"] else None
    server = _server(provider, given)
    reports = _reports(given)
    message = _message(given)
    login = credentials.find(provider, server, message.reverse_path, given)
    timeout, hello = given["timeout"], given["helo"]
    try:
        result = send(
            message,
            server,
            login=login,
            reports=reports,
            hello=hello,
            timeout=timeout or TIMEOUT_SECONDS,
            final_timeout=timeout,
        )
    except NotSentError as error:
        result = error.result
    if verbose and not as_json:
        _show_conversation(result)
    if as_json:
        data = result.to_json() | ({"transcript": result.transcript.to_json()} if verbose else {})
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
    else:
        _show(result)
    return result.exit_code


def _server(provider: Provider | None, given: dict[str, Any]) -> Server:
    text, ca_file = given["server"], given["ca_file"]
    security = Security(given["security"]) if given["security"] else None
    if not provider and not text:
        raise InputError(_("No server. Give --server smtp.example.org:587, or --provider with a name of --providers."))
    if security is Security.NONE and provider:
        raise InputError(_("--security none: {title} takes mail under TLS only.").format(title=provider.title))
    if security is Security.NONE and ca_file:
        raise InputError(_("--ca-file is for TLS, and --security none asks for none. Leave one of them away."))
    if provider and not text:
        server = provider.server
        changed = security not in (None, server.security)
        return Server.parse(server.host, security, ca_file) if changed else _with_ca(server, ca_file)
    if provider and security is None and ":" not in text:
        return Server(text, provider.port, provider.security, ca_file)
    return Server.parse(text, security, ca_file)


def _with_ca(server: Server, ca_file: Path | None) -> Server:
    return Server(server.host, server.port, server.security, ca_file)


def _reports(given: dict[str, Any]) -> Reports | None:
    if given["dsn"] is None:
        if given["dsn_return"]:
            raise InputError(_("--dsn-return says what reports bring back: say with --dsn when you want them."))
        return None
    return Reports.parse(given["dsn"], given["dsn_return"] or "")


def _message(given: dict[str, Any]) -> Message:
    if not given["sender"]:
        raise InputError(_("No sender. Give --from alice@example.org."))
    html = messages.read_text(given["html"]) if given["html"] else ""
    return Message(
        given["sender"],
        given["to"],
        given["subject"],
        _text(given),
        html,
        given["cc"],
        given["bcc"],
        given["reply_to"],
        [Attachment.read(path) for path in given["attach"]],
    )


def _text(given: dict[str, Any]) -> str:
    """The text, from where it is said to be; the input is read when nothing else is said and nothing else is there."""
    body, file = given["body"], given["body_file"]
    if body is not None and file is not None:
        raise InputError(_("Give --body or --body-file, not both."))
    if body is not None:
        return str(body)
    if file is not None and file != "-":
        return messages.read_text(Path(file))
    source = sys.stdin.buffer
    if file is None and (given["html"] or source.isatty()):
        if given["html"] or given["attach"]:
            return ""
        raise InputError(_("No text. Give --body, --body-file, or the text on the input."))
    return messages.decoded(source.read(), _("the input"))


def _show_providers(as_json: bool) -> None:
    rows = public.table().values()
    if as_json:
        keys = ("title", "host", "port", "security", "user", "login", "url")
        data = {row.id: {key: getattr(row, key) for key in keys} | {"password": row.password} for row in rows}
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading, fixed in ((_("name"), True), (_("service"), False), (_("server"), True), (_("password"), False)):
        table.add_column(heading, no_wrap=fixed)
    for row in rows:
        server = f"{row.host}:{row.port} {row.security}"
        table.add_row(row.id, row.title, server, row.password)
    Console(highlight=False, width=None if sys.stdout.isatty() else 160).print(table)


def _show_conversation(result: Result) -> None:
    """Each line of the transcript, and in the same line what it means."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for said in explain.annotate(result.transcript.to_json()):
        console.print(f"{said.at:8.3f} {said.who}: {said.text}", markup=False, end="", style=_style(said.result))
        console.print(f"   {said.words}" if said.words else "", markup=False, style="dim")


def _style(result: int | None) -> str:
    return {4: "yellow", 5: "red"}.get(result or 0, "")


def _show(result: Result) -> None:
    for note in result.notes:
        click.secho(note, fg="yellow", err=True)
    for one in result.refused:
        click.secho(_("Not sent to {address}.").format(address=one.address), fg="red", err=True)
        click.echo(_indented(str(one.problem)), err=True)
    if result.problem:
        unknown = result.exit_code == 6
        click.secho(_("Perhaps sent, perhaps not.") if unknown else _("Not sent."), fg="red", err=True)
        click.echo(_indented(str(result.problem)), err=True)
    if result.accepted:
        words = _("Sent to {recipients}. The server said: {reply}")
        click.echo(words.format(recipients=", ".join(result.accepted), reply=result.reply))


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
