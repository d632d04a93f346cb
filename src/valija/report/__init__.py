"""Transcripts to paper: one self-contained HTML page, and the main session as an SVG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from valija.report import html, session
from valija.report.svg import session_svg

__all__ = ["session_svg", "write"]


def write(results: Mapping[str, Any], directory: Path) -> Path:
    """Write report.html, and session.svg when a message was sent, into the folder; the path of the page.

    `results` is what results.json holds. Both files are written beside and moved into place.
    """
    transcripts = session.main_transcripts(results)
    drawing = session_svg(transcripts) if transcripts else ""
    if drawing:
        _replace(directory / "session.svg", drawing)
    return _replace(directory / "report.html", html.page(results, drawing))


def _replace(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8", errors="backslashreplace")
    return new.replace(path)
