"""`valija lab`: disposable mail hosts in containers."""

from __future__ import annotations

import json
from typing import Any

import click
import yaml
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Column, Table

from valija.errors import InputError
from valija.lab import Lab, list_labs
from valija.lab.releases import RELEASES
from valija.lab.state import state_home
from valija.messages import _
from valija.skeleton import SECRETS


@click.group(
    help=_(
        "Disposable mail hosts in containers, reached by SSH like any other.\n\n"
        "A lab has a network of its own in the documentation ranges, a host for each release asked for, and the peer: "
        "DNS, a mail sink and strangers, the rest of the Internet. Four labs live side by side."
    )
)
def command() -> None:
    """The group of the lab's verbs."""


@command.command(
    help=_(
        "Bring a lab up, or repair it; hosts that run are reused.\n\n"
        "What is not given stays as it was; a new lab has one bare host of Debian 13 and the peer. NAME is lab when "
        "not given. The lab's site is written as `valija init` writes one, with the accounts alice and bob."
    )
)
@click.argument("name", default="lab")
@click.option(
    "--release",
    "releases",
    multiple=True,
    type=click.Choice(list(RELEASES)),
    help=_("A host of this release; can be given several times."),
)
@click.option("--image", type=click.Choice(["bare", "packages"]), help=_("Start without mail packages, or with them."))
@click.option("--profile", type=click.Choice(["internet", "tutorial"]), help=_("What the mail server is for."))
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help=_("A mail_* setting of the site, as YAML."))
@click.option("--peer/--no-peer", default=None, help=_("With or without the rest of the Internet."))
def up(
    name: str,
    releases: tuple[str, ...],
    image: str | None,
    profile: str | None,
    settings: tuple[str, ...],
    peer: bool | None,
) -> None:
    """Bring the lab up and show its hosts."""
    console, lab = Console(), Lab.load(name)
    known, before = set(lab.passwords), lab.record.settings
    with console.status("") as status:

        def progress(step: str) -> None:
            status.update(step)
            if not console.is_terminal:
                click.echo(step)

        lab.up(
            releases,
            image,
            progress,
            profile=profile,
            settings={**before, **parse_settings(settings)},
            with_peer=peer,
        )
    table = Table(_("Host"), _("Name"), "IPv4", "IPv6", box=SIMPLE)
    for host in lab.hosts:
        table.add_row(host.name, host.hostname, host.ipv4, host.ipv6)
    console.print(table)
    for account, password in lab.passwords.items():
        if account not in known:
            click.echo(_("Account {name}, password {password}").format(name=account, password=password))
    click.echo(_("Site: {path} (the passwords stand in its {file})").format(path=lab.site_dir, file=SECRETS))


@command.command(
    help=_("Remove a lab: its containers, its network and its folder, and nothing else. NAME is lab when not given.")
)
@click.argument("name", default="lab")
@click.option("--images", is_flag=True, help=_("Remove the images that this lab made too."))
def down(name: str, images: bool) -> None:
    """Take the lab down and say what had to stay."""
    for kept in Lab.load(name).down(images, click.echo):
        click.echo(_("{image} stays: another lab uses it.").format(image=kept))


@command.command(name="list", help=_("List the labs and their hosts."))
@click.option("--json", "as_json", is_flag=True, help=_("For a machine to read."))
def list_command(as_json: bool) -> None:
    """Show the labs as a table or as JSON."""
    labs = list_labs()
    if as_json:
        click.echo(json.dumps([describe(lab) for lab in labs], indent=2))
        return
    addresses = [Column(family, no_wrap=True) for family in ("IPv4", "IPv6")]
    table = Table(Column(_("Lab"), overflow="fold"), _("Running"), _("Host"), *addresses, box=SIMPLE)
    for lab in labs:
        running = _("yes") if lab.is_running() else _("no")
        for host in lab.hosts:
            table.add_row(lab.name, running, host.name, host.ipv4, host.ipv6)
    Console().print(table)
    click.echo(_("The site of a lab: {path}").format(path=state_home() / "LAB" / "site"))


def describe(lab: Lab) -> dict[str, Any]:
    """A lab as `list --json` shows it."""
    return {
        "name": lab.name,
        "running": lab.is_running(),
        "site": str(lab.site_dir),
        "hosts": [
            {"name": host.name, "hostname": host.hostname, "ipv4": host.ipv4, "ipv6": host.ipv6} for host in lab.hosts
        ],
    }


def parse_settings(pairs: tuple[str, ...]) -> dict[str, Any]:
    """`KEY=VALUE` pairs as a mapping; the value is YAML, for lists and booleans, or else text ([a.test]:587)."""
    settings = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key.isidentifier():
            raise InputError(_("--set wants KEY=VALUE, for example mail_webmail=none: {pair}").format(pair=pair))
        try:
            settings[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            settings[key] = value
    return settings
