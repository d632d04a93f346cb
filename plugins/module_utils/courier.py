"""The grammar of Courier's configuration files: assignments that a POSIX shell reads.

Courier's start scripts source /etc/courier/imapd, pop3d and authdaemonrc with ``.``, so the grammar is the shell's
(POSIX.1-2017, Shell Command Language, 2.2 and 2.6.2), of which only assignments of one line are used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")
_REFERENCE = re.compile(r"\$(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)|\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)\})")
# Inside double quotes a backslash escapes these alone (POSIX 2.2.3).
_ESCAPED = re.compile(r'([$`"\\])')


def parse_rc(text: str) -> dict[str, str]:
    """Read a file of assignments: name to value, in the file's order, the last assignment of a name winning.

    References to names assigned before (``$NAME``) are expanded, an unknown one to nothing, as the shell does.
    ValueError for a line that is neither an assignment nor a comment, for an unfinished quote and for a command
    substitution.
    """
    settings: dict[str, str] = {}
    for line in text.split("\n"):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, sign, rest = stripped.partition("=")
        if not sign or not _NAME.fullmatch(name):
            raise ValueError(f"not an assignment: {line!r}")
        settings[name] = _value(rest, settings)
    return settings


def render_rc(settings: Mapping[str, Any]) -> str:
    """Write a file of assignments, one line a setting, in the mapping's order; None leaves a setting out.

    Nothing in a value is expanded by the shell. ValueError for a name that is no shell name and for a value with a
    line break, which Courier's scripts do not read.
    """
    lines = []
    for name, value in settings.items():
        if value is None:
            continue
        text = str(value)
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a shell name: {name!r}")
        if isinstance(value, bool) or any(sign in text for sign in "\n\r\0"):
            raise ValueError(f"{name}: neither a number nor a text of one line: {value!r}")
        quoted = text if _PLAIN.fullmatch(text) else '"' + _ESCAPED.sub(r"\\\1", text) + '"'
        lines.append(f"{name}={quoted}\n")
    return "".join(lines)


def _value(text: str, known: Mapping[str, str]) -> str:
    """The value of one assignment's right side, which ends at the first white space outside quotes."""
    result: list[str] = []
    quote, position = "", 0
    while position < len(text):
        sign = text[position]
        if quote == "'":
            quote = "" if sign == "'" else quote
            result += [] if sign == "'" else [sign]
        elif sign == "\\":
            position += 1
            following = text[position : position + 1]
            result.append(following if not quote or _ESCAPED.match(following) else sign + following)
        elif sign == "`" or text.startswith("$(", position):
            raise ValueError(f"command substitution: {text!r}")
        elif reference := _REFERENCE.match(text, position):
            result.append(known.get(reference["name"] or reference["braced"], ""))
            position = reference.end() - 1
        elif sign == '"' or (sign == "'" and not quote):
            quote = "" if quote else sign
        elif sign.isspace() and not quote:
            if not text[position:].lstrip().startswith("#") and text[position:].strip():
                raise ValueError(f"more than one assignment on a line: {text!r}")
            break
        else:
            result.append(sign)
        position += 1
    if quote:
        raise ValueError(f"unfinished quote: {text!r}")
    return "".join(result)
