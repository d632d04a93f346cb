"""One service's files and daemons, brought to their state as one transaction on the host.

Plan, try the staged files with the product's own checker, save the originals, write, compile, check, bring the daemons
to their state, and ask them whether they serve. When any of it is refused, all is put back, and the daemons with it.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils import (
    compiling,
    files,
    health,
    landing,
    members,
    services,
    shadow_files,
    trees,
)
from ansible_collections.valija.mailserver.plugins.module_utils.checking import Refused, must_pass, try_staged
from ansible_collections.valija.mailserver.plugins.module_utils.journal import Journal, aside_of
from ansible_collections.valija.mailserver.plugins.module_utils.owned import Owned
from ansible_collections.valija.mailserver.plugins.module_utils.plan import Plan, loads_of, plan_of, result_of
from ansible_collections.valija.mailserver.plugins.module_utils.request import Request, Tree

# Where originals and the lists of our files are kept on a host.
STATE = Path("/var/lib/valija")
# Where the wanted files are tried before they are written; in memory, for some are secret.
STAGE = Path("/run/valija/stage")

NOW = float("inf")

# How long a daemon that runs may take to answer, before anything is changed.
_ANSWER_SECONDS = 2.0


def configure(
    request: Request, *, check_mode: bool = False, state: Path = STATE, stage: Path = STAGE
) -> dict[str, Any]:
    """Bring everything to its state; the result of the module.

    ``needs`` in the result names the trees that differ and whose archives must be sent: nothing was done then.
    Raises Refused, with what was put back in its text.
    """
    owned, journal = Owned(request.role, state), Journal(request.role, state)
    try:
        plan = plan_of(request, compile_all=journal.left_over)
        pairs = services.read(request.services)
    except (files.Blocked, services.ServiceError) as error:
        raise Refused(str(error)) from error
    steps = services.decide(request.services, pairs, loads_of(request, plan, journal), units_changed=plan.units_changed)
    result = result_of(plan, steps)
    if check_mode:
        if plan.any:
            try_staged(request, stage, check_mode=True)
        return result
    needs = [tree.path for tree in plan.trees if tree.archive is None]
    if needs:
        return {"changed": False, "needs": needs}
    if plan.any or steps.any or steps.daemon_reload or journal.left_over:
        done = _Transaction(request, plan, journal, pairs, owned).run(stage)
        result = {**result_of(Plan(), done), "diff": result["diff"], "paths": result["paths"]}
        result["changed"] = plan.any or done.any
    owned.add([wanted.path for wanted in request.files] + [tree.path for tree in request.trees])
    return result


class _Transaction:
    """One run of `configure` that does something."""

    def __init__(
        self, request: Request, plan: Plan, journal: Journal, pairs: Mapping[str, services.Pair], owned: Owned
    ) -> None:
        self.request, self.plan, self.journal, self.pairs, self.owned = request, plan, journal, pairs, owned
        self.began = time.time()
        self.unproved = plan.needs_proof or journal.left_over
        self.daemons_touched = journal.left_over
        self.answering: list[health.Probe] = []
        self.joined = False
        self.kept = {
            change.wanted.path
            for change in plan.changes
            if files.takes_over(change, owned.paths, os.path.lexists(change.wanted.path + files.KEPT))
            and not journal.was_absent(change.wanted.path)
        }

    def run(self, stage: Path) -> services.Steps:
        """Do it all, or put all back and raise Refused."""
        try:
            if self.unproved:
                try_staged(self.request, stage, check_mode=False)
            self._must_be_possible()
            self._save()
            self.answering = self._answering()
            self._land()
            if self.unproved:
                for check in self.request.checks:
                    must_pass(check, "The new configuration was refused")
            steps = self._serve()
        except (Exception, KeyboardInterrupt) as error:
            foreseen = (
                Refused,
                files.Blocked,
                services.ServiceError,
                shadow_files.LockError,
                trees.BadArchiveError,
                KeyboardInterrupt,
            )
            why = str(error) if isinstance(error, foreseen) else repr(error)
            raise Refused(f"{why}\n{self._put_back()}") from error
        self.journal.discard()
        return steps

    def _must_be_possible(self) -> None:
        """Refuse what would fail half-way: an owner, a member or a unit that is not there, a file in a tree's place."""
        items: list[files.Wanted | Tree] = list(self.plan.trees)
        items += [change.wanted for change in self.plan.changes if change.wanted.state in ("file", "directory")]
        for item in items:
            if files.user_id(item.owner) is None or files.group_id(item.group) is None:
                owner = f"{item.owner}:{item.group}"
                raise Refused(f"{item.path} is to belong to {owner}, and the host has no such user or group.")
        for tree in self.plan.trees:
            kind = files.read(tree.path).kind
            if kind not in ("absent", "directory"):
                raise Refused(f"{tree.path} is a {kind}, and a folder is needed there. Move it away.")
        lacking = members.unknown(self.plan.members)
        if lacking:
            raise Refused(f"The host has no {lacking}. Is its package installed?")
        ours = {Path(wanted.path).name for wanted in self.request.files}
        for service in self.request.services:
            if services.is_absent(service, self.pairs[service.name]) and not {service.unit, service.control} & ours:
                raise Refused(f"The host has no unit {service.unit} for {service.name}. Is its package installed?")

    def _save(self) -> None:
        loading: list[files.Wanted | Tree] = [*(change.wanted for change in self.plan.changes), *self.plan.trees]
        paths = [change.wanted.path for change in self.plan.changes] + self.plan.outputs
        self.journal.open(
            paths + [path + files.KEPT for path in self.kept],
            {tree.path: tree.path not in self.owned.paths for tree in self.plan.trees},
            restarts=[name for item in [*loading, *self.plan.members] for name in item.restarts],
            reloads=[name for item in loading for name in item.reloads],
            services={name: services.former(pair) for name, pair in self.pairs.items()},
        )

    def _answering(self) -> list[health.Probe]:
        """What the former configuration has to answer should it come back: all that it answers now.

        After a killed run that cannot be known, and all is asked.
        """
        if self.journal.left_over:
            return list(self.request.health)
        return [probe for probe in self.request.health if health.attempt(probe, _ANSWER_SECONDS) is None]

    def _land(self) -> None:
        if self.plan.members:
            members.add(self.plan.members)
            self.joined = True
        for tree in self.plan.trees:
            uid, gid = files.user_id(tree.owner), files.group_id(tree.group)
            assert tree.archive is not None and uid is not None and gid is not None
            trees.swap_in(tree.archive, tree.path, tree.digest, uid, gid, tree.ignore, aside_of(tree.path))
        # A compiler reads the configuration, so that it comes first; a table comes before its source, see `compiling`.
        sources = {wanted.path for wanted in self.plan.compiles}
        self._land_files(change for change in self.plan.changes if change.wanted.path not in sources)
        for wanted in self.plan.compiles:
            compiling.compile_aside(wanted)
        self._land_files(change for change in self.plan.changes if change.wanted.path in sources)

    def _land_files(self, changes: Iterable[files.Change]) -> None:
        for change in changes:
            if change.wanted.path in self.kept:
                landing.write_again(change.actual, change.wanted.path + files.KEPT)
            landing.land(change)

    def _serve(self) -> services.Steps:
        """Bring the daemons to their state, and see that they serve."""
        if self.plan.units_changed:
            services.act(services.Steps(daemon_reload=True))
        loads = loads_of(self.request, self.plan, self.journal)
        steps = services.decide(self.request.services, services.read(self.request.services), loads)
        if steps.any or steps.daemon_reload:
            self.daemons_touched = True
            services.act(steps)
        if steps.start or steps.restart or steps.reload or self.journal.left_over:
            problem = self._illness(self.request.services, self.request.health)
            if problem:
                raise Refused(problem)
        return steps

    def _illness(self, wanted: tuple[services.Service, ...], probes: Iterable[health.Probe]) -> str:
        """Why the daemons do not serve as they should; empty when they do."""
        ill = services.not_well(wanted, services.read(wanted))
        if not ill and any(service.started for service in wanted):
            problem = health.wait_until_well(probes)
            ill = [*([problem] if problem else []), *services.not_well(wanted, services.read(wanted))]
        return "\n".join(ill)

    def _put_back(self) -> str:
        """Restore the originals and the daemons; says what was restored, after the last words of the daemons."""
        if not self.journal.opened:
            return "Nothing was changed."
        said = []
        units = [unit for service in self.request.services for unit in (service.unit, service.control)]
        words = services.last_words(units, self.began) if self.daemons_touched else ""
        if words:
            said.append(f"The last lines of the log:\n{words}")
        restored = self.journal.put_back()
        if self.joined:
            members.take_out(self.plan.members)
            restored += sorted({f"members of group {each.group}" for each in self.plan.members})
        said.append(f"The former configuration was put back: {', '.join(restored) or 'no file had changed'}.")
        if self.daemons_touched:
            said.append(self._restore_daemons())
        self.journal.discard()
        return "\n".join(said)

    def _restore_daemons(self) -> str:
        """Start again, with the former files, what was running; stop what was not."""
        before = self.journal.services
        former = tuple(
            dataclasses.replace(
                service, started=before[service.name]["running"], enabled=before[service.name]["enabled"]
            )
            for service in self.request.services
            if service.name in before
        )
        running = ", ".join(service.name for service in former if service.started)
        try:
            services.act(services.Steps(daemon_reload=True))
            loads = {service.name: services.Load(restart=NOW) for service in former}
            services.act(services.decide(former, services.read(former), loads))
            problem = self._illness(former, self.answering)
        except services.ServiceError as error:
            problem = str(error)
        if problem:
            return f"The daemons did NOT come back with it: {problem}"
        return f"Running with it again: {running}." if running else "Nothing was running before, and nothing is now."
