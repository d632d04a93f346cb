"""Progress from recorded event files: what a terminal and a log show, and what is kept."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from valija import differences
from valija.progress import BarProgress, EventFile, PlainProgress, Progress, Record, elapsed, make_progress, task_label

DATA = Path(__file__).parent / "data" / "events"


def played(name: str) -> Record:
    record = Record()
    for event in EventFile(DATA / name).new():
        record.take(event)
    return record


def plain(name: str) -> str:
    out = io.StringIO()
    with PlainProgress(Console(file=out, width=60, highlight=False)) as progress:
        for event in EventFile(DATA / name).new():
            progress.event(event)
    return out.getvalue()


def test_a_log_has_a_line_for_each_task_and_each_change() -> None:
    assert plain("applied.jsonl").splitlines() == [
        "0:00  Build the mail server: debian-13, debian-12",
        "0:00  1/3 Validate the inventory, look at the host, install the packages",
        "0:00   debian-13: changed",
        "0:00  2/3 postfix: Bring Postfix to its configuration",
        "0:00   debian-13: changed",
        "0:00  3/3 Let go of the host's lock",
    ]


def test_a_failure_shows_host_task_and_every_finding_on_a_line_of_its_own() -> None:
    assert plain("refused.jsonl").splitlines()[2:] == [
        "debian-13 refused: Validate the inventory, look at the host, install the packages",
        "  group_vars/all/mail.yml:3: mail_domain: holds a space: 'example org'. Write one, as example.org.",
        "  group_vars/all/mail.yml:9: mail_acounts: is not known. Did you mean mail_accounts?",
    ]


def test_a_terminal_shows_the_current_host_and_task() -> None:
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=True, color_system=None, _environ={})
    with BarProgress(console) as progress:
        for event in EventFile(DATA / "applied.jsonl").new()[:6]:
            progress.event(event)
        description = progress._bar.tasks[0].description
        assert (progress._bar.tasks[0].completed, progress._bar.tasks[0].total) == (1, 3)
    assert description == "[bold]debian-13[/] postfix: Bring Postfix to its configuration"
    assert "1/3" in out.getvalue()


def test_names_of_hosts_and_tasks_are_no_markup() -> None:
    with BarProgress(Console(file=io.StringIO(), force_terminal=True, _environ={})) as progress:
        progress.event({"event": "task", "name": "Read [/etc/x]", "role": None, "handler": False})
        progress._bar.refresh()


@pytest.mark.parametrize(("terminal", "kind"), [(True, BarProgress), (False, PlainProgress)])
def test_the_bar_is_for_terminals(terminal: bool, kind: type[Progress]) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal, _environ={"TERM": "xterm"})
    assert type(make_progress(console)) is kind


def test_a_record_keeps_tallies_failures_and_remote_calls() -> None:
    record = played("applied.jsonl")
    assert record.hosts == ["debian-13", "debian-12"]
    assert record.tallies["debian-13"] == {"ok": 3, "changed": 2}
    assert record.remote_calls() == {"debian-13": 4, "debian-12": 3}
    assert record.changed == 2
    assert record.finished
    assert not record.failures


def test_an_ignored_failure_is_none() -> None:
    event = {"event": "result", "host": "h", "task": "t", "status": "failed", "changed": False, "ignored": True}
    record = Record()
    record.take({**event, "msg": "m"})
    assert not record.failures


def test_an_event_that_is_still_being_written_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "events"
    events = EventFile(path)
    assert events.new() == []
    path.write_text('{"event": "no_hosts"}\n{"event": "st')
    assert events.new() == [{"event": "no_hosts"}]
    with path.open("a") as file:
        file.write('ats"}\n')
    assert events.new() == [{"event": "stats"}]


def test_durations_and_tasks_are_short() -> None:
    assert elapsed(67.9) == "1:07"
    assert task_label({"name": "configure | Write main.cf", "role": "valija.mailserver.postfix"}) == (
        "postfix: Write main.cf"
    )


def test_differences_are_unified_and_name_the_file() -> None:
    out = io.StringIO()
    for event in played("planned.jsonl").diffs:
        differences.show(Console(file=out, width=40, highlight=False), event)
    assert out.getvalue().splitlines() == [
        "debian-13 /etc/postfix/main.cf",
        "  @@ -1,3 +1,3 @@",
        "   # Managed by Valija, role postfix: changes made here are lost.",
        "  -inet_protocols = ipv4",
        "  +inet_protocols = all",
        "   home_mailbox = Maildir/",
        "",
        "debian-13 /etc/courier/imapd (new)",
        "  @@ -0,0 +1 @@",
        "  +PORT=143",
        "",
        "debian-13 packages",
        "  install postfix",
        "",
    ]
