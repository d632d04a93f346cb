"""`valija init`: write a new site."""

from __future__ import annotations

import json
import secrets
import shlex
from pathlib import Path

import click
from ansible_collections.valija.mailserver.plugins.module_utils.site_names import (
    Verdict,
    account_problem,
    domain_problem,
)

from valija.errors import InputError
from valija.messages import _
from valija.options import as_json as json_option
from valija.skeleton import SECRETS, SiteHost, write_site

# token_urlsafe's bytes: 96 bits, 16 characters.
_PASSWORD_BYTES = 12


@click.command(
    help=_(
        "Write a new site into the folder DIR: inventory, settings, secrets and ansible.cfg.\n\n"
        "Each account gets a random password, in group_vars/all/secrets.yml. Files that are there already are never "
        "overwritten. No host is touched."
    )
)
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--domain", required=True, metavar="D", help=_("The domain of the mail addresses."))
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="ADDRESS",
    help=_("Where the mail host is reached by SSH; mail. and the domain when not given."),
)
@click.option(
    "--profile",
    type=click.Choice(["internet", "tutorial"]),
    default="internet",
    show_default=True,
    help=_("What the server is for; tutorial is a class room's, IPv4 alone."),
)
@click.option(
    "--user",
    "users",
    multiple=True,
    metavar="NAME",
    help=_("An account; may be given several times. The first is postmaster. alice when not given."),
)
@json_option
def command(
    directory: Path, domain: str, hosts: tuple[str, ...], profile: str, users: tuple[str, ...], as_json: bool
) -> None:
    """Write the site, and say what comes next."""
    _require("--domain", domain, domain_problem(domain))
    names = list(dict.fromkeys(users or ("alice",)))
    for name in names:
        _require("--user", name, account_problem(name))
    written = write_site(
        directory,
        domain=domain,
        hosts=_hosts(domain, hosts),
        accounts=[{"name": name, "password": secrets.token_urlsafe(_PASSWORD_BYTES)} for name in names],
        postmaster=names[0],
        profile=profile,
    )
    if as_json:
        click.echo(json.dumps({"directory": str(directory), "files": [str(path) for path in written]}, indent=2))
        return
    place = shlex.quote(str(directory))
    click.echo("\n".join(str(path) for path in written))
    click.echo(
        _(
            "\nNext:\n"
            "  ansible-vault encrypt {secrets}   # it holds the passwords of {names}\n"
            "  valija check -i {place}   # is it right?\n"
            "  valija plan -i {place}    # what would change on the host?\n"
            "  valija apply -i {place}   # build the server\n"
            "  valija prove -i {place}   # talk to it, and see that it works"
        ).format(place=place, secrets=f"{place}/{SECRETS}", names=", ".join(names))
    )


def _hosts(domain: str, addresses: tuple[str, ...]) -> list[SiteHost]:
    """One host, named after the domain; more of them are numbered."""
    if len(addresses) <= 1:
        return [SiteHost(f"mail.{domain}", "".join(addresses))]
    return [SiteHost(f"mail{number}.{domain}", address) for number, address in enumerate(addresses, 1)]


def _require(option: str, value: str, verdict: Verdict) -> None:
    if verdict:
        raise InputError(f"{option}: {verdict[0]}: {value!r}. {verdict[1]}")
