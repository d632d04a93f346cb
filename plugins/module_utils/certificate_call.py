"""What one call of the module `certificate` does to the certificate, beside the role's files and services."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils import certificate, certificates
from ansible_collections.valija.mailserver.plugins.module_utils.certificate import BadCertificate
from ansible_collections.valija.mailserver.plugins.module_utils.certificates import Settings, Store
from ansible_collections.valija.mailserver.plugins.module_utils.checking import Refused
from ansible_collections.valija.mailserver.plugins.module_utils.services import ServiceError


@dataclass(frozen=True)
class Call:
    """What is asked for. ``digest`` is that of the operator's own PEM text (files), which follows when it differs."""

    settings: Settings
    digest: str = ""
    pem: str = ""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Call:
        """The call from the plain values that travelled."""
        settings = certificates.settings_of(dict(data["settings"]))
        return cls(settings, data.get("digest") or "", data.get("pem") or "")


def digest(text: str) -> str:
    """What tells one PEM text from another without showing it."""
    return hashlib.sha256(text.encode()).hexdigest()


def settle(call: Call, result: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """The module's result, completed: the certificate is what is asked for, or is told to become so. Raises Refused.

    ``needs`` in it asks the control node to call again with the PEM text.
    """
    if result.get("needs"):
        return result
    store, now = Store(call.settings), time.time()
    try:
        why = _why(call, store, now)
        if why and call.digest and not call.pem:
            return {**result, "needs": ["certificate"]}
        before = certificates.described(store.current()[1])
        if check_mode:
            return _told(store, result, before, f"(a new certificate: {why})\n" if why else before, changed=bool(why))
        with certificates.alone():
            changed = _bring(call, store, now) if why else False
            reloaded = store.reload()
    except (BadCertificate, ServiceError) as error:
        raise Refused(f"The certificate {error}.") from error
    after = certificates.described(store.current()[1])
    result = {**result, "reloaded": [*result.get("reloaded", []), *reloaded]}
    return _told(store, result, before, after, changed=changed or bool(reloaded))


def _why(call: Call, store: Store, now: float) -> str:
    """Why something is to be done about the certificate; empty when nothing is."""
    if call.settings.source == "selfsigned":
        why = store.why_renew(now)
    elif call.settings.source == "files":
        why = "" if digest(store.text()) == call.digest else "the files differ"
    else:
        why = store.why_not(now)
    return why or ("" if store.has_permissions() else "its owner or its mode differs")


def _bring(call: Call, store: Store, now: float) -> bool:
    if call.settings.source == "files":
        return store.deliver(certificate.pem_of(call.pem), now)
    if call.settings.source == "selfsigned" and not store.why_renew(now):
        return store.deliver(store.current()[0], now)
    if call.settings.source == "acme" and not store.why_not(now):
        return store.deliver(store.current()[0], now)
    return store.renew(now)  # for acme: so that the daemons start, and the CA finds the web server


def _told(store: Store, result: dict[str, Any], before: str, after: str, *, changed: bool) -> dict[str, Any]:
    diff = list(result.get("diff") or [])
    if changed and before != after:
        path = str(store.pem)
        diff.append({"before_header": path, "after_header": path, "before": before, "after": after})
    _, leaf = store.current()
    shown = {"serial": leaf.serial, "ends": certificate.day(leaf.ends), "names": list(leaf.names)} if leaf else None
    return {
        **result,
        "changed": bool(result.get("changed")) or changed,
        "diff": diff,
        "paths": [*result.get("paths", []), *([str(store.pem)] if changed and before != after else [])],
        "certificate": shown,
        "ca_pem": store.authority.root_text() if store.settings.source == "selfsigned" else "",
        "issue_due": False,
    }
