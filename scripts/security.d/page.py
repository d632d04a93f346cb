"""What the scanners found, as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from scanners import Scan

BEGIN, END = "<!-- scans: begin -->", "<!-- scans: end -->"


def write(path: Path, scans: Mapping[str, list[Scan]], versions: Mapping[str, str], began: datetime) -> None:
    """Put the tables between the page's marks; what a person wrote around them stays."""
    before, begin, rest = path.read_text().partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{path} has lost the marks {BEGIN} and {END}")
    used = ", ".join(f"{name} {version}" for name, version in versions.items())
    head = f"`scripts/security`, {began:%Y-%m-%d}, with {used}.\n"
    body = "\n".join([head, *(section(name, found) for name, found in scans.items())])
    path.write_text(f"{before}{BEGIN}\n\n{body}\n{END}{after}")


def section(name: str, found: list[Scan]) -> str:
    """One host: a line for each port and scanner, and below it each finding once, with the ports where it stands."""
    lines = [f"### {name}", "", "| scanner | port | verdict |", "| --- | --- | --- |"]
    lines += [f"| {scan.scanner} | {scan.port} | {scan.verdict} |" for scan in found]
    ports: dict[tuple[str, str], list[str]] = {}
    for scan in found:
        for finding in scan.findings:
            ports.setdefault((scan.scanner, finding), []).append(scan.port)
    if ports:
        lines += ["", "What stands behind the verdicts:", ""]
        for (scanner, finding), at in ports.items():
            lines.append(f"- {scanner}, {', '.join(dict.fromkeys(at))}: `{finding}`")
    return "\n".join([*lines, ""])
