"""A value against its option in an argument specification: type, choices, required and unknown keys.

Types and choices are judged by ansible-core's own validator, one value at a time, so that each finding has its path. On
top of it: what YAML made of an unquoted word, and text where a list belongs, which ansible-core converts silently.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import ArgumentValueError
from ansible_collections.valija.mailserver.plugins.module_utils.finding import Finding, Steps, not_text
from ansible_collections.valija.mailserver.plugins.plugin_utils.resolve import UNRESOLVED

NOT_KNOWN = "is not known"
NOT_SET = "is not set"

_KINDS = {
    "bool": ("is not a boolean", "Write true or false."),
    "int": ("is not a whole number", "Write digits alone."),
    "float": ("is not a number", "Write a number."),
    "list": ("is not a list", "Write a list: [one, two], or one item a line behind a dash."),
    "dict": ("is not a mapping", "Write keys and values."),
}


def check_value(path: Steps, value: Any, option: dict[str, Any]) -> list[Finding]:
    """What is wrong with a value that the site set."""
    if value is UNRESOLVED:
        return []
    if value is None:
        problem = NOT_SET if option.get("required") else "is empty"
        return [Finding(path, None, problem, "Write a value, or remove the line.")]
    kind = option.get("type", "str")
    if kind in ("str", "path"):
        wrong = not_text(path, value)
        if wrong:
            return [wrong]
    misfit = {
        "list": not isinstance(value, list),
        "dict": not isinstance(value, dict),
        "int": isinstance(value, bool),
    }
    if misfit.get(kind):
        return [Finding(path, None if _holds_secrets(option) else value, *_KINDS[kind])]
    findings: list[Finding] = []
    if kind not in ("str", "list", "dict") or ("choices" in option and kind != "list"):
        findings += _by_ansible(path, value, option, secret=_holds_secrets(option))
    if kind == "list":
        element = {**option, "type": option.get("elements", "raw"), "required": False}
        element.pop("elements", None)
        for position, part in enumerate(value):
            findings += check_value((*path, position), part, element) if "elements" in option else []
    elif kind == "dict" and "options" in option:
        findings += _check_keys(path, value, option["options"])
    return findings


def _holds_secrets(option: dict[str, Any]) -> bool:
    """Whether the value, or a part of it where a secret belongs, must not be shown."""
    return bool(option.get("no_log")) or any(part.get("no_log") for part in (option.get("options") or {}).values())


def _check_keys(path: Steps, value: dict[str, Any], options: dict[str, Any]) -> list[Finding]:
    findings: list[Finding] = []
    for key, part in value.items():
        if key in options:
            findings += check_value((*path, str(key)), part, options[key])
        else:
            findings.append(unknown((*path, str(key)), str(key), options))
    for key, option in options.items():
        if option.get("required") and key not in value:
            findings.append(Finding((*path, key), None, NOT_SET, f"Add {key}: {_first_sentence(option)}"))
    return findings


def unknown(path: Steps, name: str, known: Iterable[str]) -> Finding:
    """The finding for a name that nothing knows, with the name that was probably meant."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.7)
    listed = f"Known here: {', '.join(names)}." if len(names) <= 12 else "Remove it, or see the reference of variables."
    return Finding(path, None, NOT_KNOWN, f"Did you mean {close[0]}?" if close else listed)


def missing(name: str, option: dict[str, Any]) -> Finding:
    """The finding for a required variable that the site does not set."""
    return Finding((name,), None, NOT_SET, f"Set it here: {_first_sentence(option)}")


def _by_ansible(path: Steps, value: Any, option: dict[str, Any], *, secret: bool) -> list[Finding]:
    name = str(path[-1])
    leaf = {key: option[key] for key in ("type", "choices") if key in option}
    result = ArgumentSpecValidator({name: leaf}).validate({name: value}, validate_role_argument_spec=True)
    if not result.error_messages:
        return []
    shown = None if secret else value
    if isinstance(result.errors[0], ArgumentValueError):
        choices = [str(choice) for choice in leaf.get("choices", [])]
        close = difflib.get_close_matches(str(value), choices, n=1)
        problem = f"is not one of {', '.join(choices)}"
        return [Finding(path, shown, problem, f"Did you mean {close[0]}?" if close else "Write one of them.")]
    problem, remedy = _KINDS.get(leaf.get("type", "str"), ("has the wrong type", "See the reference of variables."))
    return [Finding(path, shown, problem, remedy)]


def _first_sentence(option: dict[str, Any]) -> str:
    """What the option means, from the specification, without its markup."""
    description = option.get("description", "")
    text = " ".join(description) if isinstance(description, list) else str(description)
    sentence = re.sub(r"\b[A-Z]\(([^)]*)\)", r"\1", text).split(". ")[0].rstrip(".")
    return f"{sentence[:1].lower()}{sentence[1:]}."
