"""Programs that stay on a host and run there without us: parts of the shared library, as files for `configure`."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

LIBRARY = Path(__file__).parents[1] / "module_utils"
PACKAGE = "ansible_collections.valija.mailserver.plugins.module_utils"

# Where the library lies on a host; a program finds it by this path alone.
ON_HOST = "/usr/local/lib/valija"


def files(program: str) -> list[dict[str, Any]]:
    """The files that a module of the library needs on a host, itself among them, as they are here."""
    return [
        {
            "path": f"{ON_HOST}/{PACKAGE.replace('.', '/')}/{name}.py",
            "state": "file",
            "content": (LIBRARY / f"{name}.py").read_text("utf-8"),
            "mode": "0644",
            "keep": False,
        }
        for name in needed(program)
    ]


def needed(program: str) -> list[str]:
    """The modules of the library that a module of it imports, over as many steps as it takes, and itself."""
    found: list[str] = []
    waiting = [program]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.append(name)
            waiting += _imports(LIBRARY / f"{name}.py")
    return sorted(found)


def _imports(path: Path) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
            names.append((node.module or "").rpartition(".")[2])
    return names
