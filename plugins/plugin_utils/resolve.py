"""Values of variables, resolved one by one, so that one bad template does not hide what is wrong elsewhere."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.valija.mailserver.plugins.module_utils.finding import Finding, Steps


class _Unresolved:
    """Stands where a value could not be had; there is one of it."""

    def __repr__(self) -> str:
        return "(unresolved)"


UNRESOLVED: Any = _Unresolved()


def resolve(path: Steps, raw: Any, templar: Any) -> tuple[Any, list[tuple[Steps, AnsibleError]]]:
    """The value, with UNRESOLVED for each part that failed, and the failures.

    The whole is tried first, which is quick; only a failure is looked for part by part.
    """
    try:
        return templar.template(raw), []
    except AnsibleError as error:
        if not isinstance(raw, (dict, list)):
            return UNRESOLVED, [((*path,), error)]
    failures: list[tuple[Steps, AnsibleError]] = []

    def part(step: str | int, value: Any) -> Any:
        resolved, failed = resolve((*path, step), value, templar)
        failures.extend(failed)
        return resolved

    if isinstance(raw, dict):
        return {key: part(str(key), value) for key, value in raw.items()}, failures
    return [part(position, value) for position, value in enumerate(raw)], failures


def with_placeholders(value: Any) -> Any:
    """The value with a text for each part that could not be resolved, so that rules see that something is there.

    Texts come without Ansible's marks of their origin, which make copies of long lists slow.
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, dict):
        return {with_placeholders(key): with_placeholders(part) for key, part in value.items()}
    if isinstance(value, list):
        return [with_placeholders(part) for part in value]
    return repr(value) if value is UNRESOLVED else value


def is_whole(value: Any) -> bool:
    """Whether every part of the value could be resolved."""
    if isinstance(value, dict):
        return all(is_whole(part) for part in value.values())
    if isinstance(value, list):
        return all(is_whole(part) for part in value)
    return value is not UNRESOLVED


def failure(path: Steps, error: AnsibleError) -> Finding:
    """What a person is told about a value that could not be resolved."""
    reason = str(error).splitlines()[0].rstrip(".")
    if "vault secrets" in reason or "Decryption failed" in reason:
        remedy = "Give the vault's password: vault_password_file in ansible.cfg, or ANSIBLE_VAULT_PASSWORD_FILE."
        return Finding(path, None, "is encrypted and cannot be read", remedy)
    return Finding(path, None, f"cannot be resolved ({reason})", "Set what the template names, or correct it.")
