"""The peer: the rest of the Internet as the lab's hosts see it."""

from __future__ import annotations

PACKAGES = ("knot", "knot-module-dnsproxy", "knot-dnsutils", "python3-aiosmtpd")
