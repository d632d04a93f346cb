"""Disposable mail hosts in containers, reached by SSH like any other host.

`Lab` is the one way in; Docker is known in this package alone.
"""

from __future__ import annotations

from valija.lab.lab import Lab, list_labs
from valija.lab.state import Host

__all__ = ["Host", "Lab", "list_labs"]
