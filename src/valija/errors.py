"""The one error family: its text says what is wrong and what to do next."""

from __future__ import annotations


class ValijaError(Exception):
    """Something failed while working: a host, a check, a tool. Becomes exit code 1."""

    exit_code = 1


class InputError(ValijaError):
    """What the user gave is wrong; nothing was touched. Becomes exit code 2."""

    exit_code = 2
