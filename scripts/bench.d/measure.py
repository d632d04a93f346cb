"""Rounds, figures and what they were taken on."""

from __future__ import annotations

import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

Case = Callable[[], float]


def interleaved(cases: Mapping[str, Case], rounds: int) -> dict[str, list[float]]:
    """The seconds of each case, round by round: a change of the machine's load meets all cases alike."""
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(1, rounds + 1):
        for name, case in cases.items():
            seconds[name].append(case())
            print(f"  round {number} of {rounds}: {name}: {seconds[name][-1]:.2f} s", flush=True)
    return seconds


def timed(work: Callable[[], Any]) -> float:
    """The seconds that the work takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def figures(seconds: Sequence[float]) -> dict[str, Any]:
    """Median, least and most, and every round."""
    return {
        "median": statistics.median(seconds),
        "least": min(seconds),
        "most": max(seconds),
        "rounds": [round(one, 4) for one in seconds],
    }


def exponent(points: Mapping[int, float]) -> float:
    """How the cost grows: the slope of log(seconds) over log(count), by least squares; 1 is linear."""
    xs, ys = [math.log(count) for count in points], [math.log(seconds) for seconds in points.values()]
    return statistics.linear_regression(xs, ys).slope


def fitted(points: Mapping[int, float], count: int) -> float:
    """What a larger count would take: the line through the two largest counts in a log-log picture."""
    (n1, t1), (n2, t2) = sorted(points.items())[-2:]
    slope = math.log(t2 / t1) / math.log(n2 / n1)
    return t2 * (count / n2) ** slope


def shown_seconds(value: float) -> str:
    """Three figures, as far as they say something."""
    if value >= 100:
        return f"{value:,.0f} s"
    return f"{value:.1f} s" if value >= 10 else f"{value:.2f} s" if value >= 0.1 else f"{value * 1000:.1f} ms"


def load() -> str:
    """The machine's load, of 1, 5 and 15 minutes."""
    return " ".join(f"{one:.1f}" for one in os.getloadavg())


def machine() -> dict[str, str]:
    """What the figures were taken on and with."""
    model = next(
        (line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),  # noqa: SIM115, PTH123
        platform.machine(),
    )
    docker = subprocess.run(
        ["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True, check=False
    )
    return {
        "taken": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "cores": f"{os.cpu_count()} x {model}",
        "kernel": platform.release(),
        "docker": docker.stdout.strip(),
        "python": platform.python_version(),
        "ansible-core": version("ansible-core"),
        "valija": version("valija"),
        "command": " ".join(["scripts/bench", *sys.argv[1:]]),
    }
