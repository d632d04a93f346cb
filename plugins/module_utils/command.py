"""The seam to other programs: every command that our modules run on a host goes through `run`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NOT_FOUND = 127

# What a program that asks for nothing and speaks English needs; everything else of our environment stays.
_ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "LANGUAGE": "C",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}


@dataclass(frozen=True)
class Done:
    """A command that ended: its exit code (127 when there is no such program), and what it said, as text."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        return self.code == 0

    def last_words(self, lines: int = 12) -> str:
        """The end of what it said, on standard error or else on standard output, for a message to a person."""
        said = (self.err.strip() or self.out.strip()).splitlines()[-lines:]
        return "\n".join(said) or f"exit code {self.code}"


def run(
    argv: Sequence[str],
    *,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float | None = None,
) -> Done:
    """Run a program without a shell and wait for it; a missing program and a time-out are results, not exceptions."""
    try:
        ended = subprocess.run(
            list(argv),
            input=stdin if stdin is not None else "",
            env={**os.environ, **_ENVIRONMENT, **(environment or {})},
            capture_output=True,
            timeout=timeout_seconds,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except FileNotFoundError:
        return Done(tuple(argv), NOT_FOUND, "", f"{argv[0]}: no such program")
    except PermissionError as error:
        return Done(tuple(argv), 126, "", f"{argv[0]}: {error.strerror}")
    except subprocess.TimeoutExpired:
        return Done(tuple(argv), 124, "", f"{' '.join(argv)}: no end after {timeout_seconds:g} s")
    return Done(tuple(argv), ended.returncode, ended.stdout, ended.stderr)
