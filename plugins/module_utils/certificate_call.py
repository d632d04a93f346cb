"""What one call of the module `certificate` does to the certificate, beside the role's files and services."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.valija.mailserver.plugins.module_utils import acme, certificate, certificates
from ansible_collections.valija.mailserver.plugins.module_utils.certificate import BadCertificate, Certificate
from ansible_collections.valija.mailserver.plugins.module_utils.certificates import Settings, Store
from ansible_collections.valija.mailserver.plugins.module_utils.checking import Refused
from ansible_collections.valija.mailserver.plugins.module_utils.services import ServiceError


@dataclass(frozen=True)
class Call:
    """What is asked for.

    ``digest`` is that of the operator's own PEM text (source files); the text follows when the host asks for it.
    ``issue`` has the ACME CA asked, which needs the web server.
    """

    settings: Settings
    digest: str = ""
    pem: str = ""
    issue: bool = False


def call_of(data: Mapping[str, Any]) -> Call:
    """The call from the plain values that travelled."""
    settings = certificates.settings_of(data["settings"])
    return Call(settings, data.get("digest") or "", data.get("pem") or "", bool(data.get("issue")))


def digest(text: str) -> str:
    """What tells one PEM text from another without showing it."""
    return hashlib.sha256(text.encode()).hexdigest()


def settle(call: Call, result: dict[str, Any], store: Store, *, check_mode: bool) -> dict[str, Any]:
    """The module's result, completed: the certificate is what is asked for, or is told to become so. Raises Refused.

    ``needs`` in it asks the control node to call again, with the PEM text.
    """
    if result.get("needs"):
        return {**result, "needs": [*result["needs"], "certificate"]}
    now = time.time()
    try:
        why = _why(call, store, now)
        if why and call.digest and not call.pem and not check_mode:
            return {"changed": False, "needs": ["certificate"]}
        before = store.current()[1]
        if check_mode:
            after = f"a new certificate: {why}\n" if why else certificates.described(before)
            return _told(call, store, result, before, after, changed=bool(why))
        changed, reloaded = _bring(call, store, why)
    except BadCertificate as error:
        raise Refused(f"The certificate {error}") from error
    except ServiceError as error:
        raise Refused(f"The new certificate is in place, and a service did not load it: {error}") from error
    after = certificates.described(store.current()[1])
    result = {**result, "reloaded": [*result.get("reloaded", []), *reloaded]}
    return _told(call, store, result, before, after, changed=changed or bool(reloaded))


def _why(call: Call, store: Store, now: float) -> str:
    """Why something is to be done about the certificate; empty when nothing is."""
    settings = call.settings
    if settings.source == "selfsigned":
        why = store.why_renew(now)
    elif settings.source == "files":
        why = "" if digest(store.text()) == call.digest else "the files differ"
    elif call.issue and settings.acme:
        why = acme.why_issue(settings.acme, settings.names, now)
    else:
        # Until the CA has given another one, a certificate that lacks a new name is better than one that nobody trusts.
        why = store.why_not(now, for_any_name=True)
        if not why and not issue_due(settings, now) and store.text() != acme.lineage().text:
            why = "certbot's is not in place"
    return why or ("" if store.has_permissions() else "its owner or its mode differs")


def issue_due(settings: Settings, now: float) -> bool:
    """Whether the ACME CA is still to be asked."""
    return bool(settings.acme and acme.why_issue(settings.acme, settings.names, now))


def _bring(call: Call, store: Store, why: str) -> tuple[bool, tuple[str, ...]]:
    """Do it: whether the certificate changed, and the units that were reloaded."""
    settings = call.settings
    if why and call.issue and settings.acme:
        acme.obtain(settings.acme, settings.names)  # its hook delivers already, and takes the lock
    with certificates.alone():
        return _put(call, store, time.time()) if why else False, store.reload()


def _put(call: Call, store: Store, now: float) -> bool:
    source = call.settings.source
    if source == "files":
        return store.deliver(certificate.pem_of(call.pem), now)
    if source == "acme" and (call.issue or not issue_due(call.settings, now)):
        return store.deliver(acme.lineage(), now) or call.issue
    if not (store.why_renew(now) if source == "selfsigned" else store.why_not(now, for_any_name=True)):
        return store.close()
    return store.renew(now)  # for acme, so that the daemons start, and the CA finds the web server


def _told(
    call: Call, store: Store, result: dict[str, Any], before: Certificate | None, after: str, *, changed: bool
) -> dict[str, Any]:
    described = certificates.described(before)
    differs = changed and described != after
    path = str(store.pem)
    diff = [{"before_header": path, "after_header": path, "before": described, "after": after}] if differs else []
    _, leaf = store.current()
    shown = {"serial": leaf.serial, "ends": certificate.day(leaf.ends), "names": list(leaf.names)} if leaf else None
    return {
        **result,
        "changed": bool(result.get("changed")) or changed,
        "diff": [*(result.get("diff") or []), *diff],
        "paths": [*result.get("paths", []), *([path] if differs else [])],
        "certificate": shown,
        "ca_pem": store.authority.root_text() if call.settings.source == "selfsigned" else "",
        "issue_due": not call.issue and issue_due(call.settings, time.time()),
    }
