"""The large public services, as a table: `providers.toml` beside this file."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources

from valija.client.server import Security, Server
from valija.errors import InputError
from valija.messages import N_, _

# What the password must be.
LOGINS = {
    "account": N_("the account's own password"),
    "account-or-app": N_("the account's password; with two-step verification on, an app password"),
    "app": N_("an app password, which needs two-step verification; the account's own password is refused"),
    "enabled": N_(
        "the account's password (an app password with two-step verification), after access by mail programs was "
        "turned on in the settings"
    ),
    "mail-programs": N_("the password for mail programs, which is set apart from the account's"),
    "token": N_("an OAuth 2.0 token; passwords are refused"),
    "bridge": N_("the password that Bridge shows; give its exported certificate with --ca-file"),
    "smtp-token": N_("an SMTP token made in the settings, not the account's password"),
    "api-key": N_("an API key"),
    "smtp-credentials": N_("the SMTP user and password made in the console, not the account's"),
}


@dataclass(frozen=True)
class Provider:
    """One service. `user`: "address", "issued", or the name that everybody uses; `login`: a key of LOGINS."""

    id: str
    title: str
    host: str
    port: int
    security: Security
    user: str
    login: str
    url: str
    hosts: tuple[str, ...] = ()

    @property
    def server(self) -> Server:
        return Server(self.host, self.port, self.security)

    @property
    def password(self) -> str:
        """What the password must be, in words."""
        return _(LOGINS[self.login])

    def user_for(self, address: str) -> str:
        """The user name of who sends from this address; empty where only the service knows it."""
        return {"address": address, "issued": ""}.get(self.user, self.user)

    def login_advice(self, *, token: bool) -> str:
        """What this service wants in place of what it refused."""
        if token:
            words = _("{title}: the token may have expired (most live for an hour), or not be meant for SMTP.")
        else:
            words = _("{title} wants {password}: {url}.")
        return words.format(title=self.title, password=self.password, url=self.url)


@cache
def table() -> dict[str, Provider]:
    """All providers by their id, in the order of the file."""
    text = (resources.files("valija.client") / "providers.toml").read_text("utf-8")
    return {
        name: Provider(name, **{**row, "security": Security(row["security"]), "hosts": tuple(row.get("hosts", ()))})
        for name, row in tomllib.loads(text).items()
    }


def named(name: str) -> Provider:
    """The provider with this id; raises InputError with the nearest one."""
    found = table().get(name.lower())
    if not found:
        near = difflib.get_close_matches(name.lower(), table(), 1)
        hint = _("Did you mean {name}?").format(name=near[0]) if near else _("See valija send --providers.")
        raise InputError(_("--provider {name}: not in the table. {hint}").format(name=name, hint=hint))
    return found


def of_host(host: str) -> Provider | None:
    """The public service that a server belongs to; one on this machine belongs to none."""
    for provider in table().values():
        names = [provider.host, *provider.hosts]
        if not provider.server.loopback and any(fnmatchcase(host.lower().rstrip("."), name) for name in names):
            return provider
    return None
