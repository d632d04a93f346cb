"""Run the suite with its own settings, whatever pytest settings and plugins the caller's environment has."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

HERE = Path(__file__).parent


def arguments(given: list[str]) -> list[str]:
    """pytest's command line: our ini file and folder, our plugin, nothing written beside the code."""
    return [
        "--pyargs", "valija.checks",
        "-c", str(HERE / "pytest.ini"),
        "--rootdir", str(HERE),
        "-p", "valija.checks.plugin",
        "-p", "no:cacheprovider",
        *given,
    ]  # fmt: skip


def main() -> int:
    """pytest's exit code: 0 all passed, 1 some failed, 2 interrupted, 4 wrong usage, 5 no check was run."""
    os.environ.pop("PYTEST_ADDOPTS", None)
    os.environ.pop("PYTEST_PLUGINS", None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    sys.dont_write_bytecode = True
    import pytest

    words = sys.argv[1:]
    if "--with-parent" in words:
        words.remove("--with-parent")
        threading.Thread(target=_end_with_parent, args=(os.dup(sys.stdin.fileno()),), daemon=True).start()
    given = [_absolute(word, before) for before, word in zip(["", *words], words, strict=False)]
    os.chdir(HERE)  # so that a check is shown as test_session.py::..., wherever the package is installed
    return int(pytest.main(arguments(given)))


def _end_with_parent(pipe: int) -> None:
    """Interrupt this process when the other end of its standard input is closed: whoever started it is gone."""
    while os.read(pipe, 4096):
        pass
    os.kill(os.getpid(), signal.SIGINT)


def _absolute(word: str, option: str) -> str:
    return str(Path(word).absolute()) if option in ("--site", "--report-dir", "--junitxml") else word


if __name__ == "__main__":
    sys.exit(main())
