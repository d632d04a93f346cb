"""Pieces of Markdown, and Ansible's markup in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

# docs.ansible.com, "Ansible markup": code, option, value, return value, environment variable, module.
_CODE = re.compile(r"\b(?:C|O|V|RV|E|M)\(((?:\\.|[^)\\])*)\)")
_STRESS = re.compile(r"\b[IB]\(([^)]*)\)")
_SECTION = re.compile(r"(`[^`]*`)")


def code(text: str) -> str:
    """Code inside a sentence."""
    return f"`{text}`"


def prose(text: str) -> str:
    """A sentence with Ansible's markup as Markdown; what a forge would take for HTML is escaped outside of code."""
    marked = _STRESS.sub(r"*\1*", _CODE.sub(lambda found: code(found[1].replace("\\", "")), " ".join(text.split())))
    parts = _SECTION.split(marked)
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)


def paragraphs(description: str | Sequence[str]) -> str:
    """A description as paragraphs."""
    texts = [description] if isinstance(description, str) else description
    return "\n\n".join(prose(text) for text in texts)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def value(default: Any) -> str:
    """A default as YAML's one-line form writes it."""
    return code(default if isinstance(default, str) and default else json.dumps(default, ensure_ascii=False))


def options(specification: dict[str, Any], nested: str, prefix: str = "") -> list[list[str]]:
    """Rows (name, type, default, meaning) of an argument specification; `nested` is the key of what is inside."""
    rows = []
    for name, option in specification.items():
        kind = option.get("type", "str")
        if kind == "list":
            kind = f"list of {option.get('elements', 'any')}"
        default = "**required**" if option.get("required") else value(option["default"]) if "default" in option else ""
        description = option["description"]
        meaning = [prose(text) for text in ([description] if isinstance(description, str) else description)]
        if "choices" in option:
            meaning.append(f"One of {', '.join(code(str(choice)) for choice in option['choices'])}.")
        rows.append([code(f"{prefix}{name}"), kind, default, " ".join(meaning)])
        inner = f"{prefix}{name}[]." if option.get("type") == "list" else f"{prefix}{name}."
        rows += options(option.get(nested) or {}, nested, inner)
    return rows
