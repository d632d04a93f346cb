"""The figures as a page for people, and as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

FRAME = f"""# Benchmarks

How provisioning costs grow, beside other ways to do the same. `scripts/bench` takes the figures and writes them here;
`scripts/bench B4` takes one part. The rounds of all cases of a part are interleaved, each end state is checked first,
and what counts is the ratio: the seconds belong to the machine. The other ways stand, with where they come from, in
[`scripts/bench.d/peers`](../../scripts/bench.d/peers).

{BEGIN}
{END}
"""


def write(path: Path, figures: Mapping[str, Any]) -> None:
    """Put the figures between the page's marks; the text around them stays."""
    text = path.read_text() if path.exists() else FRAME
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    body = "\n".join(section(name, figures[name]) for name in sorted(figures))
    path.write_text(f"{before}{BEGIN}\n\n{body}\n{END}{after}")


def section(name: str, result: Mapping[str, Any]) -> str:
    """One part: a table of its cases, its lines, and what it was taken on."""
    lines = [f"## {name}: {result['title']}", ""]
    lines += ["| case | median | least to most | rounds | beside |", "|---|---:|---:|---:|---|"]
    for case, figure in result["cases"].items():
        ratio = figure.get("beside", "")
        spread = f"{seconds(figure['least'])} to {seconds(figure['most'])}" if figure["rounds"] else "fitted"
        lines.append(f"| {case} | {seconds(figure['median'])} | {spread} | {len(figure['rounds'])} | {ratio} |")
    if result["lines"]:
        lines += ["", "| line | figure | held |", "|---|---:|---|"]
        lines += [f"| {one['line']} | {one['figure']} | {'yes' if one['held'] else 'no'} |" for one in result["lines"]]
    for note in result.get("notes", []):
        lines += ["", note]
    machine = result["machine"]
    said = ", ".join(f"{key} {value}" for key, value in machine.items() if key not in ("command", "taken"))
    return "\n".join([*lines, "", f"`{machine['command']}`, {machine['taken']}; {said}; {result['seconds']} s.", ""])


def seconds(value: float) -> str:
    """Three figures, as far as they say something."""
    if value >= 100:
        return f"{value:,.0f} s"
    return f"{value:.1f} s" if value >= 10 else f"{value:.2f} s" if value >= 0.1 else f"{value * 1000:.1f} ms"


def picture(result: Mapping[str, Any]) -> str:
    """Bars of the medians, from the shortest scale that holds them all."""
    cases = list(result["cases"].items())
    most = max(figure["median"] for _, figure in cases) or 1
    rows = []
    for number, (case, figure) in enumerate(cases):
        y, width = 40 + number * 26, 420 * figure["median"] / most
        rows.append(
            f'<text x="330" y="{y + 13}" text-anchor="end">{escape(case)}</text>'
            f'<rect x="340" y="{y}" width="{width:.1f}" height="18" fill="#3b6ea5"/>'
            f'<text x="{346 + width:.1f}" y="{y + 13}">{seconds(figure["median"])}</text>'
        )
    height = 56 + len(cases) * 26
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 {height}" font-family="sans-serif" font-size="13">'
        f'<text x="10" y="22" font-size="16">{escape(result["title"])}</text>{"".join(rows)}</svg>\n'
    )
