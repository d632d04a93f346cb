"""From a bare host to a proved server, with the calls counted; then again, with nothing changed."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import SERVICE_ROLES, LabSite, summary_of

RELEASES = ["debian-13", "debian-12"]
IMAGE = "bare"


@pytest.fixture(scope="module")
def planned(lab: LabSite) -> dict[str, list[str]]:
    """What `valija plan` said of the bare hosts: the changed tasks of each host. Nothing may have been touched."""
    for host in lab.hosts:
        host.mark()
    run = lab.valija("plan", "--json")
    assert run.code == 0, run.output
    for host in lab.hosts:
        assert host.touched() == [], "a plan must not touch the host"
        assert host.sh("dpkg -l postfix 2>/dev/null | grep -c ^ii || true") == "0"
    return {name: sorted(host["changed_tasks"]) for name, host in summary_of(run)["hosts"].items()}


@pytest.fixture(scope="module")
def applied(lab: LabSite, planned: dict[str, list[str]]) -> dict[str, Any]:
    """What the first `valija apply` said of the hosts."""
    run = lab.valija("apply", "--json")
    assert run.code == 0, run.output
    return summary_of(run)


def test_what_was_planned_is_what_changed(planned: dict[str, list[str]], applied: dict[str, Any]) -> None:
    assert {name: sorted(host["changed_tasks"]) for name, host in applied["hosts"].items()} == planned


def test_a_first_converge_keeps_to_its_budget_of_remote_calls(applied: dict[str, Any]) -> None:
    budget = 8 + 3 * SERVICE_ROLES
    assert {name: calls for name, calls in applied["remote_calls"].items() if calls > budget} == {}


def test_every_conversation_is_green(lab: LabSite, applied: object) -> None:
    run = lab.valija("prove", "--tier", "full", "--json")
    assert run.code == 0, run.output
    summary = summary_of(run)
    assert summary["summary"]["failed"] == 0
    assert summary["summary"]["passed"] > 100


def test_a_second_run_changes_nothing_and_restarts_nothing(lab: LabSite, applied: object) -> None:
    before = [host.starts() for host in lab.hosts]
    run = lab.valija("apply", "--json")
    assert run.code == 0, run.output
    again = summary_of(run)
    assert {name: host["changed_tasks"] for name, host in again["hosts"].items()} == {
        host.name: [] for host in lab.hosts
    }
    assert {name: calls for name, calls in again["remote_calls"].items() if calls > 4 + SERVICE_ROLES} == {}
    assert [host.starts() for host in lab.hosts] == before


def test_a_plan_of_a_converged_host_is_empty(lab: LabSite, applied: object) -> None:
    run = lab.valija("plan", "--json")
    assert run.code == 0, run.output
    assert summary_of(run)["changed"] == 0


def test_accounts_files_pass_the_systems_own_checkers(lab: LabSite, applied: object) -> None:
    for host in lab.hosts:
        host.sh("pwck -r -q && grpck -r")


def test_the_configuration_that_a_package_shipped_is_kept_beside_ours(lab: LabSite, applied: object) -> None:
    for host in lab.hosts:
        kept = host.sh("find /etc -name '*.before-valija' | sort").splitlines()
        assert "/etc/courier/imapd.before-valija" in kept
        assert "/etc/apache2/ports.conf.before-valija" in kept
