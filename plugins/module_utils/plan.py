"""What one call of configure has to do: what differs on the host, and what each service has not loaded yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils import files, members, services, trees
from ansible_collections.valija.mailserver.plugins.module_utils.files import Change, Wanted
from ansible_collections.valija.mailserver.plugins.module_utils.journal import Journal
from ansible_collections.valija.mailserver.plugins.module_utils.request import Request, Tree

ABOUT_TO = float("inf")


@dataclass(frozen=True)
class Plan:
    """What differs: changes of files, trees to be replaced, sources to be compiled, members that groups lack."""

    changes: tuple[Change, ...] = ()
    trees: tuple[Tree, ...] = ()
    compiles: tuple[Wanted, ...] = ()
    members: tuple[members.Wanted, ...] = ()

    @property
    def any(self) -> bool:
        return bool(self.changes or self.trees or self.compiles or self.members)

    @property
    def needs_proof(self) -> bool:
        """Whether more changes than tables that no service has to load: those are judged by what compiles them."""
        tables = all(
            change.wanted.compile
            and change.wanted.state == "file"
            and not change.wanted.restarts + change.wanted.reloads
            for change in self.changes
        )
        return bool(not tables or self.trees or self.members)

    @property
    def outputs(self) -> list[str]:
        """The files that compiling makes."""
        return [output for wanted in self.compiles if wanted.compile for output in wanted.compile.outputs]

    @property
    def units_changed(self) -> bool:
        """Whether systemd must read unit files again."""
        return any(change.wanted.path.startswith(services.UNIT_FOLDERS) for change in self.changes)


def plan_of(request: Request, *, compile_all: bool = False) -> Plan:
    """Compare what is wanted with what is on the host. Raises files.Blocked.

    With `compile_all`, after a run that was killed, each table is made anew: it may be of a source that never came.
    """
    changes, compiles = [], []
    for wanted in request.files:
        actual = files.read_for(wanted)
        change = files.decide(wanted, actual, files.user_id(wanted.owner), files.group_id(wanted.group))
        if change:
            changes.append(change)
        if wanted.compile and wanted.state == "file" and (compile_all or change or _outdated(wanted.compile, actual)):
            compiles.append(wanted)
    differing = tuple(tree for tree in request.trees if _differs(tree))
    return Plan(tuple(changes), differing, tuple(compiles), members.missing(request.members))


def _outdated(compiled: files.Compile, source: files.Actual) -> bool:
    outputs = [files.read(path) for path in compiled.outputs]
    return any(output.kind == "absent" or output.modified_at < source.modified_at for output in outputs)


def _differs(tree: Tree) -> bool:
    uid, gid = files.user_id(tree.owner), files.group_id(tree.group)
    if uid is None or gid is None or trees.digest_of_directory(tree.path, tree.ignore) != tree.digest:
        return True
    return not trees.owned_by(tree.path, uid, gid, tree.ignore)


def loads_of(request: Request, plan: Plan, journal: Journal) -> dict[str, services.Load]:
    """For each service, when the files that it loads last changed; ABOUT_TO where one is going to.

    A folder's own times say nothing: they move with every file made in it. What a killed run has removed or replaced
    can't be seen on the files any more; its journal tells.
    """
    changing = {change.wanted.path for change in plan.changes}
    seen: list[tuple[float, Wanted | Tree]] = [(ABOUT_TO, tree) for tree in plan.trees]
    joining = {name for each in plan.members for name in each.restarts}
    for wanted in request.files:
        if wanted.path in changing:
            seen.append((ABOUT_TO, wanted))
        elif wanted.state in ("file", "link") and (wanted.restarts or wanted.reloads):
            seen.append((files.read(wanted.path).changed_at, wanted))
    left = journal.since if journal.left_over else 0.0
    loads = {}
    for service in request.services:
        name = service.name
        restart = [when for when, item in seen if name in item.restarts] + [left] * (name in journal.restarts)
        restart += [ABOUT_TO] * (name in joining)
        reload = [when for when, item in seen if name in item.reloads] + [left] * (name in journal.reloads)
        loads[name] = services.Load(max(restart, default=0.0), max(reload, default=0.0))
    return loads


def result_of(plan: Plan, steps: services.Steps) -> dict[str, Any]:
    """The module's result, for what was done or would be."""
    diff: list[dict[str, str]] = []
    for tree in plan.trees:
        before = trees.digest_of_directory(tree.path, tree.ignore)
        diff.append(
            {
                "before_header": tree.path,
                "after_header": tree.path,
                "before": f"folder, digest {before}\n" if before else "",
                "after": f"folder, digest {tree.digest}, owner {tree.owner}:{tree.group}\n",
            }
        )
    for change in plan.changes:
        diff += files.diff_of(change)
    for each in plan.members:
        name = f"members of group {each.group}"
        diff.append({"before_header": name, "after_header": name, "before": "", "after": f"{each.user}\n"})
    if steps.any:
        diff.append({"before_header": "services", "after_header": "services", "before": "", "after": str(steps)})
    return {
        "changed": plan.any or steps.any,
        "diff": diff,
        "paths": [tree.path for tree in plan.trees] + [change.wanted.path for change in plan.changes] + plan.outputs,
        "restarted": list(steps.restart),
        "reloaded": list(steps.reload),
        "started": list(steps.start),
        "stopped": list(steps.stop),
        "enabled": list(steps.enable),
        "disabled": list(steps.disable),
    }
