"""Lookup tables that a program makes from their sources: made aside, and put in their place whole.

The outputs come first, then the source: what a killed run leaves behind is a source that the next one still has to
write, never a new source with an old table. A daemon that has the old table open reads on in it; Postfix sees that it
has no name any more, and opens the new one for its next client (dict_changed_name() in postfix/src/util/dict.c).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ansible_collections.valija.mailserver.plugins.module_utils import files, landing
from ansible_collections.valija.mailserver.plugins.module_utils.checking import must_pass
from ansible_collections.valija.mailserver.plugins.module_utils.request import Check


def compile_aside(wanted: files.Wanted) -> None:
    """Make the outputs of a wanted file from its content, in a folder for root alone, and rename each into place.

    The command and the names of its outputs hold the path of their source. Raises checking.Refused, with what the
    command said; the outputs are then as they were.
    """
    assert wanted.compile
    aside = landing.beside(wanted.path)
    landing.clear(aside)
    for parent in landing.missing_parents(wanted.path):
        Path(parent).mkdir(0o755)
    aside.mkdir(0o700)
    try:
        source = str(aside / Path(wanted.path).name)
        uid, gid = files.user_id(wanted.owner), files.group_id(wanted.group)
        landing.write_file(source, wanted.content, uid or 0, gid or 0, wanted.mode)
        command = tuple(word.replace(wanted.path, source) for word in wanted.compile.command)
        must_pass(Check(command), f"{wanted.path} cannot be compiled")
        for output in wanted.compile.outputs:
            made = Path(output.replace(wanted.path, source))
            with made.open("rb") as stream:
                os.fsync(stream.fileno())
            made.rename(output)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    landing.sync_folder(wanted.path)
