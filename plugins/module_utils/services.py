"""Services under systemd: what they are, what must be done to them, and doing it with few calls of systemctl.

A restart is decided from what the daemon has loaded: a file that changed after its unit last became active has not been
read, whoever changed it and whenever, so a run that was killed before its restart is completed by the next one.
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils.command import run

PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "ActiveEnterTimestamp",
    "StateChangeTimestamp",
    "NeedDaemonReload",
)
# Where unit files and their drop-ins live: a change below needs systemd to read them again.
UNIT_FOLDERS = (
    "/etc/systemd/system/",
    "/run/systemd/system/",
    "/usr/local/lib/systemd/system/",
    "/usr/lib/systemd/system/",
    "/lib/systemd/system/",
)


@dataclass(frozen=True)
class Service:
    """A service as it is to be. ``unit`` tells what runs and since when; ``control`` is what systemctl acts upon."""

    name: str
    unit: str
    control: str
    started: bool = True
    enabled: bool = True


@dataclass(frozen=True)
class Unit:
    """A unit as systemd sees it. The times are seconds since 1970, 0 for never."""

    load: str = "not-found"
    active: str = "inactive"
    sub: str = "dead"
    file_state: str = ""
    active_since: float = 0.0
    changed_at: float = 0.0
    stale: bool = False

    @property
    def running(self) -> bool:
        return self.active in ("active", "reloading", "refreshing")

    @property
    def masked(self) -> bool:
        return self.load == "masked" or self.file_state.startswith("masked")


@dataclass(frozen=True)
class Pair:
    """Both units of a service; often one and the same."""

    unit: Unit
    control: Unit


@dataclass(frozen=True)
class Load:
    """When the files that a service loads last changed: those read at its start, and those read at a reload too."""

    restart: float = 0.0
    reload: float = 0.0


@dataclass(frozen=True)
class Steps:
    """What systemctl must do, by names of control units; ``started`` and ``restarted`` go in one call."""

    unmask: tuple[str, ...] = ()
    daemon_reload: bool = False
    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    reset_failed: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    reload: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        return bool(
            self.unmask or self.enable or self.disable or self.stop or self.start or self.restart or self.reload
        )

    def __str__(self) -> str:
        verbs = ("unmask", "enable", "disable", "stop", "start", "restart", "reload")
        return "".join(f"{verb} {unit}\n" for verb in verbs for unit in getattr(self, verb))


class ServiceError(Exception):
    """A service did not come to its state; the text ends with its last words."""


def service_of(data: Mapping[str, Any]) -> Service:
    """A service from the plain values of a call."""
    unit = _full(data.get("unit") or data["name"])
    return Service(
        name=data["name"],
        unit=unit,
        control=_full(data.get("control") or unit),
        started=(data.get("state") or "started") == "started",
        enabled=data.get("enabled") is not False,
    )


def _full(name: str) -> str:
    return name if name.rpartition(".")[2] in ("service", "socket", "timer", "path", "target") else f"{name}.service"


def parse_time(text: str) -> float:
    """A timestamp of `systemctl show --timestamp=us+utc` (Mon 2026-11-23 05:10:14.974104 UTC); 0 for never."""
    words = text.split()
    if len(words) != 4:
        return 0.0
    clock, _, fraction = words[2].partition(".")
    return calendar.timegm(time.strptime(f"{words[1]} {clock}", "%Y-%m-%d %H:%M:%S")) + float(f"0.{fraction or 0}")


def parse_show(text: str) -> list[Unit]:
    """The blocks of `systemctl show`, in the order in which the units were named."""
    units = []
    for block in text.strip().split("\n\n"):
        found = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if not found:
            continue
        units.append(
            Unit(
                load=found.get("LoadState", ""),
                active=found.get("ActiveState", ""),
                sub=found.get("SubState", ""),
                file_state=found.get("UnitFileState", ""),
                active_since=parse_time(found.get("ActiveEnterTimestamp", "")),
                changed_at=parse_time(found.get("StateChangeTimestamp", "")),
                stale=found.get("NeedDaemonReload") == "yes",
            )
        )
    return units


def read(services: Sequence[Service]) -> dict[str, Pair]:
    """The units of all services, by the services' names, with one call of systemctl."""
    if not services:
        return {}
    names = list(dict.fromkeys(name for service in services for name in (service.unit, service.control)))
    shown = run(["systemctl", "show", "--timestamp=us+utc", f"--property={','.join(PROPERTIES)}", *names])
    units = parse_show(shown.out)
    if len(units) != len(names):
        raise ServiceError(f"systemctl does not answer: {shown.last_words()}. Is systemd running on this host?")
    by_name = dict(zip(names, units, strict=True))
    return {service.name: Pair(by_name[service.unit], by_name[service.control]) for service in services}


def decide(
    services: Iterable[Service], pairs: Mapping[str, Pair], loads: Mapping[str, Load], *, units_changed: bool = False
) -> Steps:
    """What must be done so that every service is in its state and has loaded its files."""
    steps: dict[str, list[str]] = {}

    def add(step: str, service: Service) -> None:
        steps.setdefault(step, []).append(service.control)

    stale = units_changed
    for service in services:
        pair = pairs[service.name]
        load = loads.get(service.name, Load())
        stale = stale or pair.unit.stale or pair.control.stale
        masked = pair.unit.masked or pair.control.masked
        if masked and (service.started or service.enabled):
            add("unmask", service)
        if service.enabled and (masked or pair.control.file_state in ("disabled", "linked")):
            add("enable", service)
        if not service.enabled and pair.control.file_state in ("enabled", "enabled-runtime"):
            add("disable", service)
        if not service.started:
            if pair.unit.running or pair.control.running or pair.unit.active == "activating":
                add("stop", service)
        elif not pair.unit.running:
            if "failed" in (pair.unit.active, pair.control.active) or pair.unit.sub == "auto-restart":
                add("reset_failed", service)
            add("start", service)
        elif load.restart > pair.unit.active_since:
            add("restart", service)
        elif load.reload > pair.unit.changed_at:
            add("reload", service)
    return Steps(daemon_reload=stale, **{name: tuple(dict.fromkeys(found)) for name, found in steps.items()})


def is_absent(service: Service, pair: Pair) -> bool:
    """Whether a service that is to be started or enabled has no unit on the host."""
    return (service.started or service.enabled) and "not-found" in (pair.unit.load, pair.control.load)


def former(pair: Pair) -> dict[str, bool]:
    """What must be known of a service to bring it back to how it was."""
    return {"running": pair.unit.running, "enabled": not pair.control.masked and pair.control.file_state != "disabled"}


def act(steps: Steps) -> None:
    """Do the steps, in the order in which they can work. Raises ServiceError."""
    if steps.unmask:
        _systemctl("unmask", steps.unmask)
        _systemctl("unmask", steps.unmask, "--runtime")
    if steps.daemon_reload or steps.unmask:
        _systemctl("daemon-reload", ())
    if steps.disable:
        _systemctl("disable", steps.disable)
    if steps.enable:
        _systemctl("enable", steps.enable)
    if steps.stop:
        _systemctl("stop", steps.stop)
    if steps.reset_failed:
        run(["systemctl", "reset-failed", *steps.reset_failed])
    if steps.start or steps.restart:
        _systemctl("restart", (*steps.start, *steps.restart))
    if steps.reload:
        _systemctl("reload", steps.reload)


def _systemctl(verb: str, units: tuple[str, ...], *options: str) -> None:
    done = run(["systemctl", "--quiet", verb, *options, *units])
    if not done.ok:
        raise ServiceError(f"systemctl {verb} {' '.join(units)} failed: {done.last_words(4)}")


def not_well(services: Iterable[Service], pairs: Mapping[str, Pair]) -> list[str]:
    """The services that are not in their state, each with what it is instead."""
    return [
        f"{service.name} ({service.unit}) is {pairs[service.name].unit.active}, {pairs[service.name].unit.sub}"
        for service in services
        if pairs[service.name].unit.running != service.started
    ]


def last_words(units: Iterable[str], since: float, lines: int = 15) -> str:
    """The end of the units' journal since a time (seconds since 1970); empty where there is none."""
    options = [option for unit in units for option in ("--unit", unit)]
    said = run(
        ["journalctl", "--no-pager", "--quiet", "--output=cat", f"--lines={lines}", f"--since=@{since:.6f}", *options],
        timeout_seconds=20,
    )
    return said.out.strip() if said.ok else ""
