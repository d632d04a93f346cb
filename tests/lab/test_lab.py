"""The lab itself: what `up` promises after an interruption, and what `down` leaves alone.

Without mail: hosts from the bare image, in a state folder of their own.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from valija.lab import Lab, images
from valija.lab.addresses import DEAD, STRANGERS
from valija.lab.engine import MAKER_LABEL, attempt, docker, exists, labelled, remove_containers
from valija.lab.hosts import run
from valija.lab.images import BUILDER, REPOSITORY

VALIJA = Path(sys.executable).with_name("valija")


@pytest.fixture(scope="module", autouse=True)
def state_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="module")
def lab(state_of_its_own: None) -> Iterator[Lab]:
    found = Lab.load("unit-lab")
    try:
        found.up(["debian-13"], "bare")
        yield found
    finally:
        found.down()


def ids(lab: Lab) -> set[str]:
    return {docker("inspect", "--format", "{{.Id}}", name) for name in labelled("container", lab.place.labels)}


def ssh(lab: Lab, line: str) -> str:
    """Run a line on the host as a stranger to the lab's code would: with the key and the known hosts of the site."""
    place = lab.place
    options = ["-i", str(place.key), "-o", f"UserKnownHostsFile={place.known_hosts}", "-o", "BatchMode=yes"]
    command = ["ssh", *options, "-o", "StrictHostKeyChecking=yes", f"root@{lab.hosts[0].ipv4}", line]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_second_up_makes_nothing_anew(lab: Lab) -> None:
    before = ids(lab)
    lab.up()
    assert len(before) == 2
    assert ids(lab) == before


@pytest.mark.parametrize("seconds", [0.4, 0.8, 1.2, 1.8])
def test_an_up_that_was_killed_is_repaired_by_the_next(lab: Lab, seconds: float) -> None:
    for name in labelled("container", lab.place.labels):
        docker("rm", "--force", name)
    process = subprocess.Popen([VALIJA, "lab", "up", lab.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    lab.up()
    assert ssh(lab, "hostname -f") == "mail.example.test"


def test_a_host_that_was_stopped_is_started_with_what_it_had(lab: Lab) -> None:
    ssh(lab, "touch /root/mark")
    docker("stop", lab.hosts[0].container)
    lab.up()
    assert ssh(lab, "ls /root/mark") == "/root/mark"


def test_the_sandbox_of_a_unit_holds_on_a_host(lab: Lab) -> None:
    answer = ssh(lab, "systemd-run -q --wait -p ProtectSystem=strict touch /usr/mark; echo $?; ls /usr")
    assert answer.startswith("1\n")
    assert "mark" not in answer


def test_names_resolve_as_on_the_internet(lab: Lab) -> None:
    host, slot = lab.hosts[0], lab.slot
    for name, addresses in (
        ("mail.example.test", (host.ipv4, host.ipv6)),
        ("dead.fallback.test", (slot.ipv4(DEAD), slot.ipv6(DEAD))),
        (f"s{STRANGERS[0]}.client.test", (slot.ipv4(STRANGERS[0]), slot.ipv6(STRANGERS[0]))),
    ):
        for database, address in zip(("ahostsv4", "ahostsv6"), addresses, strict=True):
            assert ssh(lab, f"getent {database} {name} | head -n1").split()[0] == address
            assert ssh(lab, f"getent hosts {address}").split()[1] == name


def test_a_mail_host_can_verify_the_peer(lab: Lab) -> None:
    name = "mx1.remote.test"
    line = f"openssl s_client -starttls smtp -verify_return_error -verify_hostname {name} -connect {name}:587"
    assert "Verify return code: 0 (ok)" in ssh(lab, f"echo QUIT | {line} 2>&1")


def test_two_labs_of_one_name_live_side_by_side_and_down_takes_one(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("XDG_STATE_HOME", str(tmp_path))
        other = Lab.load(lab.name)
        try:
            other.up(["debian-13"], "bare", with_peer=False)
            assert other.slot != lab.slot
            assert len(ids(other)) == 1
        finally:
            other.down()
        assert ids(other) == set()
        assert not other.place.directory.exists()
    assert lab.is_running()
    assert run(lab.hosts[0].container, "hostname -f") == "mail.example.test"


def test_down_takes_the_images_that_the_lab_made_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    lab, other = Lab.load("unit-images"), Lab.load("unit-images-other")
    made, others = f"{REPOSITORY}/unit:mine", f"{REPOSITORY}/unit:others"
    base, derived = f"{REPOSITORY}/unit:base-{lab.place.identity}", "valija-stranger:derived"
    builder, namesake = f"{BUILDER}{lab.place.identity}-unit", f"{BUILDER}{other.place.identity}-unit"
    known, containers = {made, others, base, derived}, {builder, namesake, "valija-stranger-derived"}
    for image, maker in ((made, lab), (others, other), (base, None), (derived, lab)):
        label = f"LABEL {MAKER_LABEL}={maker.place.identity if maker else ''}"
        docker("import", f"--change={label}", '--change=CMD ["/true"]', "-", image, stdin=bytes(1024))
    try:
        for container in containers:
            docker("create", "--name", container, derived)
        for file in ("bootstrap/root.tar", "logs/build.log", "squirrelmail.tar"):
            (tmp_path / "valija" / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "valija" / file).touch()
        assert lab.down(images=True) == []
        assert {image for image in known if exists("image", image)} == {others, derived}
        assert {container for container in containers if exists("container", container)} == containers - {builder}
        assert not (tmp_path / "valija" / "bootstrap").exists()
        assert (tmp_path / "valija" / "squirrelmail.tar").exists(), "a site's webmail is not the lab's to remove"
    finally:
        remove_containers(containers)
        attempt("rmi", *known)


def test_images_stay_while_a_lab_is_on_its_way_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said: list[str] = []
    command = [sys.executable, "-m", "valija", "lab", "down", "unit-images", "--images"]
    with images.in_use(said.append), images.in_use(said.append):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        assert "Wait for another lab that starts\n" in iter(process.stdout.readline, "")
        assert process.poll() is None
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert said == []
