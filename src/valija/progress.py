"""What a run of a playbook does, read from the events of our callback: kept in a record, and shown while it happens.

The events are the JSON lines that `valija.mailserver.events` writes; `ansible-doc -t callback valija.mailserver.events`
describes each. On a terminal a bar shows the current task and host; elsewhere there is a plain line for each task.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Column
from rich.text import Text

from valija.messages import _

Event = dict[str, Any]

# Ansible adds such a task to every role with a specification; it takes no time and tells a reader nothing.
ROLE_VALIDATION = "ansible.builtin.validate_argument_spec"

# The refusal that is a question to a person; whoever runs the playbook asks it.
TAKE_OVER = "take_over"


@dataclass(frozen=True)
class Failure:
    """One failed task on one host; `message` has one finding a line, `refused` says what was refused, if anything."""

    host: str
    task: str
    message: str
    refused: str | None = None
    unreachable: bool = False


@dataclass
class Record:
    """All that is worth knowing about a run once it is over."""

    hosts: list[str] = field(default_factory=list)
    plays: int = 0
    empty_plays: int = 0
    tallies: dict[str, Counter[str]] = field(default_factory=dict)
    changed_tasks: dict[str, list[str]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    diffs: list[Event] = field(default_factory=list)
    calls: list[Event] = field(default_factory=list)
    finished: bool = False

    def take(self, event: Event) -> None:
        """Add what one event says; unknown events are passed over."""
        match event.get("event"):
            case "play":
                self.plays += 1
                self.hosts += [host for host in event["hosts"] if host not in self.hosts]
            case "no_hosts":
                self.empty_plays += 1
            case "result":
                self._result(event)
            case "diff":
                self.diffs.append(event)
            case "call":
                self.calls.append(event)
            case "stats":
                self.finished = True

    def _result(self, event: Event) -> None:
        tally = self.tallies.setdefault(event["host"], Counter())
        tally[event["status"]] += 1
        if event["changed"]:
            tally["changed"] += 1
            self.changed_tasks.setdefault(event["host"], []).append(event["task"])
        if event["status"] in ("failed", "unreachable") and not event["ignored"]:
            unreachable = event["status"] == "unreachable"
            self.failures.append(Failure(event["host"], event["task"], event["msg"], event.get("refused"), unreachable))

    @property
    def changed(self) -> int:
        """How many tasks changed something, over all hosts."""
        return sum(tally["changed"] for tally in self.tallies.values())

    def remote_calls(self) -> dict[str, int]:
        """How many remote calls each host took; what a call is stands in the callback's documentation."""
        return dict(Counter(str(call["host"]) for call in self.calls))


class EventFile:
    """Reads the events that were appended since the last look; a line still being written waits for the next."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def new(self) -> list[Event]:
        """The events since the last call, in order; none when the file does not exist yet."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [json.loads(line) for line in whole.splitlines() if line.strip()]


def elapsed(seconds: float) -> str:
    """A duration as minutes and seconds, `1:07`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def task_label(event: Event) -> str:
    """How a task is named to people: its role, and its name without the name of its file."""
    name = str(event["name"]).rpartition(" | ")[2]
    role = str(event.get("role") or "").rpartition(".")[2]
    return f"{role}: {name}" if role else name


def show_failure(console: Console, failure: Failure) -> None:
    """Show a failed task in full: its host, its name, and each line of its message as a finding of its own."""
    what = _("unreachable") if failure.unreachable else _("refused") if failure.refused else _("failed")
    head = Text.assemble((failure.host, "bold"), " ", (what, "bold red"), f": {failure.task}")
    console.print(head, soft_wrap=True)
    for line in failure.message.splitlines():
        console.print(Text(f"  {line}"), soft_wrap=True)


class Progress:
    """Shows a run while it goes on; use as a context manager, give it each event and each line of output."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(file=sys.stdout, highlight=False)
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take away what is only there while the run goes on."""

    def event(self, event: Event) -> None:
        """Show one event."""
        if event.get("refused") == TAKE_OVER:
            return
        if event["event"] == "result" and event["status"] in ("failed", "unreachable") and not event["ignored"]:
            failure = Failure(
                event["host"], event["task"], event["msg"], event.get("refused"), event["status"] == "unreachable"
            )
            show_failure(self.console, failure)

    def output(self, line: str) -> None:
        """Show a line that Ansible displayed on purpose, such as pytest's."""
        self.console.print(Text.from_ansi(line), soft_wrap=True)


class PlainProgress(Progress):
    """One line for each task, and one for each host that it changed: for logs and pipes."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__(console)
        self._number = self._total = 0

    def event(self, event: Event) -> None:
        clock = elapsed(time.monotonic() - self._started)
        match event["event"]:
            case "play":
                self._number, self._total = 0, int(event["tasks"])
                hosts = ", ".join(event["hosts"])
                self._line(f"{clock}  {event['name']}: {hosts}")
            case "task":
                self._number += 0 if event["handler"] else 1
                self._total = self._total and max(self._total, self._number)
                of = f" {self._number}/{self._total}" if self._total and not event["handler"] else ""
                if event["action"] != ROLE_VALIDATION:
                    self._line(f"{clock} {of} {task_label(event)}")
            case "result" if event["changed"]:
                self._line("{clock}   {host}: {changed}".format(clock=clock, host=event["host"], changed=_("changed")))
        super().event(event)

    def _line(self, text: str) -> None:
        self.console.print(Text(text), soft_wrap=True)


class BarProgress(Progress):
    """A bar with the current hosts and task and the time elapsed: for a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__(console)
        self._bar = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}", table_column=Column(ratio=3, no_wrap=True, overflow="ellipsis")),
            BarColumn(bar_width=None, table_column=Column(ratio=1)),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            expand=True,
        )
        self._task = self._bar.add_task(_("Starting Ansible"), total=None)
        self._label = ""
        self._working: list[str] = []
        self._begun = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return super().__enter__()

    def close(self) -> None:
        self._bar.stop()

    def event(self, event: Event) -> None:
        match event["event"]:
            case "play":
                self._begun = 0
                self._bar.update(self._task, total=event["tasks"] or None, completed=0)
            case "task":
                if not event["handler"]:
                    total = self._bar.tasks[0].total
                    self._bar.update(self._task, completed=self._begun, total=total and max(total, self._begun + 1))
                    self._begun += 1
                self._label, self._working = task_label(event), []
            case "start":
                self._working.append(event["host"])
            case "result" if event["host"] in self._working:
                self._working.remove(event["host"])
            case "stats":
                self._bar.update(self._task, completed=self._begun)
        if self._label:
            hosts = ", ".join(self._working)
            self._bar.update(self._task, description=f"[bold]{escape(hosts)}[/] {escape(self._label)}".strip())
        super().event(event)


def make_progress(console: Console | None = None) -> Progress:
    """The bar on a terminal, plain lines elsewhere."""
    console = console or Console(file=sys.stdout, highlight=False)
    return BarProgress(console) if console.is_terminal and not console.is_dumb_terminal else PlainProgress(console)
