"""Modules, filters, lookups and the callback, from their DOCUMENTATION, as `ansible-doc` reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from markdown import options, paragraphs, prose, table

COLLECTION = "valija.mailserver"
KINDS = {"module": "Modules", "filter": "Filters", "lookup": "Lookups", "callback": "Callback"}


def page() -> str:
    """One section for each plugin."""
    return "\n\n".join(["# Plugins", *(kind_section(kind, heading) for kind, heading in KINDS.items())])


def kind_section(kind: str, heading: str) -> str:
    """All plugins of a kind."""
    names = ansible_doc("--list", "-t", kind, COLLECTION)
    plugins = ansible_doc("-t", kind, *names)
    return "\n\n".join([f"## {heading}", *(section(name, plugins[name]) for name in sorted(plugins))])


def ansible_doc(*words: str) -> dict[str, Any]:
    """What `ansible-doc --json` says, from a folder without settings."""
    program = Path(sys.executable).parent / "ansible-doc"
    found: dict[str, Any] = json.loads(
        subprocess.run([program, "--json", *words], cwd="/", check=True, capture_output=True, text=True).stdout
    )
    return found


def section(name: str, plugin: dict[str, Any]) -> str:
    """What one plugin does, takes and returns."""
    document = plugin["doc"]
    parts = [f"### {name}", f"{prose(document['short_description'])}.", paragraphs(document["description"])]
    if rows := options(document.get("options") or {}, "suboptions"):
        parts.append(table(["Option", "Type", "Default", "Meaning"], rows))
    if plugin.get("return"):
        parts += ["Returns:", table(["Name", "Type", "Meaning"], [returned(*one) for one in plugin["return"].items()])]
    if plugin.get("examples"):
        parts.append(f"```yaml\n{plugin['examples'].strip()}\n```")
    return "\n\n".join(parts)


def returned(name: str, entry: dict[str, Any]) -> list[str]:
    """A row of the returned values."""
    description = entry["description"]
    texts = [description] if isinstance(description, str) else description
    return [f"`{name}`", entry.get("type", ""), " ".join(prose(text) for text in texts)]
