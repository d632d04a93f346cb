"""Where a login comes from: options, the environment, a command that prints the secret, or a person at the terminal."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from valija.client import providers
from valija.client.providers import Provider
from valija.client.server import Login, Server, check
from valija.errors import InputError
from valija.messages import _

PASSWORD_VARIABLE = "VALIJA_SEND_PASSWORD"
TOKEN_VARIABLE = "VALIJA_SEND_TOKEN"

# Where a secret may come from: option, whether it names a command, whether it yields a token.
_SOURCES = (
    ("password_command", True, False),
    ("password_env", False, False),
    ("token_command", True, True),
    ("token_env", False, True),
)


def find(provider: Provider | None, server: Server, address: str, given: Mapping[str, str | None]) -> Login | None:
    """Who logs in, with which secret; None without --user and --provider.

    `address` is the sender's; `given` holds the options user, auth and the four sources of a secret, None for what is
    not given. Raises InputError.
    """
    said = [source for source in _SOURCES if given[source[0]] is not None]
    names = [f"--{name.replace('_', '-')}" for name, _is_command, _is_token in said]
    if len(said) > 1:
        raise InputError(_("{options}: give one source of the secret.").format(options=", ".join(names)))
    user = given["user"] or (provider.user_for(address) if provider else "")
    if not user:
        if provider:
            words = _("{title}: give --user with the name that the service made for SMTP: {url}.")
            raise InputError(words.format(title=provider.title, url=provider.url))
        if unused := [*names, *(["--auth"] if given["auth"] else [])]:
            raise InputError(_("{option} is for a login: give --user as well.").format(option=unused[0]))
        return None
    wanted = given["auth"] == "xoauth2" or bool(provider and provider.login == "token")
    token = said[0][2] if said else wanted or _only_a_token()
    mechanism = (given["auth"] or "").upper()
    check(server, Login(user, "-", token, mechanism))  # refused before anybody is asked for a password
    secret = _given_secret(said[0], given) if said else _other_secret(provider, server, user, token=token)
    return Login(user, secret, token, mechanism)


def _only_a_token() -> bool:
    return bool(os.environ.get(TOKEN_VARIABLE)) and not os.environ.get(PASSWORD_VARIABLE)


def _given_secret(source: tuple[str, bool, bool], given: Mapping[str, str | None]) -> str:
    name, is_command, _is_token = source
    value, option = given[name] or "", f"--{name.replace('_', '-')}"
    if is_command:
        return _printed(value, option)
    secret = os.environ.get(value, "")
    if not secret:
        words = _("{option} {name}: that variable is not set, or empty.")
        raise InputError(words.format(option=option, name=value))
    return secret


def _other_secret(provider: Provider | None, server: Server, user: str, *, token: bool) -> str:
    """From the environment, else from the person at the terminal."""
    variable = TOKEN_VARIABLE if token else PASSWORD_VARIABLE
    if secret := os.environ.get(variable, ""):
        return secret
    if token or not can_ask():
        words = _("No {what} for {user}: set {variable}, or give {option}.")
        what, option = (_("token"), "--token-command") if token else (_("password"), "--password-command")
        raise InputError(words.format(what=what, user=user, variable=variable, option=option))
    known = provider or providers.of_host(server.host)
    if known:
        click.echo(
            _("{title} wants {password}: {url}").format(title=known.title, password=known.password, url=known.url),
            err=True,
        )
    question = _("Password of {user} at {host}").format(user=user, host=server.host)
    return str(click.prompt(question, hide_input=True, err=True))


def can_ask() -> bool:
    """Whether there is a terminal to ask at, whatever the input is."""
    try:
        with Path("/dev/tty").open("rb"):
            return True
    except OSError:
        return sys.stdin.isatty()


def _printed(line: str, option: str) -> str:
    """The first line that a command prints."""
    try:
        arguments = shlex.split(line)
    except ValueError as error:
        raise InputError(f"{option} {line}: {error}") from error
    if not arguments:
        raise InputError(_("{option}: no command is given.").format(option=option))
    try:
        ran = subprocess.run(arguments, stdout=subprocess.PIPE, check=False)
    except OSError as error:
        words = _("{option} {command}: cannot be run: {why}")
        raise InputError(words.format(option=option, command=line, why=error.strerror)) from error
    secret = ran.stdout.decode("utf-8", "replace").splitlines()[:1]
    if ran.returncode != 0 or not secret or not secret[0]:
        words = _("{option} {command}: it printed no secret (exit code {code}). Try it by hand.")
        raise InputError(words.format(option=option, command=line, code=ran.returncode))
    return secret[0]
