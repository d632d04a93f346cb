"""A lab remembers what it is, privately, and its names are its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from valija.errors import InputError
from valija.lab.hosts import cgroup_mount
from valija.lab.lab import Lab, list_labs
from valija.lab.releases import find
from valija.lab.state import Place, Record, hosts_of

HYBRID = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
UNIFIED = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n"


@pytest.fixture(autouse=True)
def state_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_what_is_written_is_read_back_and_nobody_else_can_read_it() -> None:
    place = Place("unit")
    record = Record(slot=2, releases=["debian-12"], passwords={"alice": "secret"})
    place.write(record)
    assert place.read() == record
    assert (place.directory / "lab.json").stat().st_mode & 0o777 == 0o600
    assert [lab.name for lab in list_labs()] == ["unit"]


def test_a_lab_that_was_never_up_has_no_hosts() -> None:
    lab = Lab.load("unit")
    assert lab.hosts == []
    with pytest.raises(InputError, match="valija lab up unit"):
        _ = lab.slot


def test_a_record_of_a_later_version_is_read_as_far_as_it_is_known() -> None:
    place = Place("unit")
    place.write(Record(slot=1))
    path = place.directory / "lab.json"
    path.write_text(path.read_text().replace('"slot"', '"colour": "red", "slot"'))
    assert place.read().slot == 1


@pytest.mark.parametrize("name", ["", "Lab", "a b", "-x", "a" * 41, "../up", "a_b"])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    with pytest.raises(InputError):
        Lab.load(name)


def test_labs_of_one_name_in_two_state_folders_share_no_container(monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for folder in ("one", "two"):
        monkeypatch.setenv("XDG_STATE_HOME", f"/nowhere/{folder}")
        names.add(hosts_of(Place("unit"), Record(slot=0, releases=["debian-13"]))[0].container)
    assert len(names) == 2


@pytest.mark.parametrize("wanted", [["debian-11"], ["debian-13", "debian-13"]])
def test_a_release_that_is_unknown_or_repeated_is_refused(wanted: list[str]) -> None:
    with pytest.raises(InputError):
        find(wanted)


@pytest.mark.parametrize(("mounts", "place"), [(HYBRID, "/sys/fs/cgroup/unified"), (UNIFIED, "/sys/fs/cgroup")])
def test_control_groups_are_found_on_hybrid_and_unified_machines(mounts: str, place: str) -> None:
    assert cgroup_mount(mounts) == place
