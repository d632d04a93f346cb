"""A part's figures as a picture that is read on light and on dark pages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from measure import shown_seconds

STYLE = (
    "<style>text{fill:#24292f}.line{stroke:#24292f}.grid{stroke:#8c959f;stroke-opacity:.35}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.line{stroke:#e6edf3}}</style>"
)
COLOURS = ("#3b82c4", "#d97706", "#2e9e6b", "#c2528b", "#7c6fd0", "#8a8f98")
WIDTH = 860


def picture(result: Mapping[str, Any]) -> str:
    """Lines on two logarithmic scales where a part says how its ways grow, else a bar for each case."""
    body, height = _growth(result["growth"]) if result.get("growth") else _bars(result["cases"])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="13" role="img"><title>{escape(result["title"])}</title>{STYLE}'
        f'<text x="10" y="22" font-size="16">{escape(result["title"])}</text>{body}</svg>\n'
    )


def _bars(cases: Mapping[str, Any]) -> tuple[str, int]:
    """The median of each case, and a thin line from the least to the most."""
    most = max(figure["most"] for figure in cases.values()) or 1
    rows = []
    for number, (case, figure) in enumerate(cases.items()):
        y = 40 + number * 26
        width, least, end = (390 * figure[key] / most for key in ("median", "least", "most"))
        rows.append(
            f'<text x="360" y="{y + 13}" text-anchor="end">{escape(case)}</text>'
            f'<rect x="370" y="{y}" width="{width:.1f}" height="18" fill="{COLOURS[0 if number == 0 else -1]}"/>'
            f'<path class="line" d="M{370 + least:.1f} {y + 9}H{370 + end:.1f}"/>'
            f'<text x="{378 + max(width, end):.1f}" y="{y + 13}">{shown_seconds(figure["median"])}</text>'
        )
    return "".join(rows), 56 + len(cases) * 26


def _growth(ways: Mapping[str, Mapping[str, float]]) -> tuple[str, int]:
    """Seconds over counts, both logarithmic; beside each line the way that it is of."""
    points = {way: {int(count): value for count, value in found.items()} for way, found in ways.items() if found}
    counts = sorted({count for found in points.values() for count in found})
    values = [value for found in points.values() for value in found.values()]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    left, right, top, bottom = 80, 600, 44, 360

    def x(count: float) -> float:
        return left + (right - left) * math.log(count / counts[0]) / math.log(counts[-1] / counts[0])

    def y(seconds: float) -> float:
        return bottom - (bottom - top) * (math.log10(seconds) - low) / (high - low)

    parts = []
    for power in range(low, high + 1):
        at = y(10.0**power)
        parts.append(f'<path class="grid" d="M{left} {at:.1f}H{right}"/>')
        parts.append(f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{shown_seconds(10.0**power)}</text>')
    for count in counts:
        parts.append(f'<path class="grid" d="M{x(count):.1f} {top}V{bottom}"/>')
        if math.log10(count) % 1 == 0:
            parts.append(f'<text x="{x(count):.1f}" y="{bottom + 18}" text-anchor="middle">{count:,}</text>')
    labels: list[tuple[float, str]] = []
    for number, (way, found) in enumerate(points.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = "L".join(f"{x(count):.1f} {y(value):.1f}" for count, value in sorted(found.items()))
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts += [
            f'<circle cx="{x(count):.1f}" cy="{y(value):.1f}" r="3.5" fill="{colour}"/>'
            for count, value in found.items()
        ]
        labels.append((y(found[max(found)]), f'<tspan fill="{colour}">■</tspan> {escape(way)}'))
    for at, label in _apart(labels):
        parts.append(f'<text x="{right + 12}" y="{at + 4:.1f}">{label}</text>')
    return "".join(parts), bottom + 36


def _apart(labels: list[tuple[float, str]], least: float = 18) -> list[tuple[float, str]]:
    """The labels in their order, so far apart that none lies over another."""
    placed: list[tuple[float, str]] = []
    for at, label in sorted(labels):
        placed.append((max(at, placed[-1][0] + least) if placed else at, label))
    return placed
