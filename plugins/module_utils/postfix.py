"""The grammar of Postfix's files: main.cf, master.cf and lookup tables.

Sources: postconf(5) for main.cf, master(5) for master.cf, postmap(1) for lookup tables (Postfix 3.6 to 3.10).
Every ``render`` raises ValueError for a value that its grammar cannot carry, and ``parse(render(x)) == x`` holds
for every value that it accepts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# A parameter's name: anything that Postfix does not read as a comment, an assignment or white space.
_PARAMETER = re.compile(r"[^\s=#${}][^\s={}]*")
_SERVICE = re.compile(r"[^\s#{}][^\s{}]*")
_LINE_BREAK = re.compile(r"[\x00\r\n\v\f\x1c-\x1e\x85\u2028\u2029]")

_FLAGS = ("private", "unpriv", "chroot")
# The columns of master.cf between the service's type and its command, in their order.
_COLUMNS = (*_FLAGS, "wakeup", "maxproc")


def parse_main_cf(text: str) -> dict[str, str]:
    """Read main.cf: parameter name to value, in the file's order, the last assignment of a name winning.

    Continuation lines are joined by one space. ValueError for a line that assigns nothing.
    """
    settings: dict[str, str] = {}
    for line in _logical_lines(text):
        name, sign, value = line.partition("=")
        if not sign or not _PARAMETER.fullmatch(name.strip()):
            raise ValueError(f"main.cf: not an assignment: {line!r}")
        settings[name.strip()] = value.strip()
    return settings


def render_main_cf(settings: Mapping[str, Any]) -> str:
    """Write main.cf, one ``name = value`` line a setting, in the mapping's order.

    Numbers, booleans (yes, no) and lists (joined by a comma) are accepted beside text; None leaves a setting out,
    so that Postfix's own default holds.
    """
    lines = []
    for name, value in settings.items():
        if value is None:
            continue
        if not _PARAMETER.fullmatch(name):
            raise ValueError(f"main.cf: not a parameter name: {name!r}")
        lines.append(f"{name} = {_text(name, value)}".rstrip() + "\n")
    return "".join(lines)


def parse_master_cf(text: str) -> dict[str, dict[str, Any]]:
    """Read master.cf: ``service/type`` (as ``postconf -M`` names it) to the service's columns.

    Each service is ``{private, unpriv, chroot, wakeup, maxproc: str, command: str, options: {name: value},
    arguments: [str]}``: ``options`` are the ``-o name=value`` overrides, ``arguments`` all else behind the command.
    ValueError for a line with too few columns or an unfinished brace.
    """
    services: dict[str, dict[str, Any]] = {}
    for line in _logical_lines(text):
        columns = line.split(None, 7)
        if len(columns) < 8:
            raise ValueError(f"master.cf: fewer than 8 columns: {line!r}")
        command, *words = _words(columns[7])
        service: dict[str, Any] = dict(zip(_COLUMNS, columns[2:7], strict=True))
        service.update(command=command, options={}, arguments=[])
        rest = iter(words)
        for word in rest:
            if word != "-o":
                service["arguments"].append(word)
                continue
            name, sign, value = _unbraced(next(rest, "")).partition("=")
            if not sign:
                raise ValueError(f"master.cf: -o without name=value: {line!r}")
            service["options"][name.strip()] = value.strip()
        services[f"{columns[0]}/{columns[1]}"] = service
    return services


def render_master_cf(services: Mapping[str, Mapping[str, Any] | None]) -> str:
    """Write master.cf from the shape that ``parse_master_cf`` returns; None leaves a service out.

    A column that is missing is ``-`` (the default of master(5)); booleans are written y and n; an option's value may
    be of any type that ``render_main_cf`` takes.
    """
    lines = []
    for key, service in services.items():
        if service is None:
            continue
        name, slash, kind = key.rpartition("/")
        if not slash or not _SERVICE.fullmatch(name) or kind not in ("inet", "unix", "unix-dgram", "fifo", "pass"):
            raise ValueError(f"master.cf: not a service/type: {key!r}")
        unknown = set(service) - {*_COLUMNS, "command", "options", "arguments"}
        if unknown:
            raise ValueError(f"master.cf: {key}: unknown column: {', '.join(sorted(unknown))}")
        columns = [name, kind, *(_column(key, column, service.get(column, "-")) for column in _COLUMNS)]
        command = str(service.get("command") or "")
        if not _SERVICE.fullmatch(command):
            raise ValueError(f"master.cf: {key}: not a command: {command!r}")
        lines.append(
            " ".join([f"{columns[0]:<9}", f"{columns[1]:<5}", *(f"{text:<7}" for text in columns[2:]), command])
        )
        for option, value in (service.get("options") or {}).items():
            lines.append(f"    -o {_option(key, option, value)}")
        for argument in service.get("arguments") or []:
            if argument == "-o" or list(_words(argument)) != [argument] or _LINE_BREAK.search(argument):
                raise ValueError(f"master.cf: {key}: not one argument: {argument!r}")
            lines.append(f"    {argument}")
    return "".join(f"{line}\n" for line in lines)


def parse_table(text: str) -> dict[str, str]:
    """Read a lookup table's source (postmap(1)): key to value; the first of two equal keys wins, as in texthash."""
    table: dict[str, str] = {}
    for line in _logical_lines(text):
        key = _key(line)
        table.setdefault(key, line[len(key) :].strip())
    return table


def render_table(table: Mapping[str, str | Sequence[str]]) -> str:
    """Write a lookup table's source, one ``key value`` line an entry; a list of values is joined by a comma."""
    lines = []
    for key, value in table.items():
        text = _text(key, value)
        if not key or key.startswith("#") or _LINE_BREAK.search(key) or _key(f"{key} ") != key:
            raise ValueError(f"lookup table: not a key: {key!r}")
        if not text:
            raise ValueError(f"lookup table: {key}: no value")
        lines.append(f"{key} {text}\n")
    return "".join(lines)


def _logical_lines(text: str) -> Iterator[str]:
    """Lines without comments and empty lines, each joined with the continuation lines that follow it."""
    parts: list[str] = []
    for line in text.split("\n"):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if line[0].isspace():
            if not parts:
                raise ValueError(f"continuation of nothing: {line!r}")
            parts.append(stripped)
            continue
        if parts:
            yield " ".join(parts)
        parts = [stripped]
    if parts:
        yield " ".join(parts)


def _text(name: str, value: Any) -> str:
    """The value of a setting as Postfix writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(name, item) for item in value)
    text = str(value)
    if text != text.strip() or _LINE_BREAK.search(text):
        raise ValueError(f"{name}: white space around the value, or a line break in it")
    return text


def _column(key: str, column: str, value: Any) -> str:
    """One column of master.cf, checked against what master(5) allows there."""
    if isinstance(value, bool):
        value = "y" if value else "n"
    text = str(value)
    allowed = r"[yn-]" if column in _FLAGS else r"-|[0-9]+\??" if column == "wakeup" else r"-|[0-9]+"
    if not re.fullmatch(allowed, text):
        raise ValueError(f"master.cf: {key}: {column}: {text!r}")
    return text


def _option(key: str, name: str, value: Any) -> str:
    """What stands behind ``-o``; braces let a value carry white space (Postfix 3.0 and later)."""
    text = _text(name, value)
    if not _PARAMETER.fullmatch(name):
        raise ValueError(f"master.cf: {key}: not a parameter name: {name!r}")
    plain = f"{name}={text}"
    if list(_words(plain)) == [plain]:
        return plain
    braced = f"{{ {name} = {text} }}"
    if list(_words(braced)) != [braced]:
        raise ValueError(f"master.cf: {key}: {name}: unbalanced braces")
    return braced


def _words(text: str) -> Iterator[str]:
    """Split a command line of master.cf on white space; a word that begins with a brace ends with its partner."""
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        start, depth = position, 0
        braced = text[start] == "{"
        while position < len(text) and (depth or not text[position].isspace()):
            if braced:
                depth += {"{": 1, "}": -1}.get(text[position], 0)
            position += 1
            if braced and depth == 0:
                break
        if depth:
            raise ValueError(f"master.cf: brace without its partner: {text!r}")
        yield text[start:position]


def _unbraced(word: str) -> str:
    return word[1:-1].strip() if word.startswith("{") else word


def _key(line: str) -> str:
    """The key of a lookup table's line: up to the first white space outside double quotes, quotes kept."""
    quoted = escaped = False
    for position, character in enumerate(line):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character.isspace() and not quoted:
            return line[:position]
    if quoted:
        raise ValueError(f"lookup table: unbalanced quotes: {line!r}")
    return line
