"""One thing that is wrong with a site's values, and how it is written down for a person."""

from __future__ import annotations

from dataclasses import dataclass

Step = str | int
Steps = tuple[Step, ...]

# Longer values are cut: a finding is one line.
_SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Finding:
    """What is wrong with one value.

    `path` leads to the value: a variable's name, then keys and list positions (from 0). `value` is what to show of it;
    None shows nothing, as for secrets. `problem` goes on after the name ("is not set"), `remedy` is whole sentences.
    """

    path: Steps
    value: object
    problem: str
    remedy: str

    @property
    def name(self) -> str:
        """The path as one would write it in a template: `mail_accounts[1].name`."""
        return path_name(self.path)

    @property
    def text(self) -> str:
        """`NAME: problem: VALUE. Remedy.`"""
        value = "" if self.value is None else f": {shown(self.value)}"
        return f"{self.name}: {self.problem}{value}. {self.remedy}"


def path_name(path: Steps) -> str:
    """The path as text; a key that is no plain word stands in brackets."""
    name = ""
    for step in path:
        if isinstance(step, int):
            name += f"[{step}]"
        elif not name:
            name = step
        elif step.isidentifier():
            name += f".{step}"
        else:
            name += f"[{step!r}]"
    return name


def shown(value: object) -> str:
    """The value on one line, control characters escaped; of lists and mappings only the size, they may hold secrets."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"a mapping of {len(value)}"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    text = repr(str(value)) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def not_text(path: Steps, value: object) -> Finding | None:
    """What is wrong with a value that should be text, when YAML made something else of it; None for text."""
    if isinstance(value, str):
        return None
    if value is None:
        return Finding(path, None, "is empty", "Write a value, or remove the line.")
    if isinstance(value, bool):
        return Finding(
            path, value, "is a YAML boolean, not text", "Quote it: yes, no, on and off are booleans without quotes."
        )
    if isinstance(value, (list, tuple, dict)):
        return Finding(path, value, "is not text", "Write one value here.")
    kind = "number" if isinstance(value, (int, float)) else "date"
    return Finding(path, value, f"is a YAML {kind}, not text", "Quote it.")
