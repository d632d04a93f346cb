"""A new site on disk: its inventory, settings, secrets and ansible.cfg, from the templates in `templates/site/`."""

from __future__ import annotations

import importlib.resources
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import yaml
from ansible_collections.valija.mailserver.plugins.plugin_utils.local_files import replace

from valija.errors import InputError
from valija.messages import _

SECRETS = "group_vars/all/secrets.yml"
_FILES = ("ansible.cfg", "hosts.yml", "group_vars/all/mail.yml", SECRETS, "README.md")

# Shown in mail.yml as comments, unless the site sets them: name, what it means, its default.
_FURTHER = (
    ("mail_hostname", "The host's full name; mail. and the domain when not set.", "mail.example.org"),
    ("mail_domains", "More domains, in which every account is reachable as well.", "[]"),
    ("mail_aliases", "More names: {info: [alice], sales@example.net: [bob, carol@example.com]}.", "{}"),
    ("mail_relayhost", "A smarthost, where the provider blocks port 25: '[smtp.example.net]:587'.", '""'),
    ("mail_message_size_mib", "The largest message, attachments included.", "25"),
    ("mail_webmail", "squirrelmail, roundcube or none.", "squirrelmail"),
)


@dataclass(frozen=True)
class SiteHost:
    """A mail host: its name in the inventory, where it is reached (its name when empty), and variables of its own."""

    name: str
    address: str = ""
    user: str = "root"
    variables: Mapping[str, Any] = field(default_factory=dict)


def write_site(
    directory: Path,
    *,
    domain: str,
    hosts: Sequence[SiteHost],
    accounts: Sequence[Mapping[str, Any]],
    postmaster: str,
    profile: str = "internet",
    settings: Mapping[str, Any] | None = None,
    extra_group_vars: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write a whole site and say which files it has.

    `accounts` are items of mail_accounts; a `password` among their keys goes to secrets.yml, as do settings whose names
    end in _password or _key. `settings` are further mail_* values, `extra_group_vars` whatever else all hosts share
    (group_vars/all/extra.yml). An empty `domain` leaves mail_domain to the hosts' own variables. Raises InputError when
    a file is there already, unless `overwrite`; nothing is written then.
    """
    texts = {
        directory / path: text
        for path, text in _texts(
            domain, hosts, accounts, postmaster, profile, settings or {}, extra_group_vars or {}
        ).items()
    }
    there = [path for path in texts if os.path.lexists(path)]
    if there and not overwrite:
        words = _("{path} is there already; nothing was written. Choose another folder, or remove it.")
        raise InputError("\n".join(words.format(path=path) for path in there))
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, text.encode(), mode=0o600 if path.name == Path(SECRETS).name else 0o644)
    return list(texts)


def _texts(
    domain: str,
    hosts: Sequence[SiteHost],
    accounts: Sequence[Mapping[str, Any]],
    postmaster: str,
    profile: str,
    settings: Mapping[str, Any],
    extra_group_vars: Mapping[str, Any],
) -> dict[str, str]:
    secret = {name: value for name, value in settings.items() if name.endswith(("_password", "_key"))}
    plain = {name: value for name, value in settings.items() if name not in secret}
    values = {
        "domain": domain,
        "hosts": hosts,
        "postmaster": postmaster,
        "profile": profile,
        "accounts": [_without_password(account) for account in accounts],
        "passwords": {account["name"]: account["password"] for account in accounts if "password" in account},
        "settings": plain,
        "secrets": secret,
        "further": [one for one in _FURTHER if one[0] not in settings],
    }
    environment = _environment()
    texts = {path: environment.get_template(f"{path}.j2").render(values) for path in _FILES}
    for host in hosts:
        if host.variables:
            texts[f"host_vars/{host.name}.yml"] = "---\n" + as_block(dict(host.variables)) + "\n"
    if extra_group_vars:
        texts["group_vars/all/extra.yml"] = "---\n" + as_block(dict(extra_group_vars)) + "\n"
    return texts


def _without_password(account: Mapping[str, Any]) -> dict[str, Any]:
    """The account with its password by reference, in the order in which a person would write it."""
    if "password" not in account:
        return dict(account)
    name = account["name"]
    reference = f'{{{{ vault_passwords["{name}"] }}}}'
    return {key: reference if key == "password" else value for key, value in account.items()}


def as_yaml(value: Any) -> str:
    """A value in YAML on one line, quoted where it has to be."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def as_block(value: Any) -> str:
    """A mapping in YAML as lines, lists indented as ansible-lint wants them."""
    return yaml.dump(
        value, Dumper=_Indented, default_flow_style=False, width=10_000, allow_unicode=True, sort_keys=False
    ).rstrip("\n")


class _Indented(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(importlib.resources.files("valija") / "templates" / "site")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters.update(as_yaml=as_yaml, as_block=as_block)
    return environment
