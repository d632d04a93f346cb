"""`valija demo`: a lab host, the mail server on it, and the proof that it works, by one command."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from valija import evidence, summary
from valija.errors import InputError
from valija.lab import Lab
from valija.lab.releases import RELEASES
from valija.messages import _
from valija.progress import elapsed, make_progress
from valija.runner import Outcome, run_playbook

# The setting that a demo makes when SquirrelMail's source is out of reach; the next demo tries again.
OTHER_WEBMAIL = {"mail_webmail": "roundcube"}
SOURCE_SETTING = "mail_squirrelmail_source"

# A file in the lab's folder that says that the webmail is another one for that reason.
MISSED = "webmail-missed"

# A file there that says that the passwords were shown.
SHOWN = "passwords-shown"

# A file there that says that a full proof succeeded, and that nothing has changed since.
PROVED = "proved"


# In the environment: the name of the lab when none is given, and the command that the person typed; scripts/demo sets
# both, so that each checkout has a demo of its own.
NAME_VARIABLE = "VALIJA_DEMO_NAME"
COMMAND_VARIABLE = "VALIJA_DEMO_COMMAND"

# Releases by name (debian-13) and by codename (trixie).
RELEASE_NAMES: dict[str, str] = {
    **{name: name for name in RELEASES},
    **{one.codename: name for name, one in RELEASES.items()},
}


class ReleaseName(click.ParamType[str]):
    """A release by its name or its codename; becomes the name."""

    name = "release"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in RELEASE_NAMES:
            known = ", ".join(RELEASE_NAMES)
            self.fail(_("There is no release {name}; there are: {known}.").format(name=value, known=known))
        return RELEASE_NAMES[value]


@click.command(
    help=_(
        "Build a lab host, bring the mail server to it, and prove it by conversation.\n\n"
        "Needs a Docker engine. A second demo reuses what is there; one that was interrupted is repaired by the next. "
        "The lab stays up until --down, which removes its containers, network and images, and nothing else.\n\n"
        "Exit code: 0 every check passed, 1 a check or a host failed, 2 the input is wrong."
    )
)
@click.option(
    "--release",
    "--distro",
    "releases",
    type=ReleaseName(),
    multiple=True,
    metavar="NAME",
    help=_(
        "The release of the host, by name or codename: debian-13, bookworm. May be given several times. Default: that "
        "of the demo that is there, or debian-13 for a new one."
    ),
)
@click.option(
    "--profile",
    type=click.Choice(["internet", "tutorial"]),
    help=_(
        "What the server is for: internet, or tutorial, the class room's own. Default: that of the demo that is there, "
        "or internet for a new one."
    ),
)
@click.option("--name", default="demo", envvar=NAME_VARIABLE, show_default=True, help=_("The name of the lab."))
@click.option(
    "--tier",
    type=click.Choice(["quick", "full", "slow"]),
    help=_("How much is proved. Default: full, and quick when nothing has changed since a full proof succeeded."),
)
@click.option("--down", is_flag=True, help=_("Remove the lab."))
@click.option("--keep", is_flag=True, help=_("With --down: keep the images, so that the next demo is quick."))
@click.option("-v", "--verbose", "verbosity", count=True, help=_("Print the command lines, and Ansible's own output."))
def command(
    releases: tuple[str, ...], profile: str | None, name: str, tier: str | None, down: bool, keep: bool, verbosity: int
) -> int:
    """Take the lab up, apply, prove, and say where to look; or take it down."""
    console = Console(highlight=False)
    lab = Lab.load(name)
    if down:
        return take_down(console, lab, images=not keep)
    if keep:
        raise InputError(_("--keep goes with --down."))
    bring_up(console, lab, releases, profile)
    outcome, webmail_is_another = apply(console, lab, verbosity)
    if outcome.exit_code:
        summary.show_outcome(console, outcome)
        return outcome.exit_code
    summary.show_outcome(console, outcome)
    directory = evidence.new_folder([str(lab.site_dir)])
    tier = tier or tier_for(console, lab, outcome)
    proof, results = prove(console, lab, directory, tier, verbosity)
    if tier != "quick" and proof.exit_code == 0:
        (lab.place.directory / PROVED).touch()
    evidence.show_failures(console, results)
    show(console, lab, results, another=webmail_is_another)
    evidence.show_counts(console, results)
    say_how_it_ended(console, lab, proof)
    return proof.exit_code


def take_down(console: Console, lab: Lab, *, images: bool) -> int:
    """Remove the lab, and say what had to stay."""
    with steps(console) as step:
        kept = lab.down(images, step)
    for image in kept:
        console.print(Text(_("{image} stays: another lab uses it.").format(image=image)))
    console.print(Text(_("The lab {name} is gone.").format(name=lab.name), style="bold green"))
    return 0


def bring_up(console: Console, lab: Lab, releases: tuple[str, ...], profile: str | None) -> None:
    """Take the lab up with what is asked for; SquirrelMail is tried again when it could not be had the last time."""
    missed = lab.place.directory / MISSED
    settings: dict[str, Any] | None = None
    if missed.exists():
        settings = {name: value for name, value in lab.record.settings.items() if name not in OTHER_WEBMAIL}
    say_what_stays(console, lab, releases, profile)
    with steps(console) as step:
        lab.up(releases, progress=step, profile=profile, settings=settings)
    missed.unlink(missing_ok=True)


def say_what_stays(console: Console, lab: Lab, releases: tuple[str, ...], profile: str | None) -> None:
    """Of a demo that is there already, say what is kept because nothing else was asked for."""
    record = lab.record
    if not record.releases:
        return
    if not releases:
        words = _("The demo keeps its release, {releases}; another one with --distro.")
        console.print(Text(words.format(releases=", ".join(record.releases))))
    if not profile:
        words = _("The demo keeps its profile, {profile}; another one with --profile.")
        console.print(Text(words.format(profile=record.profile)))


def apply(console: Console, lab: Lab, verbosity: int) -> tuple[Outcome, bool]:
    """Bring the hosts to the inventory's state: with Roundcube when only SquirrelMail's source is out of reach.

    The second value says whether the webmail is another one for that reason.
    """
    site = [str(lab.site_dir)]
    outcome = run_playbook("site", site, verbosity=verbosity, progress=make_progress(console))
    if not source_out_of_reach(outcome):
        return outcome, False
    words = _("SquirrelMail's source cannot be reached: the demo goes on with Roundcube instead.")
    console.print(Text(words, style="bold red"))
    with steps(console) as step:
        lab.up(progress=step, settings={**lab.record.settings, **OTHER_WEBMAIL})
    (lab.place.directory / MISSED).touch()
    return run_playbook("site", site, verbosity=verbosity, progress=make_progress(console)), True


def source_out_of_reach(outcome: Outcome) -> bool:
    """Whether SquirrelMail's source is all that was refused."""
    return bool(outcome.failures) and all(
        failure.refused and SOURCE_SETTING in failure.message for failure in outcome.failures
    )


def tier_for(console: Console, lab: Lab, outcome: Outcome) -> str:
    """Full; quick when nothing has changed since a full proof succeeded."""
    proved = lab.place.directory / PROVED
    if outcome.changed:
        proved.unlink(missing_ok=True)
    if not proved.exists():
        return "full"
    words = _("Nothing has changed since the last full proof: the quick checks are run. --tier full runs all.")
    console.print(Text(words))
    return "quick"


def prove(console: Console, lab: Lab, directory: Path, tier: str, verbosity: int) -> tuple[Outcome, evidence.Results]:
    """Hold the conversations; the results are in the folder."""
    begun = time.time()
    proof = run_playbook(
        "prove",
        [str(lab.site_dir)],
        extra_vars={"prove_tier": tier, "prove_only": "", "prove_report_dir": str(directory)},
        environment={"PY_COLORS": "1"} if console.is_terminal else {},
        verbosity=verbosity,
        progress=make_progress(console),
    )
    return proof, evidence.load(directory, since=begun)


def show(console: Console, lab: Lab, results: evidence.Results, *, another: bool) -> None:
    """Services with addresses and ports, the webmail, the accounts."""
    console.print()
    for one in results.values():
        site = one["site"]
        table = Table(title=f"{site['name']} · {site['hostname']}", title_justify="left", title_style="bold")
        for column in (_("service"), _("address"), _("port")):
            table.add_column(column)
        addresses = ", ".join(str(address) for address in site["addresses"].values() if address)
        for listen in site.get("listens", []):
            where = addresses if listen["address"] == "any" else _("the host itself")
            table.add_row(str(listen["service"]), where, str(listen["port"]))
        console.print(table)
        console.print(webmail_line(site, another=another), soft_wrap=True)
        root = lab.site_dir / "certificates" / f"{site['name']}.pem"
        if root.exists():
            words = _("Its certificate is the site's own; a program that trusts {path} asks nothing.")
            console.print(Text(words.format(path=root)), soft_wrap=True)
    show_accounts(console, lab)


def webmail_line(site: dict[str, Any], *, another: bool) -> Text:
    """Where the webmail is, and why it is not SquirrelMail."""
    line = Text.assemble((_("Webmail") + " ", "bold"))
    if site.get("webmail", "none") == "none" or not (address := site["addresses"].get("ipv4")):
        return line.append(_("none"), "bold red")
    encrypted = any(listen["service"] == "https" for listen in site.get("listens", []))
    line.append(f"http{'s' if encrypted else ''}://{address}/webmail/")
    if another:
        why = _("Roundcube: SquirrelMail's source could not be reached. Set {setting}.").format(setting=SOURCE_SETTING)
        line.append(f" {why}", "bold red")
    return line


def show_accounts(console: Console, lab: Lab) -> None:
    """The accounts; their passwords the first time alone."""
    secrets = lab.site_dir / "group_vars" / "all" / "secrets.yml"
    seen = lab.place.directory / SHOWN
    first = not seen.exists()
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column(_("account"), style="bold")
    table.add_column(_("address"))
    table.add_column(_("password"))
    domains = {host.domain for host in lab.hosts}
    for account, password in lab.passwords.items():
        addresses = ", ".join(f"{account}@{domain}" for domain in sorted(domains))
        table.add_row(account, addresses, password if first else "********")
    console.print(table)
    told = _("Passwords are shown this once; they are kept in {path}") if first else _("Passwords are in {path}")
    console.print(Text(told.format(path=secrets), style="dim"), soft_wrap=True)
    console.print()
    seen.touch(mode=0o600)


def say_how_it_ended(console: Console, lab: Lab, proof: Outcome) -> None:
    """The last lines: the verdict, and how to go on."""
    words = _("Not proved: what failed stands above.") if proof.exit_code else _("Proved in {time}.")
    console.print(
        Text(words.format(time=elapsed(proof.seconds)), style="bold red" if proof.exit_code else "bold green")
    )
    console.print(Text(_("Its site: {path}").format(path=lab.site_dir)), soft_wrap=True)
    console.print(Text(_("Take it down: {command}").format(command=command_for_down(lab.name))), soft_wrap=True)


def command_for_down(name: str) -> str:
    """What the person types to remove this lab: the script when that started the demo, else the verb."""
    script = os.environ.get(COMMAND_VARIABLE)
    usual = os.environ.get(NAME_VARIABLE, "demo")
    command = shlex.quote(script) if script else "valija demo"
    return f"{command} --down" if name == usual else f"{command} --name {name} --down"


@contextmanager
def steps(console: Console) -> Iterator[Callable[[str], None]]:
    """Show the lab's steps: the current one on a terminal, a line for each elsewhere."""
    if not console.is_terminal:
        yield lambda step: console.print(Text(step), soft_wrap=True)
        return
    with console.status("") as status:
        yield lambda step: status.update(Text(step))
