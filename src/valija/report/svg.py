"""The sequence diagram of a mail's journey as one SVG: it needs no font, no script and no file beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any
from xml.sax.saxutils import escape

from valija.messages import _
from valija.report import session
from valija.report.session import CLIENT, MAILBOX, MDA, MTA, READER, Step

WIDTH = 1120
LANES = {CLIENT: 196, MTA: 530, MDA: 662, MAILBOX: 800, READER: 1046}
HEAD, ROW, GAP, MARGIN = 104, 27, 13, 20

# How many characters of 12.5 px monospace fit between two neighbours; the rest is cut.
ROOM = {frozenset((CLIENT, MTA)): 42, frozenset((MTA, MDA)): 15, frozenset((MDA, MAILBOX)): 15}
DEFAULT_ROOM = 31
# The same for the 12 px words beside an arrow.
WORDS_ROOM = 88

STYLE = """
.vs{--paper:#fffdf8;--ink:#22201c;--soft:#736d62;--line:#cfc8ba;--band:#f5f0e4;--card:#ffffff;
--c2:#17713c;--c3:#1f5fae;--c4:#9a5b00;--c5:#b3261e;--parcel:#c0392b}
@media (prefers-color-scheme:dark){.vs{--paper:#1b1d22;--ink:#ece7dc;--soft:#a29b8d;--line:#4a4a4c;--band:#23262c;
--card:#2b2f36;--c2:#6fcf8f;--c3:#7fb4f5;--c4:#f0b357;--c5:#ff8a80;--parcel:#ff9d8f}}
.vs text{font-family:system-ui,-apple-system,"Segoe UI",Cantarell,"DejaVu Sans",sans-serif;fill:var(--ink)}
.vs .vs-m{font:12.5px ui-monospace,"Cascadia Mono","SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
.vs .vs-name{font-size:15px;font-weight:650}
.vs .vs-sub{font-size:11.5px;fill:var(--soft)}
.vs .vs-phase{font-size:12px;font-weight:600;letter-spacing:.06em;text-transform:uppercase;fill:var(--soft)}
.vs .vs-w{font-size:12px;fill:var(--soft);paint-order:stroke;stroke:var(--band);stroke-width:6px}
.vs .vs-pl{stroke:var(--paper)}
.vs .vs-i{font-style:italic;fill:var(--soft)}
.vs .vs-c{font-weight:700}
.vs .vs-2{fill:var(--c2)}.vs .vs-3{fill:var(--c3)}.vs .vs-4{fill:var(--c4)}.vs .vs-5{fill:var(--c5)}
.vs .vs-p{fill:var(--parcel);font-weight:600}
.vs .vs-a{stroke:var(--ink);stroke-width:1.4;fill:none}
.vs .vs-r{stroke-dasharray:6 4}.vs .vs-in{stroke:var(--soft);stroke-dasharray:2 4}
.vs .vs-pa{stroke:var(--parcel);stroke-width:2.6}
"""


def session_svg(transcripts: Sequence[Mapping[str, Any]]) -> str:
    """The journey of the first message in these transcripts (as in results.json), from the client to its reader."""
    steps = session.steps(transcripts)
    phases = [(name, list(group)) for name, group in groupby(steps, key=lambda step: step.phase)]
    height = HEAD + sum(len(group) * ROW + 2 * GAP for _name, group in phases) + MARGIN
    title = _("A message on its way: what was said, from the greeting to the reading")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="vs" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
        f' height="{height}" role="img" aria-label="{_attribute(title)}">',
        f"<title>{_text(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="14" fill="var(--paper)"'
        ' stroke="var(--line)"/>',
    ]
    top = HEAD
    bands: list[str] = []
    arrows: list[str] = []
    for number, (name, group) in enumerate(phases):
        tall = len(group) * ROW + 2 * GAP
        bands += _band(name, top, tall, shaded=number % 2 == 0)
        for row, step in enumerate(group):
            y = top + GAP + row * ROW + ROW - 7
            arrows += [*_arrow(step, y), *_words(step, y, "" if number % 2 == 0 else " vs-pl")]
        top += tall
    parts += [*bands, *_lanes(transcripts, height), *arrows, "</svg>"]
    return "\n".join(parts) + "\n"


def _lanes(transcripts: Sequence[Mapping[str, Any]], height: int) -> Iterator[str]:
    smtp = session.smtp_transcript(transcripts) or {}
    imap = session.imap_transcript(transcripts) or {}
    heads = {
        CLIENT: (_("Client"), str(smtp.get("client", ""))),
        MTA: (_("MTA"), str(smtp.get("server", ""))),
        MDA: (_("MDA"), "local(8)"),
        MAILBOX: (_("Mailbox"), str(imap.get("server", ""))),
        READER: (_("IMAP client"), str(imap.get("client", ""))),
    }
    for lane, (name, below) in heads.items():
        x = LANES[lane]
        yield f'<line x1="{x}" y1="78" x2="{x}" y2="{height - MARGIN}" stroke="var(--line)" stroke-width="1.5"/>'
        half = {CLIENT: 92, MTA: 84, MDA: 42, READER: 62}.get(lane, 80)
        yield (
            f'<rect x="{x - half}" y="22" width="{2 * half}" height="56" rx="9" fill="var(--card)"'
            ' stroke="var(--line)" stroke-width="1.2"/>'
        )
        yield f'<text class="vs-name" x="{x}" y="45" text-anchor="middle">{_text(name)}</text>'
        yield f'<text class="vs-sub" x="{x}" y="65" text-anchor="middle">{_text(_host(below))}</text>'


def _host(address: str) -> str:
    """An address without its port, when it is a client's: that number means nothing to a reader."""
    host, _colon, port = address.rpartition(":")
    return host if port.isdigit() and int(port) >= 1024 else address


def _band(name: str, top: int, tall: int, *, shaded: bool) -> Iterator[str]:
    if shaded:
        yield f'<rect x="1" y="{top}" width="{WIDTH - 2}" height="{tall}" fill="var(--band)"/>'
    yield f'<text class="vs-phase" x="24" y="{top + GAP + 16}">{_text(_(name))}</text>'


def _arrow(step: Step, y: int) -> Iterator[str]:
    start, end = LANES[step.source], LANES[step.target]
    if start == end:
        yield f'<text class="vs-sub vs-i" x="{start + 14}" y="{y - 4}">{_text(step.text)}</text>'
        return
    towards = 1 if end > start else -1
    answer = (step.source, step.target) in ((MTA, CLIENT), (MAILBOX, READER))
    kind = "vs-pa" if step.parcel else "vs-in" if step.inferred else "vs-r" if answer else ""
    tip = end - towards * 3
    yield f'<line class="vs-a {kind}" x1="{start + towards * 2}" y1="{y}" x2="{tip - towards * 5}" y2="{y}"/>'
    colour = "var(--parcel)" if step.parcel else "var(--soft)" if step.inferred else "var(--ink)"
    yield f'<path d="M{tip} {y}l{-towards * 9} -4.5v9z" fill="{colour}"/>'
    yield f'<text class="vs-m{_extra(step)}" x="{min(start, end) + 14}" y="{y - 6}">{_label(step)}</text>'


def _words(step: Step, y: int, halo: str) -> Iterator[str]:
    """What the step means, on the side where there is room; a halo keeps the lines behind it away."""
    if not step.words:
        return
    x, anchor = (LANES[MTA] + 18, "start") if CLIENT in (step.source, step.target) else (LANES[MTA] - 18, "end")
    if READER in (step.source, step.target):
        x = LANES[MAILBOX] - 18
    words = _text(_cut(step.words, WORDS_ROOM))
    yield f'<text class="vs-w{halo}" x="{x}" y="{y - 3}" text-anchor="{anchor}">{words}</text>'


def _extra(step: Step) -> str:
    return " vs-p" if step.parcel else " vs-i" if step.inferred else ""


def _label(step: Step) -> str:
    room = ROOM.get(frozenset((step.source, step.target)), DEFAULT_ROOM)
    text = _cut(step.text, room)
    if step.code and step.result and text.startswith(step.code):
        rest = text[len(step.code) :]
        return f'<tspan class="vs-c vs-{step.result}">{_text(step.code)}</tspan>{_text(rest)}'
    return _text(text)


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


def _text(text: str) -> str:
    """Text for XML: escaped, and without the characters that XML 1.0 does not know."""
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))


def _attribute(text: str) -> str:
    return _text(text).replace('"', "&quot;")
