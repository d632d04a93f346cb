"""What the survey reads from the host's files."""

from __future__ import annotations

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils.survey import memory_mib


@pytest.mark.parametrize(
    ("meminfo", "mib"),
    [
        ("MemTotal:        2014420 kB\nMemFree:          101000 kB\n", 1967),
        ("MemFree: 1 kB\nMemTotal:       1023 kB\n", 0),
        ("", 0),
    ],
)
def test_the_memory_is_told_in_whole_mebibytes(meminfo: str, mib: int) -> None:
    assert memory_mib(meminfo) == mib
