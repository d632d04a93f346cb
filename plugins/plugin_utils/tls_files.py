"""The files of the control node that `mail_tls_*` name, read as Ansible reads its own: a vault may encrypt them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible_collections.valija.mailserver.plugins.module_utils import certificate
from ansible_collections.valija.mailserver.plugins.module_utils.finding import Finding
from ansible_collections.valija.mailserver.plugins.module_utils.site_tls import (
    CA,
    CERTIFICATE,
    FILES,
    SOURCE,
    Material,
    check_material,
)
from ansible_collections.valija.mailserver.plugins.plugin_utils.accounts_file import path_of


def findings(values: Mapping[str, Any], variables: Mapping[str, Any], loader: DataLoader) -> list[Finding]:
    """What is wrong with the files that the source needs; nothing of the other sources' is read."""
    texts: dict[str, str | None] = {}
    found: list[Finding] = []
    for name in FILES.get(str(values.get(SOURCE)), ()):
        value = values.get(name)
        if not isinstance(value, str) or not value:
            continue
        texts[name], problem = _text(name, value, variables, loader)
        found += [problem] if problem else []
    return [*found, *check_material(values, Material(texts), time.time())]


def trusted(values: Mapping[str, Any], variables: Mapping[str, Any], loader: DataLoader) -> str:
    """The roots (PEM) that the site's files bring along, for those who must verify what the services show.

    They are those in the chain of `files`, and the CA file of acme; empty where a public CA is to be asked.
    """
    name = {"files": CERTIFICATE, "acme": CA}.get(str(values.get(SOURCE)), "")
    if not values.get(name):
        return ""
    blocks = certificate.pem_of(text(str(values[name]), variables, loader)).certificates
    return "".join(f"{block}\n" for block in blocks if certificate.read(block).is_root)


def text(value: str, variables: Mapping[str, Any], loader: DataLoader) -> str:
    """What a file holds. OSError, or AnsibleError for a vault that stays closed."""
    path = path_of(value, variables)
    path.open("rb").close()  # for the system's own word on what is wrong
    return str(loader.get_text_file_contents(str(path)))


def _text(name: str, value: str, variables: Mapping[str, Any], loader: DataLoader) -> tuple[str | None, Finding | None]:
    try:
        return text(value, variables, loader), None
    except OSError as error:
        remedy = "Correct the path (a relative one counts from the inventory's folder), or its permissions."
        return None, Finding((name,), value, f"names a file that cannot be read ({error.strerror})", remedy)
    except (AnsibleError, UnicodeDecodeError) as error:
        if isinstance(error, UnicodeDecodeError) or "utf-8" in str(error):
            return None, Finding((name,), value, "names a file that is no text", "Write it there as PEM.")
        remedy = "Give the vault's password: vault_password_file in ansible.cfg, or ANSIBLE_VAULT_PASSWORD_FILE."
        return None, Finding((name,), value, "is encrypted and cannot be read", remedy)
