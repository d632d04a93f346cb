"""The firewall on the host: what is loaded, new rules with their automatic return, and what outlives a boot.

New rules are loaded first and written to the disk when they are confirmed. Until then a timer of systemd waits to bring
the former ones back; a reboot, or a run that was killed, ends with the former ones too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils import files, landing, services, ssh_ports, survey
from ansible_collections.valija.mailserver.plugins.module_utils.checking import Refused
from ansible_collections.valija.mailserver.plugins.module_utils.command import Done, run
from ansible_collections.valija.mailserver.plugins.module_utils.firewall import (
    FAMILY,
    REMOVE,
    TABLE,
    Opening,
    openings,
    render,
    restoring,
)
from ansible_collections.valija.mailserver.plugins.module_utils.header import header
from ansible_collections.valija.mailserver.plugins.module_utils.owned import Owned
from ansible_collections.valija.mailserver.plugins.module_utils.transaction import STATE

FILE = "/etc/valija/firewall.nft"
UNIT = "valija-firewall.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"

# In memory: a boot forgets that anything waited, and loads what was confirmed last.
FOLDER = Path("/run/valija/firewall")
FORMER = FOLDER / "former.nft"
RETURNED = FOLDER / "returned.nft"
TIMER = "valija-firewall-return"

# After Debian's own unit, whose rules begin with `flush ruleset`; and again whenever that one is loaded again.
UNIT_TEXT = f"""\
{header("firewall")}
[Unit]
Description=Valija's firewall, the table {FAMILY} {TABLE}
Documentation=man:nft(8)
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target
After=local-fs.target nftables.service
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service

[Service]
Type=oneshot
RemainAfterExit=yes
ProtectSystem=full
ProtectHome=true
ExecStart=/usr/sbin/nft -f {FILE}
ExecReload=/usr/sbin/nft -f {FILE}
ExecStop=/usr/sbin/nft "table {FAMILY} {TABLE}; delete table {FAMILY} {TABLE}"

[Install]
WantedBy=sysinit.target
"""

# Ports at which something listens that asks for nothing from outside: DHCP clients are let in by their own rule.
_QUIET_UDP = (68, 546)


@dataclass(frozen=True)
class Asked:
    """What a call asks for. ``listens`` are the roles' declarations; the other ports are as the site writes them."""

    present: bool
    listens: Sequence[Mapping[str, Any]] = ()
    tcp: tuple[str, ...] = ()
    udp: tuple[str, ...] = ()
    ssh: tuple[int, ...] = ()
    return_seconds: int = 60


@dataclass(frozen=True)
class Found:
    """What is wanted and what is there: the file's text, both tables as nft lists them, files, the unit's steps."""

    text: str
    wanted: str
    loaded: str
    changes: tuple[files.Change, ...]
    steps: services.Steps
    shut_out: tuple[str, ...] = ()

    @property
    def waiting(self) -> bool:
        """Whether rules are loaded that nobody has confirmed: another run's, which was killed."""
        return FORMER.exists()

    @property
    def any(self) -> bool:
        return self.loaded != self.wanted or bool(self.changes) or self.steps.any or self.waiting


def _nft(*arguments: str, text: str | None = None) -> Done:
    return run(["nft", *arguments], stdin=text, timeout_seconds=60)


def _listing(*options: str) -> str:
    """Our table as it is loaded; empty when it is not, or when there is no nft."""
    done = _nft(*options, "list", "table", FAMILY, TABLE)
    return done.out if done.ok else ""


def canonical(text: str) -> str:
    """The table as nft would list it if this was loaded: asked in an empty network of its own. Raises Refused."""
    script = f"nft -f - && nft -s -n list table {FAMILY} {TABLE}"
    done = run(["unshare", "--net", "sh", "-c", script], stdin=text, timeout_seconds=60)
    if not done.ok:
        raise Refused(f"nft does not take the firewall's rules, and nothing was changed:\n{done.last_words()}")
    return done.out


def look(asked: Asked, *, check_mode: bool = False) -> Found:
    """Compare what is asked for with the host. Raises Refused."""
    text = wanted = ""
    shut_out: list[str] = []
    if asked.present:
        listeners, _ = survey.listeners()
        opened = openings(asked.listens, {*asked.ssh, *ssh_ports.ports(listeners)}, asked.tcp, asked.udp)
        text = render(opened)
        shut_out = _shut_out(opened)
        try:
            wanted = canonical(text)
        except Refused:
            if not check_mode or _nft("--version").ok:
                raise
            wanted = text  # on a host that has no nft yet
    try:
        changes = tuple(
            change
            for wish in _files(text)
            if (change := files.decide(wish, files.read_for(wish), files.user_id("root"), files.group_id("root")))
        )
        service = _service(asked.present)
        steps = services.decide([service], services.read([service]), {}, units_changed=_unit_changes(changes))
    except (files.Blocked, services.ServiceError) as error:
        raise Refused(str(error)) from error
    return Found(text, wanted, _listing("-s", "-n"), changes, steps, tuple(shut_out))


def _files(text: str) -> tuple[files.Wanted, ...]:
    state = "file" if text else "absent"
    return (
        files.Wanted(FILE, state=state, content=text.encode(), mode=0o644),
        files.Wanted(UNIT_FILE, state=state, content=UNIT_TEXT.encode(), mode=0o644),
    )


def _service(present: bool) -> services.Service:
    return services.Service("valija-firewall", UNIT, UNIT, started=present, enabled=present)


def _unit_changes(changes: Sequence[files.Change]) -> bool:
    return any(change.wanted.path == UNIT_FILE for change in changes)


def _shut_out(opened: Sequence[Opening]) -> list[str]:
    """What listens for the outside and is not let in, `8080/tcp (node, process 123)`, each once."""
    found: dict[tuple[int, str], str] = {}
    for protocol in ("tcp", "udp"):
        for held in survey.listeners(protocol)[0]:
            quiet = held.loopback or (protocol == "udp" and held.port in _QUIET_UDP)
            if quiet or any(opening.lets_in(protocol, held.port) for opening in opened):
                continue
            who = f"{held.program}, process {held.pid}" if held.pid else "a program that cannot be seen"
            found.setdefault((held.port, protocol), f"{held.port}/{protocol} ({who})")
    return [found[key] for key in sorted(found)]


def load(found: Found, return_seconds: int) -> None:
    """Put the new rules in place, with the return armed before. Raises Refused; the former rules stay then."""
    FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not FORMER.exists():  # what waits already is the return to rules that were confirmed
        landing.write_file(str(FORMER), restoring(_listing()).encode(), 0, 0, 0o600)
    _disarm()
    back = f"nft -f {FORMER} && mv {FORMER} {RETURNED}"
    armed = run(
        [
            *("systemd-run", "--quiet", "--collect", f"--unit={TIMER}", f"--on-active={return_seconds}"),
            *("--timer-property=AccuracySec=1s", "--description=Return to the former rules of Valija's firewall"),
            *("/bin/sh", "-c", back),
        ],
        timeout_seconds=60,
    )
    done = _nft("-f", "-", text=found.text) if armed.ok else armed
    if not done.ok:
        _nft("-f", str(FORMER))
        forget()
        raise Refused(f"The firewall's rules cannot be loaded; the former ones stay:\n{done.last_words()}")


def _disarm() -> None:
    run(["systemctl", "--quiet", "stop", f"{TIMER}.timer", f"{TIMER}.service"], timeout_seconds=60)


def forget() -> None:
    """Nothing waits any more."""
    _disarm()
    FORMER.unlink(missing_ok=True)


def confirm(found: Found) -> None:
    """The new rules are good: end the wait, and let them outlive a boot. Raises Refused."""
    _disarm()
    if not FORMER.exists() or _listing("-s", "-n") != found.wanted:  # the timer may have come first
        with contextlib.suppress(FileNotFoundError):
            _nft("-f", str(FORMER))
            FORMER.unlink()
        RETURNED.unlink(missing_ok=True)
        raise Refused(
            "The new rules of the firewall were not confirmed in time, so the former ones came back by themselves."
        )
    try:
        persist(found)
    except BaseException:
        _nft("-f", str(FORMER))
        raise
    finally:
        forget()


def persist(found: Found) -> None:
    """Write the file and the unit, and have the unit on. Raises Refused."""
    try:
        for change in found.changes:
            landing.land(change)
        Owned("firewall", STATE).add([FILE, UNIT_FILE])
        services.act(services.Steps(daemon_reload=_unit_changes(found.changes)))
        service = _service(True)
        services.act(services.decide([service], services.read([service]), {}))
    except (files.Blocked, services.ServiceError, OSError) as error:
        raise Refused(f"The firewall's rules cannot be kept for the next boot: {error}") from error


def remove(found: Found) -> None:
    """Take the table, the unit and the files away. Raises Refused."""
    forget()
    RETURNED.unlink(missing_ok=True)
    try:
        services.act(found.steps)
        for change in found.changes:
            landing.land(change)
        services.act(services.Steps(daemon_reload=_unit_changes(found.changes)))
    except (files.Blocked, services.ServiceError, OSError) as error:
        raise Refused(f"The firewall cannot be taken away: {error}") from error
    if _listing():
        done = _nft("-f", "-", text=REMOVE)
        if not done.ok:
            raise Refused(f"The firewall cannot be taken away: {done.last_words()}")


def notes() -> list[str]:
    """What an earlier run has left to be told, once."""
    if not RETURNED.exists():
        return []
    RETURNED.unlink()
    return ["the firewall's rules of an earlier run were never confirmed; the former ones had come back by themselves"]


def result_of(found: Found) -> dict[str, Any]:
    """The module's result, for what was done or would be."""
    diff = [entry for change in found.changes for entry in files.diff_of(change)]
    written = any(change.wanted.path == FILE for change in found.changes)
    if found.loaded != found.wanted and not written:
        what = f"table {FAMILY} {TABLE}, as loaded"
        diff.append({"before_header": what, "after_header": what, "before": found.loaded, "after": found.wanted})
    if found.steps.any:
        diff.append({"before_header": "services", "after_header": "services", "before": "", "after": str(found.steps)})
    if found.any and found.shut_out:
        what = "listening, and not let in"
        lines = "".join(f"{line}\n" for line in found.shut_out)
        diff.append({"before_header": what, "after_header": what, "before": "", "after": lines})
    return {
        "changed": found.any,
        "diff": diff,
        "paths": [change.wanted.path for change in found.changes],
        "not_let_in": list(found.shut_out),
    }
