"""Programs that stay on a host and run there without us: parts of the shared library, shipped as one tree."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path
from typing import Any

from ansible_collections.valija.mailserver.plugins.plugin_utils.archives import packed
from ansible_collections.valija.mailserver.plugins.plugin_utils.local_files import cache_directory, replace

LIBRARY = Path(__file__).parents[1] / "module_utils"
PACKAGE = "ansible_collections.valija.mailserver.plugins.module_utils"


def tree(module: str, path: str) -> dict[str, Any]:
    """The tree at `path` of a host, for `configure`, in which a module of the library finds all that it imports.

    A program puts `path` into sys.path, and must write no bytecode there: the tree is compared as a whole.
    """
    files = {f"{PACKAGE.replace('.', '/')}/{name}.py": (LIBRARY / f"{name}.py").read_bytes() for name in needed(module)}
    content = packed(files)
    archive = cache_directory() / f"{module}-{hashlib.sha256(content).hexdigest()[:12]}.tar"
    if not archive.is_file() or archive.read_bytes() != content:
        archive.parent.mkdir(parents=True, exist_ok=True)
        replace(archive, content)
    return {"path": path, "archive": str(archive)}


def needed(module: str) -> list[str]:
    """The modules of the library that a module of it imports, over as many steps as it takes, and itself."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
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
