"""Two controllers at once: the second waits, and the host ends in one of the two states, never in a mixture."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from .conftest import LabSite


def test_two_runs_at_once_end_in_one_whole_state(converged: LabSite) -> None:
    sizes = (11, 12)
    with ThreadPoolExecutor(2) as both:
        runs = list(
            both.map(lambda size: converged.valija("apply", "-e", f"mail_message_size_mib={size}"), sizes),
        )
    assert [run.code for run in runs] == [0, 0], "\n".join(run.output for run in runs)
    assert any("lock" in run.output for run in runs), "the one that waited says so"
    limit = converged.host.sh("postconf -h message_size_limit")
    post = converged.host.sh(
        "sed -n 's/.*post_max_size. = \\([0-9]*\\)M$/\\1/p' /etc/php/*/fpm/pool.d/valija-webmail.conf"
    )
    assert (limit, post) in {(str(size * 1024 * 1024), str(size)) for size in sizes}


def test_the_lock_is_free_afterwards(converged: LabSite) -> None:
    assert converged.host.sh("ls /run/valija/lock 2>/dev/null | wc -l") == "0"
