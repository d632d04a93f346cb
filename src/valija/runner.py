"""The only place that starts ansible-playbook: its command line, its environment, its end."""

from __future__ import annotations

import configparser
import json
import locale
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.text import Text

from valija import early as early_child
from valija import inventory_files
from valija.child import lines, started
from valija.messages import _
from valija.progress import TAKE_OVER, EventFile, Failure, Progress, Record, make_progress

CALLBACK = "valija.mailserver.events"

# What may lie beside hosts.yml and is no inventory: tables of accounts, and certificates, ours and the site's.
TABLES = r"\.(csv|jsonl|ndjson|pem|crt|key)$,^certificates$"


@dataclass(frozen=True)
class Outcome:
    """How a run ended; `exit_code` is ours: 0 done, 1 a host or a check failed, 2 wrong input and nothing touched."""

    exit_code: int
    seconds: float
    command: tuple[str, ...]
    record: Record = field(default_factory=Record)
    errors: str = ""

    @property
    def failures(self) -> list[Failure]:
        """The failed tasks, one for each host."""
        return self.record.failures

    @property
    def changed(self) -> int:
        """How many tasks changed something, over all hosts."""
        return self.record.changed

    @property
    def remote_calls(self) -> dict[str, int]:
        """How many remote calls each host took."""
        return self.record.remote_calls()


def playbook_command(
    playbook: str,
    inventory: Sequence[str],
    *,
    limit: str | None = None,
    tags: Sequence[str] = (),
    extra_vars: Mapping[str, object] | Sequence[str] = (),
    check: bool = False,
    diff: bool = False,
    verbosity: int = 0,
    vault_password_file: str | None = None,
    ask_vault_pass: bool = False,
) -> list[str]:
    """The command line: Ansible of the running interpreter, so that no PATH can choose another."""
    command = [sys.executable, "-m", "ansible", "playbook"]
    for source in inventory:
        command += ["-i", source]
    if limit:
        command += ["--limit", limit]
    if tags:
        command += ["--tags", ",".join(tags)]
    values = [json.dumps(extra_vars)] if isinstance(extra_vars, Mapping) and extra_vars else list(extra_vars)
    for value in values:
        command += ["-e", value]
    command += ["--check"] if check else []
    command += ["--diff"] if diff else []
    if vault_password_file:
        command += ["--vault-password-file", vault_password_file]
    command += ["--ask-vault-pass"] if ask_vault_pass else []
    command += ["-" + "v" * verbosity] if verbosity else []
    return [*command, playbook_name(playbook)]


def playbook_name(playbook: str) -> str:
    """A file keeps its path, a full name stays; a bare verb (`site`) is the collection's playbook of that name."""
    if playbook.endswith((".yml", ".yaml")) or os.sep in playbook or "." in playbook:
        return playbook
    return f"valija.mailserver.{playbook}"


def playbook_environment(
    inventory: Sequence[str], events: Path, *, verbosity: int = 0, environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The child's environment: the site's own ansible.cfg, our events, and this interpreter's programs first in PATH.

    Without -v our callback is the standard output's too, so that only what plugins display on purpose is printed there;
    with -v Ansible's own output stays as it is, and ours is one more callback.
    """
    result = dict(environment)
    programs = str(Path(sys.executable).parent)
    result["PATH"] = os.pathsep.join([programs, *filter(None, [result.get("PATH")])])
    if "ANSIBLE_CONFIG" not in result and (config := site_config(inventory)):
        result["ANSIBLE_CONFIG"] = str(config)
    if verbosity:
        enabled = result.get("ANSIBLE_CALLBACKS_ENABLED") or setting(result.get("ANSIBLE_CONFIG"), "callbacks_enabled")
        names = [name.strip() for name in enabled.split(",") if name.strip()]
        result["ANSIBLE_CALLBACKS_ENABLED"] = ",".join([*names, CALLBACK])
    else:
        result["ANSIBLE_STDOUT_CALLBACK"] = CALLBACK
    result = {**result, **ignoring_tables(result), **usable_locale()}
    # A broken inventory is an error, never an empty one; and lines come when they are written.
    result["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] = "true"
    result["PYTHONUNBUFFERED"] = "1"
    result["VALIJA_EVENTS"] = str(events)
    return result


def site_config(inventory: Sequence[str]) -> Path | None:
    """The ansible.cfg of a site: in the folder given as inventory, or beside the file given."""
    for source in inventory:
        path = Path(source)
        config = (path if path.is_dir() else path.parent) / "ansible.cfg"
        if path.exists() and config.is_file():
            return config.resolve()
    return None


def ignoring_tables(environment: Mapping[str, str]) -> dict[str, str]:
    """What keeps Ansible from reading a table of accounts, or a certificate, in the inventory's folder as hosts."""
    name = "ANSIBLE_INVENTORY_IGNORE_REGEX"
    own = environment.get(name) or setting(environment.get("ANSIBLE_CONFIG"), "inventory_ignore_patterns")
    return {name: ",".join([*filter(None, [own]), TABLES])}


def usable_locale() -> dict[str, str]:
    """What lets Ansible start where the environment's locale is not installed, as one that came along by SSH may be."""
    before = locale.setlocale(locale.LC_ALL)
    try:
        locale.setlocale(locale.LC_ALL, "")
    except locale.Error:
        return {"LC_ALL": "C.UTF-8"}
    finally:
        locale.setlocale(locale.LC_ALL, before)
    return {}


def setting(config: str | None, name: str) -> str:
    """One of the [defaults] of an ansible.cfg; empty when it is not set."""
    parser = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(";",))
    try:
        parser.read(config or [])
    except configparser.Error:
        return ""
    return parser.get("defaults", name, fallback="")


def shown_command(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """The command as a person can run it, with the one setting of the environment that decides what it does."""
    config = environment.get("ANSIBLE_CONFIG")
    prefix = f"ANSIBLE_CONFIG={shlex.quote(config)} " if config else ""
    return prefix + shlex.join(command)


def verdict(returncode: int, record: Record) -> int:
    """Our exit code for Ansible's: 2 when the input is wrong and nothing was touched, 1 when a host failed, else 0.

    A run that was killed, or that left a host it had called without a result, may have touched something.
    """
    hosts_seen = any(record.tallies.values())
    if returncode == 0:
        return 2 if record.empty_plays and not hosts_seen else 0
    if returncode < 0 or any(call["host"] not in record.tallies for call in record.calls):
        return 1
    if not hosts_seen:
        return 2
    refused = record.failures and all(failure.refused in ("inventory", TAKE_OVER) for failure in record.failures)
    return 2 if refused and not record.changed else 1


def run_playbook(
    playbook: str,
    inventory: Sequence[str],
    *,
    limit: str | None = None,
    tags: Sequence[str] = (),
    extra_vars: Mapping[str, object] | Sequence[str] = (),
    check: bool = False,
    diff: bool = False,
    verbosity: int = 0,
    vault_password_file: str | None = None,
    ask_vault_pass: bool = False,
    environment: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    early: early_child.Early | None = None,
) -> Outcome:
    """Run a playbook to its end and say how it ended; failures are shown by the progress, not raised.

    `environment` is added to the child's. `early` is a child that has Ansible loaded (`loading`). KeyboardInterrupt is
    passed on to the child, which is waited for.
    Raises InputError when the inventory does not exist or a file of it cannot be read.
    """
    inventory_files.require_readable(inventory)
    command = playbook_command(
        playbook,
        inventory,
        limit=limit,
        tags=tags,
        extra_vars=extra_vars,
        check=check,
        diff=diff,
        verbosity=verbosity,
        vault_password_file=vault_password_file,
        ask_vault_pass=ask_vault_pass,
    )
    progress = progress or make_progress()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="valija-run-") as folder:
        events = EventFile(Path(folder) / "events.jsonl")
        variables = playbook_environment(inventory, events.path, verbosity=verbosity) | dict(environment or {})
        try:
            if verbosity:
                progress.console.print(Text(shown_command(command, variables), style="dim"), soft_wrap=True)
                returncode, errors, record = _run_openly(command, variables, events)
            else:
                with progress:
                    returncode, errors, record = _run_quietly(command, variables, events, progress, early)
        except KeyboardInterrupt:
            progress.console.print(Text(_("Interrupted. The same command goes on from here."), style="bold yellow"))
            raise
    if returncode < 0:
        words = _("Ansible was killed by signal {number}. What it had begun may be half done; run it again.")
        errors = "\n".join([*filter(None, [errors]), words.format(number=-returncode)])
    outcome = Outcome(verdict(returncode, record), time.monotonic() - begun, tuple(command), record, errors)
    if outcome.exit_code and (returncode < 0 or not record.failures):
        for line in own_errors(outcome, inventory):
            progress.console.print(Text(line), soft_wrap=True)
    return outcome


def own_errors(outcome: Outcome, inventory: Sequence[str]) -> list[str]:
    """What Ansible said when it ended without a failed task, line by line, in our words where it could not begin."""
    if outcome.record.empty_plays:
        return [_("No host of the inventory is in the group mail. Put the mail hosts below mail: hosts: in hosts.yml.")]
    words = outcome.errors.replace("[ERROR]: ", "").strip()
    if "vault secrets" in words or "Decryption failed" in words:
        words = _(
            "{path}: is encrypted and cannot be read. Give the vault's password: --vault-password-file or "
            "--ask-vault-pass, or vault_password_file in the site's ansible.cfg."
        )
        return [words.format(path=path) for path in inventory_files.encrypted(inventory)]
    return [line for line in words.splitlines() if line.strip()]


def _run_openly(command: Sequence[str], environment: Mapping[str, str], events: EventFile) -> tuple[int, str, Record]:
    """Ansible writes to our own output; the events are read when it has ended."""
    record = Record()
    with started(command, environment, pipes=False) as child:
        child.wait()
    for event in events.new():
        record.take(event)
    return child.returncode, "", record


@contextmanager
def loading(inventory: Sequence[str], *, verbosity: int = 0) -> Iterator[early_child.Early | None]:
    """Have Ansible loaded for a run of `run_playbook` that comes soon; None where its output is not ours to read."""
    if verbosity:
        yield None
        return
    with early_child.begun(playbook_environment(inventory, Path(os.devnull))) as early:
        yield early


def _run_quietly(
    command: Sequence[str],
    environment: Mapping[str, str],
    events: EventFile,
    progress: Progress,
    early: early_child.Early | None = None,
) -> tuple[int, str, Record]:
    """Show the events as they come; keep Ansible's error output for the case that it says nothing else."""
    record = Record()
    errors: list[str] = []

    def look() -> None:
        for event in events.new():
            record.take(event)
            progress.event(event)

    words = ["ansible-playbook", *command[4:]]
    ready = early.child if early and early.told(words, environment) else None
    with started(early_child.command(words), environment, pipes=True, early=ready) as child:
        for stream, line in lines(child):
            look()
            if stream == "out":
                progress.output(line)
            elif stream == "err":
                errors.append(line)
    look()
    return child.returncode, "\n".join(errors), record
