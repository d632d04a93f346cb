"""What systemctl must do is decided from what runs and from what it has loaded."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import services
from ansible_collections.valija.mailserver.plugins.module_utils.command import Done
from ansible_collections.valija.mailserver.plugins.module_utils.services import Load, Pair, Service, Steps, Unit

# systemctl show of systemd 252 on Debian 12, where postfix.service has exited and postfix@-.service is the daemon.
SHOWN = """\
Id=postfix.service
LoadState=loaded
ActiveState=active
SubState=exited
UnitFileState=enabled
StateChangeTimestamp=Mon 2026-11-23 05:10:14.974104 UTC
ActiveEnterTimestamp=Mon 2026-11-23 05:10:14.974104 UTC
NeedDaemonReload=no

Id=postfix@-.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled-runtime
StateChangeTimestamp=Mon 2026-11-23 05:10:15.966187 UTC
ActiveEnterTimestamp=Mon 2026-11-23 05:10:14.966187 UTC
NeedDaemonReload=yes

Id=nix.service
LoadState=not-found
ActiveState=inactive
SubState=dead
UnitFileState=
StateChangeTimestamp=
ActiveEnterTimestamp=
NeedDaemonReload=no
"""

UP = Unit("loaded", "active", "running", "enabled", active_since=100.0, changed_at=150.0)
DOWN = dataclasses.replace(UP, active="inactive", sub="dead")
POP = Service("pop", "pop.service", "pop.service")


def pair(unit: Unit, control: Unit | None = None) -> Pair:
    return Pair(unit, control or unit)


def test_units_are_read_with_their_times() -> None:
    control, unit, unknown = services.parse_show(SHOWN)
    assert control.running and control.sub == "exited"
    assert unit.stale and unit.changed_at - unit.active_since == pytest.approx(1.0)
    assert unit.active_since == pytest.approx(1795410614.966187, abs=1e-6)
    assert unknown == Unit("not-found", "inactive", "dead")


DECISIONS: list[tuple[str, Service, Pair, Load, Steps]] = [
    ("all is well", POP, pair(UP), Load(99, 149), Steps()),
    ("it has not loaded a file", POP, pair(UP), Load(restart=101), Steps(restart=("pop.service",))),
    ("a reload will do", POP, pair(UP), Load(99, 151), Steps(reload=("pop.service",))),
    ("reloaded since", POP, pair(UP), Load(99, 120), Steps()),
    ("a restart makes the reload needless", POP, pair(UP), Load(101, 151), Steps(restart=("pop.service",))),
    ("stopped by hand", POP, pair(DOWN), Load(), Steps(start=("pop.service",))),
    (
        "stopped, with new files: the start loads them",
        POP,
        pair(DOWN),
        Load(restart=services.parse_time("") + 200),
        Steps(start=("pop.service",)),
    ),
    (
        "failed",
        POP,
        pair(dataclasses.replace(UP, active="failed", sub="failed")),
        Load(),
        Steps(start=("pop.service",), reset_failed=("pop.service",)),
    ),
    (
        "crashing again and again",
        POP,
        pair(dataclasses.replace(UP, active="activating", sub="auto-restart")),
        Load(),
        Steps(start=("pop.service",), reset_failed=("pop.service",)),
    ),
    (
        "disabled by hand",
        POP,
        pair(dataclasses.replace(UP, file_state="disabled")),
        Load(),
        Steps(enable=("pop.service",)),
    ),
    (
        "masked by hand",
        POP,
        pair(dataclasses.replace(DOWN, load="masked", file_state="masked")),
        Load(),
        Steps(unmask=("pop.service",), enable=("pop.service",), start=("pop.service",)),
    ),
    (
        "not to run",
        dataclasses.replace(POP, started=False, enabled=False),
        pair(UP),
        Load(),
        Steps(stop=("pop.service",), disable=("pop.service",)),
    ),
    (
        "not to run, and does not",
        dataclasses.replace(POP, started=False, enabled=False),
        pair(dataclasses.replace(DOWN, file_state="masked")),
        Load(),
        Steps(),
    ),
    (
        "the daemon died behind a unit that has exited",
        Service("postfix", "postfix@-.service", "postfix.service"),
        pair(DOWN, dataclasses.replace(UP, sub="exited")),
        Load(),
        Steps(start=("postfix.service",)),
    ),
    ("a drop-in is new", POP, pair(dataclasses.replace(UP, stale=True)), Load(), Steps(daemon_reload=True)),
]


@pytest.mark.parametrize(
    ("service", "state", "load", "expected"), [case[1:] for case in DECISIONS], ids=[case[0] for case in DECISIONS]
)
def test_the_steps_follow_from_the_state(service: Service, state: Pair, load: Load, expected: Steps) -> None:
    assert services.decide([service], {service.name: state}, {service.name: load}) == expected


def test_services_are_restarted_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []

    def record(argv: list[str], **_: object) -> Done:
        calls.append(list(argv))
        return Done(tuple(argv), 0, "", "")

    monkeypatch.setattr(services, "run", record)
    services.act(Steps(start=("a.service",), restart=("b.service", "c.service"), reload=("d.service",)))
    assert calls == [
        ["systemctl", "--quiet", "restart", "a.service", "b.service", "c.service"],
        ["systemctl", "--quiet", "reload", "d.service"],
    ]


def test_a_service_without_a_unit_is_noticed() -> None:
    assert services.is_absent(POP, pair(Unit()))
    assert not services.is_absent(dataclasses.replace(POP, started=False, enabled=False), pair(Unit()))


def test_plain_names_become_units() -> None:
    assert services.service_of({"name": "apache2"}) == Service("apache2", "apache2.service", "apache2.service")
    socket = services.service_of({"name": "x", "unit": "x.socket", "state": "stopped", "enabled": False})
    assert socket == Service("x", "x.socket", "x.socket", started=False, enabled=False)
