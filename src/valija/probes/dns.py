"""Look-ups that the checks need, by dnspython."""

from __future__ import annotations

import dns.exception
import dns.resolver


def look_up(name: str, kind: str, server: str | None = None, within: float = 5.0) -> list[str]:
    """The records of a name, as text, sorted; empty when there are none or nobody answers in `within` seconds."""
    resolver = dns.resolver.Resolver(configure=server is None)
    if server is not None:
        resolver.nameservers = [server]
    resolver.lifetime = within
    try:
        return sorted(record.to_text() for record in resolver.resolve(name, kind))
    except dns.exception.DNSException:
        return []
