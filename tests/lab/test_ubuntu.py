"""The Ubuntu releases, where their image can be had; elsewhere they are reported as not run, with the reason."""

from __future__ import annotations

import pytest

from valija.lab import Lab

from .conftest import LabHost, LabSite, summary_of, valija


@pytest.mark.parametrize("release", ["ubuntu-22.04", "ubuntu-26.04"])
def test_an_ubuntu_host_is_built_and_proved(release: str) -> None:
    name = "test-ubuntu"
    run = valija("lab", "up", name, "--release", release, "--image", "bare")
    if run.code:
        assert "not run" in run.output, run.output
        pytest.skip(run.output.strip().splitlines()[-1])
    try:
        path = Lab.load(name).site_dir
        site = LabSite(name, path, (LabHost(release, path),))
        assert site.valija("apply").code == 0
        proof = site.valija("prove", "--tier", "full", "--json")
        assert proof.code == 0, proof.output
        assert summary_of(proof)["summary"]["failed"] == 0
    finally:
        valija("lab", "down", name)
