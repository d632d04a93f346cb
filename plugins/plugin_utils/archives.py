"""Archives for `configure`: trees of files that are shipped to a host as one."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import PurePosixPath

# Every file of an archive carries this time, so that the same files make the same archive.
MTIME = 946684800


def packed(files: Mapping[str, bytes]) -> bytes:
    """A tar archive that depends on nothing but the files: sorted, one time, root's, 0644 and 0755."""
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents if str(parent) != "."}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(folders | set(files)):
            member = tarfile.TarInfo(path)
            member.mtime, member.uname, member.gname = MTIME, "root", "root"
            if path in folders:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(member)
            else:
                member.mode, member.size = 0o644, len(files[path])
                archive.addfile(member, io.BytesIO(files[path]))
    return buffer.getvalue()
