"""The first line of every text file that Valija owns on a host.

It tells a person on the host not to edit the file, and tells our own modules that the file is already ours.
It carries no date and no host name, so that an unchanged file stays byte for byte the same.
"""

from __future__ import annotations

import re

_HEADER = re.compile(r"^\W*Managed by Valija, role [a-z_]+: changes made here are lost\.", re.MULTILINE)


def header(role: str, sign: str = "#") -> str:
    """The header line of a file of ``role``, behind ``sign``, the comment sign of the file's grammar."""
    return f"{sign} Managed by Valija, role {role}: changes made here are lost."


def is_managed(text: str) -> bool:
    """Whether ``text``, the content of a file, carries the header of any role and any comment sign."""
    return _HEADER.search(text) is not None
