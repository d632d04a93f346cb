"""The figures as a page for people."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from measure import shown_seconds
from pictures import picture

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

# Why a line was not held, and what was tried: by hand, for the page only knows that it was not.
REASONS = Path(__file__).parent / "fell_short.yml"

FRAME = f"""# Benchmarks

How provisioning costs grow, beside other ways to do the same. `scripts/bench` takes the figures and writes them here;
`scripts/bench B4` takes one part. The rounds of all cases of a part are interleaved, each end state is checked first,
and what counts is the ratio: the seconds belong to the machine. The other ways stand, with where they come from, in
[`scripts/bench.d/peers`](../../scripts/bench.d/peers).

{BEGIN}
{END}
"""


def write(path: Path, figures: Mapping[str, Any], pictures: Path) -> None:
    """Put the figures between the page's marks, and a picture of each part into a folder; other text stays."""
    text = path.read_text() if path.exists() else FRAME
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    pictures.mkdir(parents=True, exist_ok=True)
    links = {}
    for name, result in figures.items():
        file = pictures / f"bench-{name.lower()}.svg"
        file.write_text(picture(result))
        links[name] = f"![{result['title']}]({os.path.relpath(file, path.parent)})"
    parts = [*calls(figures), *short(figures)]
    body = "\n".join([*parts, *(section(name, figures[name], links[name]) for name in sorted(figures))])
    path.write_text(f"{before}{BEGIN}\n\n{body}\n{END}{after}")


def section(name: str, result: Mapping[str, Any], link: str = "") -> str:
    """One part: a table of its cases, its lines, and what it was taken on."""
    lines = [f"## {name}: {result['title']}", *(["", link] if link else []), ""]
    lines += ["| case | median | least to most | rounds | beside |", "|---|---:|---:|---:|---|"]
    for case, figure in result["cases"].items():
        ratio = figure.get("beside", "")
        spread = (
            f"{shown_seconds(figure['least'])} to {shown_seconds(figure['most'])}" if figure["rounds"] else "fitted"
        )
        lines.append(f"| {case} | {shown_seconds(figure['median'])} | {spread} | {len(figure['rounds'])} | {ratio} |")
    if result["lines"]:
        lines += ["", "| line | figure | held |", "|---|---:|---|"]
        lines += [f"| {one['line']} | {one['figure']} | {'yes' if one['held'] else 'no'} |" for one in result["lines"]]
    for note in result.get("notes", []):
        lines += ["", note]
    machine = result["machine"]
    said = ", ".join(f"{key} {value}" for key, value in machine.items() if key not in ("command", "taken"))
    return "\n".join([*lines, "", f"`{machine['command']}`, {machine['taken']}; {said}; {result['seconds']} s.", ""])


def calls(figures: Mapping[str, Any]) -> Iterator[str]:
    """The remote calls of each kind of run, as the callback counted them in these very runs."""
    counted = {kind: by for result in figures.values() for kind, by in result.get("calls", {}).items()}
    if not counted:
        return
    profiles = sorted({profile for by in counted.values() for profile in by})
    yield "## Remote calls\n"
    yield "Counted at the connection itself by the callback `valija.mailserver.events`, in the runs below.\n"
    yield f"| run | {' | '.join(f'profile {profile}' for profile in profiles)} |\n|---|{'---:|' * len(profiles)}"
    for kind, by in counted.items():
        yield f"| {kind} | {' | '.join(str(by.get(profile, '')) for profile in profiles)} |"
    yield ""


def short(figures: Mapping[str, Any]) -> Iterator[str]:
    """The lines that were not held, each with its reason."""
    missed = [(name, one) for name in sorted(figures) for one in figures[name]["lines"] if not one["held"]]
    reasons = yaml.safe_load(REASONS.read_text()) or {}
    yield "## What fell short\n"
    if not missed:
        yield "Every line was held.\n"
    for name, one in missed:
        why = next((text for key, text in reasons.items() if f"{name}: {one['line']}".startswith(key)), UNEXPLAINED)
        yield f"- **{name}: {one['line']}**: {one['figure']}. {' '.join(why.split())}"
    if missed:
        yield ""


UNEXPLAINED = "Nobody has looked into this one yet."
