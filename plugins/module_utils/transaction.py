"""One service's files and daemons, brought to their state as one transaction on the host.

Plan, try the staged files with the product's own checker, save the originals, write, compile, check, bring the daemons to
their state, and ask them whether they serve. When anything of it is refused, everything is put back and the daemons with it.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils import files, health, services, trees
from ansible_collections.valija.mailserver.plugins.module_utils.command import run
from ansible_collections.valija.mailserver.plugins.module_utils.journal import Journal, aside_of
from ansible_collections.valija.mailserver.plugins.module_utils.owned import Owned
from ansible_collections.valija.mailserver.plugins.module_utils.plan import Plan, loads_of, plan_of, result_of
from ansible_collections.valija.mailserver.plugins.module_utils.request import Check, Request, Tree

STAGE = "{stage}"


class Refused(Exception):  # noqa: N818 - a verdict, not an error of ours
    """The product, or the host, does not take what is wanted; the text holds its own words, and what was put back."""


def configure(request: Request, *, check_mode: bool = False) -> dict[str, Any]:
    """Bring everything to its state; the result of the module.

    ``needs`` in the result names the trees that differ and whose archives must be sent: nothing was done then.
    Raises Refused after everything was put back.
    """
    owned, journal = Owned(request.role), Journal(request.role)
    try:
        plan = plan_of(request)
        pairs = services.read(request.services)
    except (files.Blocked, services.ServiceError) as error:
        raise Refused(str(error)) from error
    steps = services.decide(request.services, pairs, loads_of(request, plan, journal), units_changed=plan.units_changed)
    result = result_of(plan, steps)
    if check_mode:
        if plan.any:
            _try_staged(request, check_mode=True)
        return result
    needs = [tree.path for tree in plan.trees if tree.archive is None]
    if needs:
        return {"changed": False, "needs": needs}
    if plan.any or steps.any or journal.left_over:
        done = _Transaction(request, plan, journal, pairs, owned).run()
        result = {**result_of(Plan(), done), "diff": result["diff"], "paths": result["paths"]}
        result["changed"] = plan.any or done.any
    owned.add(wanted.path for wanted in request.files)
    return result


class _Transaction:
    """One run of `configure` that does something."""

    def __init__(
        self, request: Request, plan: Plan, journal: Journal, pairs: Mapping[str, services.Pair], owned: Owned
    ) -> None:
        self.request, self.plan, self.journal, self.pairs = request, plan, journal, pairs
        self.began = time.time()
        self.unproved = plan.any or journal.left_over
        self.daemons_touched = journal.left_over
        self.kept = [
            change.wanted.path
            for change in plan.changes
            if files.takes_over(change, owned.paths, os.path.lexists(change.wanted.path + files.KEPT))
            and not journal.was_absent(change.wanted.path)
        ]

    def run(self) -> services.Steps:
        """Do it all, or put all back and raise Refused."""
        try:
            if self.unproved:
                _try_staged(self.request, check_mode=False)
            self._must_be_possible()
            self._save()
            self._land()
            if self.unproved:
                for check in self.request.checks:
                    _must_pass(check, "The new configuration was refused")
            steps = self._serve()
        except (Refused, files.Blocked, services.ServiceError, trees.BadArchive, OSError, KeyboardInterrupt) as error:
            raise Refused(f"{error or 'Interrupted.'}\n{self._put_back()}") from error
        self.journal.discard()
        return steps

    def _must_be_possible(self) -> None:
        """Refuse what would fail half-way: an owner, or a unit, that is not on the host."""
        items: list[files.Wanted | Tree] = list(self.plan.trees)
        items += [change.wanted for change in self.plan.changes if change.wanted.state in ("file", "directory")]
        for item in items:
            if files.user_id(item.owner) is None or files.group_id(item.group) is None:
                raise Refused(
                    f"{item.path} is to belong to {item.owner}:{item.group}, and the host has no such user or group."
                )
        ours = {Path(wanted.path).name for wanted in self.request.files}
        for service in self.request.services:
            if service.name in services.absent([service], self.pairs) and not {service.unit, service.control} & ours:
                raise Refused(f"The host has no unit {service.unit} for {service.name}. Is its package installed?")

    def _save(self) -> None:
        loading: list[files.Wanted | Tree] = [*(change.wanted for change in self.plan.changes), *self.plan.trees]
        self.journal.open(
            [change.wanted.path for change in self.plan.changes]
            + [path + files.KEPT for path in self.kept]
            + self.plan.outputs,
            [tree.path for tree in self.plan.trees],
            restarts=[name for item in loading for name in item.restarts],
            reloads=[name for item in loading for name in item.reloads],
            services={
                name: {
                    "running": pair.unit.running,
                    "enabled": not pair.control.masked and pair.control.file_state != "disabled",
                }
                for name, pair in self.pairs.items()
            },
        )

    def _land(self) -> None:
        for tree in self.plan.trees:
            _land_tree(tree)
        for change in self.plan.changes:
            if change.wanted.path in self.kept:
                _keep(change.actual, change.wanted.path + files.KEPT)
            files.land(change)
        for wanted in self.plan.compiles:
            assert wanted.compile
            _must_pass(Check(wanted.compile.command), f"{wanted.path} cannot be compiled")

    def _serve(self) -> services.Steps:
        """Bring the daemons to their state, and see that they serve."""
        if self.plan.units_changed:
            services.act(services.Steps(daemon_reload=True))
        pairs = services.read(self.request.services)
        loads = loads_of(self.request, Plan(), self.journal)
        for name, load in loads_of(self.request, self.plan, self.journal).items():
            loads[name] = services.Load(max(load.restart, loads[name].restart), max(load.reload, loads[name].reload))
        steps = services.decide(self.request.services, pairs, loads)
        if steps.any or steps.daemon_reload:
            self.daemons_touched = True
            services.act(steps)
        if steps.start or steps.restart or steps.reload or self.journal.left_over:
            problem = health.wait_until_well(list(self.request.health))
            ill = services.not_well(self.request.services, services.read(self.request.services))
            if problem or ill:
                raise Refused("\n".join([*([problem] if problem else []), *ill]))
        return steps

    def _put_back(self) -> str:
        """Restore the originals and the daemons; one sentence for each, with the daemons' last words first."""
        if not self.journal.opened:
            return "Nothing was changed."
        said = []
        if self.daemons_touched:
            words = services.last_words(
                [unit for service in self.request.services for unit in (service.unit, service.control)], self.began
            )
            if words:
                said.append(f"The last lines of its log:\n{words}")
        restored = self.journal.put_back()
        said.append(f"The former configuration was put back ({', '.join(restored) or 'no file had changed'}).")
        if self.daemons_touched:
            said.append(self._restore_daemons())
        self.journal.discard()
        return "\n".join(said)

    def _restore_daemons(self) -> str:
        """Start again, with the former files, what was running; stop what was not."""
        before = self.journal.services
        former = [
            dataclasses.replace(
                service, started=before[service.name]["running"], enabled=before[service.name]["enabled"]
            )
            for service in self.request.services
            if service.name in before
        ]
        try:
            services.act(services.Steps(daemon_reload=True))
            loads = {service.name: services.Load(restart=float("inf")) for service in former}
            services.act(services.decide(former, services.read(former), loads))
            problem = ""
            if any(service.started for service in former):
                problem = health.wait_until_well(list(self.request.health)) or ""
            ill = services.not_well(former, services.read(former))
        except services.ServiceError as error:
            return f"The daemons did NOT come back with it: {error}"
        if ill or problem:
            return f"The daemons did NOT come back with it: {'; '.join([*ill, problem])}"
        running = [service.name for service in former if service.started]
        return f"{', '.join(running)} runs with it again." if running else "It was not running before, and is not now."


def _must_pass(check: Check, what: str, stage: str = "") -> None:
    done = run([word.replace(STAGE, stage) for word in check.command], timeout_seconds=120)
    if not done.ok or (check.fails_on and re.search(check.fails_on, done.err, re.MULTILINE)):
        words = done.last_words()
        raise Refused(f"{what}: {' '.join(check.command)}\n{words.replace(stage, '') if stage else words}")


def _try_staged(request: Request, *, check_mode: bool) -> None:
    """Write the wanted files to a folder of their own, and let the product's checkers read them there."""
    if not request.stage_checks:
        return
    stage = tempfile.mkdtemp(prefix="valija-stage-")
    try:
        for wanted in request.files:
            path = stage + wanted.path
            if wanted.state == "absent":
                continue
            os.makedirs(path if wanted.state == "directory" else os.path.dirname(path), exist_ok=True)
            if wanted.state == "link":
                os.symlink(wanted.target, path)
            elif wanted.state == "file":
                uid, gid = files.user_id(wanted.owner), files.group_id(wanted.group)
                files.write_file(path, wanted.content, uid or 0, gid or 0, wanted.mode)
        for check in request.stage_checks:
            if check_mode and shutil.which(check.command[0]) is None:
                continue  # its package is not there yet
            _must_pass(check, "The new files were refused before they were written", stage)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _keep(actual: files.Actual, path: str) -> None:
    """Keep somebody else's file beside ours."""
    if actual.kind == "link":
        files.write_link(path, actual.target)
    else:
        files.write_file(path, actual.content, actual.uid, actual.gid, actual.mode)


def _land_tree(tree: Tree) -> None:
    """Unpack a tree beside its place, and swap it in; our files that stand in the old one move along."""
    uid, gid = files.user_id(tree.owner), files.group_id(tree.group)
    assert tree.archive is not None and uid is not None and gid is not None
    new, aside = f"{Path(tree.path).parent}/.{Path(tree.path).name}.valija-new", aside_of(tree.path)
    for parent in files.missing_parents(tree.path):
        os.mkdir(parent, 0o755)
    trees.unpack(tree.archive, new, uid, gid)
    if trees.digest_of_directory(new) != tree.digest:
        shutil.rmtree(new)
        raise trees.BadArchive(f"The archive for {tree.path} does not have the digest {tree.digest}.")
    for name in sorted(tree.ignore):
        actual = files.read(os.path.join(tree.path, name))
        if actual.kind == "file":
            copy = os.path.join(new, name)
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            files.write_file(copy, actual.content, actual.uid, actual.gid, actual.mode)
    os.sync()
    if Path(tree.path).is_dir() and not Path(tree.path).is_symlink():
        if Path(aside).is_dir():
            shutil.rmtree(tree.path)
        else:
            os.rename(tree.path, aside)
    os.rename(new, tree.path)
