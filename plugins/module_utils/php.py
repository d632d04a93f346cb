"""PHP settings files and PHP-FPM pools: their grammar, as values of Python.

A settings file is what ``squirrelmail-configure`` writes: one ``$name = literal;`` a line, and ``$name[0]['KEY'] =
literal;`` for an element of an array (PHP manual, "Types" and "Strings"). Anything else in such a file is a program,
which is refused with its line.

A value is ``None``, a boolean, an integer, a text, a list, or a mapping with names as keys. A mapping whose only key is
``SM_PATH`` stands for ``SM_PATH . 'rest'``, a path below SquirrelMail's own folder. PHP has one empty array: an empty
mapping is read back as an empty list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

SM_PATH = "SM_PATH"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SKIPPED = re.compile(
    r"(?: \s+ | (?://|\#)[^\n]* | /\*.*?\*/ | <\?php\b | \?>\s*\Z | global\s+\$\w+(?:\s*,\s*\$\w+)*\s*; )+",
    re.VERBOSE | re.DOTALL,
)
_TARGET = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)\s*")
_INDEX = re.compile(r"\[\s*(?:([0-9]+)|'((?:[^'\\]|\\.)*)'|)\s*\]\s*", re.DOTALL)
_EQUALS = re.compile(r"=\s*")
_LITERAL = re.compile(
    r"""
    (?P<base>SM_PATH\s*\.\s*)?
    (?: '(?P<single>(?:[^'\\]|\\.)*)'
      | "(?P<double>(?:[^"\\$]|\\[\\"$])*)"
      | (?P<integer>-?[0-9]+)
      | (?P<word>true|false|null)\b
      | (?P<empty>array\s*\(\s*\)|\[\s*\])
    )\s*;
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


def render_settings(settings: Mapping[str, Any]) -> str:
    """The lines of a settings file, without ``<?php``, in the order of the mapping.

    Raises ValueError, naming the setting, for what PHP settings cannot say.
    """
    lines: list[str] = []
    for name, value in settings.items():
        if not isinstance(name, str) or not _NAME.match(name) or name == "this":
            raise ValueError(f"{name!r} is no name of a PHP setting: letters, digits and _, no digit first")
        lines.extend(_assignments(f"${name}", value))
    return "".join(f"{line}\n" for line in lines)


def parse_settings(text: str) -> dict[str, Any]:
    """The settings of a file, as PHP would have them after reading it; comments and ``global`` lines are passed over.

    Raises ValueError with the number of the first line that is not an assignment of a literal.
    """
    arrays: dict[str, Any] = {}
    position = _skip(text, 0)
    while position < len(text):
        target = _TARGET.match(text, position)
        if target is None:
            raise _unreadable(text, position)
        keys: list[int | str | None] = []
        end = target.end()
        while index := _INDEX.match(text, end):
            number, name = index.groups()
            keys.append(int(number) if number is not None else None if name is None else _unquote(name))
            end = index.end()
        equals = _EQUALS.match(text, end)
        literal = _LITERAL.match(text, equals.end()) if equals else None
        if literal is None:
            raise _unreadable(text, position)
        _assign(arrays, target.group(1), keys, _value(literal, text, position))
        position = _skip(text, literal.end())
    return {name: _settled(value, name) for name, value in arrays.items()}


def render_pool(pools: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of a PHP-FPM pool file (php-fpm.conf, "Pool directives"): ``[pool]``, then ``key = value`` lines.

    Values are texts or integers. Raises ValueError, naming pool and key, for a value that the file cannot hold.
    """
    blocks = []
    for pool, directives in pools.items():
        if not re.match(r"[A-Za-z0-9_.-]+\Z", pool):
            raise ValueError(f"{pool!r} is no name of a pool: letters, digits, _, . and -")
        lines = [f"[{pool}]"]
        for key, value in directives.items():
            if not re.match(r"[a-z_.]+(?:\[[A-Za-z0-9_.]+\])?\Z", key):
                raise ValueError(f"{pool}: {key!r} is no directive of a pool")
            lines.append(f"{key} = {_pool_value(value, f'{pool}: {key}')}")
        blocks.append("".join(f"{line}\n" for line in lines))
    return "\n".join(blocks)


def parse_pool(text: str) -> dict[str, dict[str, str]]:
    """The pools of a PHP-FPM pool file with their directives as texts; the inverse of :func:`render_pool`."""
    pools: dict[str, dict[str, str]] = {}
    current: dict[str, str] | None = None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.lstrip().startswith(";"):
            continue
        if section := re.match(r"\[([A-Za-z0-9_.-]+)\]\s*\Z", line):
            current = pools.setdefault(section.group(1), {})
            continue
        directive = re.match(r"([a-z_.]+(?:\[[A-Za-z0-9_.]+\])?)\s*=\s*(?:\"([^\"]*)\"|([^\";]*))\s*\Z", line)
        if directive is None or current is None:
            raise ValueError(f"line {number}: neither a pool nor a directive: {line.strip()!r}")
        key, quoted, plain = directive.groups()
        current[key] = quoted if quoted is not None else plain.strip()
    return pools


def _assignments(target: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping) and set(value) != {SM_PATH} and value:
        for key, element in value.items():
            if not isinstance(key, str) or re.match(r"-?[0-9]+\Z", key):
                raise ValueError(f"{target}: the key {key!r} is a number: write a list")
            yield from _assignments(f"{target}[{_quote(key, target)}]", element)
    elif isinstance(value, (list, tuple)) and value:
        for position, element in enumerate(value):
            yield from _assignments(f"{target}[{position}]", element)
    else:
        yield f"{target} = {_literal(value, target)};"


def _literal(value: Any, target: str) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise ValueError(f"{target}: {value} does not fit PHP's integers of 64 bits")
        return str(value)
    if isinstance(value, str):
        return _quote(value, target)
    if isinstance(value, Mapping) and value:
        return f"{SM_PATH} . {_quote(str(value[SM_PATH]), target)}"
    if isinstance(value, (list, tuple, Mapping)):
        return "array()"
    raise ValueError(
        f"{target}: {value!r} has no form in PHP settings: a text, an integer, true, false, null, a list or a mapping"
    )


def _quote(text: str, target: str) -> str:
    if "\0" in text:
        raise ValueError(f"{target}: a NUL character cannot be part of a setting")
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _unquote(body: str) -> str:
    """The text of a single-quoted string: only ``\\\\`` and ``\\'`` are escapes (PHP manual, "Strings")."""
    return re.sub(r"\\([\\'])", r"\1", body)


def _value(literal: re.Match[str], text: str, position: int) -> Any:
    found = literal.groupdict()
    content: Any
    if found["single"] is not None:
        content = _unquote(found["single"])
    elif found["double"] is not None:
        content = re.sub(r"\\([\\\"$])", r"\1", found["double"])
    elif found["base"]:
        raise _unreadable(text, position)
    elif found["integer"] is not None:
        content = int(found["integer"])
    elif found["word"] is not None:
        content = {"true": True, "false": False, "null": None}[found["word"].lower()]
    else:
        content = []
    return {SM_PATH: content} if found["base"] else content


class _Array(dict[Any, Any]):
    """An array of PHP while it is read: keys of both kinds, in the order they came."""


def _assign(arrays: dict[str, Any], name: str, keys: list[int | str | None], value: Any) -> None:
    """Put a value into the array of that name; the key ``None`` (``[]``) is the next free number."""
    place: dict[Any, Any] = arrays
    key: int | str = name
    for index in keys:
        if not isinstance(place.get(key), _Array):
            place[key] = _Array()
        place = place[key]
        key = 1 + max((k for k in place if isinstance(k, int)), default=-1) if index is None else index
    place[key] = value


def _settled(value: Any, name: str) -> Any:
    if not isinstance(value, _Array):
        return value
    if list(value) == list(range(len(value))):
        return [_settled(element, name) for element in value.values()]
    if any(isinstance(key, int) for key in value):
        raise ValueError(f"${name}: an array with other numbers than 0, 1, 2 ... in order is neither list nor mapping")
    return {key: _settled(element, name) for key, element in value.items()}


def _skip(text: str, position: int) -> int:
    skipped = _SKIPPED.match(text, position)
    return skipped.end() if skipped else position


def _unreadable(text: str, position: int) -> ValueError:
    number = text.count("\n", 0, position) + 1
    line = text[position:].split("\n", 1)[0].strip()
    return ValueError(f"line {number}: not the assignment of a literal: {line!r}")


def _pool_value(value: Any, place: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(f"{place}: {value!r} is neither a text nor an integer")
    text = str(value)
    if re.search(r"[\x00-\x1f\"\\]|\$\{", text):
        raise ValueError(f"{place}: {text!r} holds a quote, a backslash, ${{ or a control character")
    plain = re.match(r"[A-Za-z0-9_./:@$-]*\Z", text)
    return text if plain else f'"{text}"'
