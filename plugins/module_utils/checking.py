"""The product's own checkers, run on a staged copy of the files before these are written, and on the host after."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ansible_collections.valija.mailserver.plugins.module_utils import files, landing
from ansible_collections.valija.mailserver.plugins.module_utils.command import run
from ansible_collections.valija.mailserver.plugins.module_utils.request import Check, Request

STAGE = "{stage}"
TIMEOUT_SECONDS = 120.0


class Refused(Exception):  # noqa: N818 - a verdict, not an error of ours
    """The product, or the host, does not take what is wanted; the text holds its own words."""


def must_pass(check: Check, what: str, stage: str = "") -> None:
    """Run a check; ``{stage}`` in it becomes the folder. Raises Refused, which begins with ``what``."""
    done = run([word.replace(STAGE, stage) for word in check.command], timeout_seconds=TIMEOUT_SECONDS)
    if not done.ok or (check.fails_on and re.search(check.fails_on, done.err, re.MULTILINE)):
        words = done.last_words()
        raise Refused(f"{what}: {' '.join(check.command)}\n{words.replace(stage, '') if stage else words}")


def try_staged(request: Request, folder: Path, *, check_mode: bool) -> None:
    """Write the wanted files below a folder of their own, and let the product's checkers read them there.

    The folder is made anew, for root alone, and removed in the end. In check mode a checker whose package is not on
    the host yet is left out.
    """
    checks = [check for check in request.stage_checks if not check_mode or shutil.which(check.command[0])]
    if not checks:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        for wanted in request.files:
            _stage(wanted, Path(f"{folder}{wanted.path}"))
        for check in checks:
            must_pass(check, "The new files were refused before they were written", str(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stage(wanted: files.Wanted, path: Path) -> None:
    if wanted.state == "absent":
        return
    (path if wanted.state == "directory" else path.parent).mkdir(parents=True, exist_ok=True)
    if wanted.state == "link":
        path.symlink_to(wanted.target)
    elif wanted.state == "file":
        uid, gid = files.user_id(wanted.owner), files.group_id(wanted.group)
        landing.write_file(str(path), wanted.content, uid or 0, gid or 0, wanted.mode, landing.settled_ns())
