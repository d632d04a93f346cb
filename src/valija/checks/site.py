"""The site as Ansible resolved it: the only source of expected values."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from valija.errors import InputError
from valija.messages import _

SCHEMA = 1


@dataclass(frozen=True)
class Account:
    """A mailbox made for the checks alone."""

    name: str
    password: str = field(repr=False)
    address: str


@dataclass(frozen=True)
class Listener:
    """A declared listener; `address` is `any` or `loopback`."""

    port: int
    address: str
    service: str
    role: str
    protocol: str = "tcp"


@dataclass(frozen=True)
class Tls:
    """Where the certificate comes from (`mail_tls_source`), whom to trust, and the names that it bears.

    `ca_pem` is empty where the CA is one that this machine trusts.
    """

    source: str
    ca_pem: str = field(repr=False)
    names: tuple[str, ...]


@dataclass(frozen=True)
class PeerBlock:
    """The rest of the Internet, as the lab plays it.

    `block_list` holds its `zone`, and by protocol the strangers that it has `listed`, or has an error for (`disputed`).
    """

    addresses: dict[str, str]
    api: str
    domains: dict[str, str]
    strangers: dict[str, list[str]]
    block_list: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Site:
    """One host of a site; `addresses` holds `ipv4` and `ipv6` as far as the services listen there.

    `accounts` are the names of all that are declared, in the inventory and in its file, and not disabled or gone.
    `outside` tells whether the checks run on another machine: on the host itself they cannot speak as the world does.
    `tls` is None where the site has no certificate: mail is read in clear text and nobody logs in to send.
    """

    name: str
    release: str
    domain: str
    hostname: str
    addresses: dict[str, str]
    ssh: dict[str, Any]
    outside: bool
    mail: dict[str, Any]
    listens: tuple[Listener, ...]
    probe: tuple[Account, ...]
    peer: PeerBlock | None
    files: dict[str, Any]
    accounts: tuple[str, ...] = ()
    tls: Tls | None = None

    @property
    def families(self) -> list[str]:
        """`ipv4` and `ipv6`, as far as the site has an address there and asks for the protocol."""
        asked = {"all": ("ipv4", "ipv6")}.get(self.protocols, (self.protocols,))
        return [family for family in asked if family in self.addresses]

    @property
    def protocols(self) -> str:
        return str(self.mail.get("mail_inet_protocols", "all"))

    @property
    def domains(self) -> list[str]:
        return [self.domain, *(str(domain) for domain in self.mail.get("mail_domains") or [])]

    @property
    def webmail(self) -> str:
        return str(self.mail.get("mail_webmail", "none"))

    @property
    def size_limit(self) -> int:
        """The largest message, in octets."""
        return int(self.mail.get("mail_message_size_mib", 0)) * 1024 * 1024

    def listens_on(self, service: str) -> bool:
        return any(listener.service == service for listener in self.listens)


def load(path: Path) -> Site:
    """Read the site file; raises InputError with what is wrong."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(_("The site file {path} cannot be read: {error}").format(path=path, error=error)) from error
    return from_mapping(data)


def from_mapping(data: dict[str, Any]) -> Site:
    """A site from the mapping that `prove` writes."""
    if data.get("schema") != SCHEMA:
        raise InputError(
            _("The site file has schema {schema!r}; this suite reads {wanted}.").format(
                schema=data.get("schema"), wanted=SCHEMA
            )
        )
    peer, tls = data.get("peer"), data.get("tls")
    return Site(
        name=data["name"],
        release=data.get("release", ""),
        domain=data["domain"],
        hostname=data["hostname"],
        addresses={family: address for family, address in data["addresses"].items() if address},
        ssh=data.get("ssh") or {"local": True},
        outside=bool(data.get("outside", True)),
        mail=data.get("mail", {}),
        listens=tuple(
            Listener(
                int(item["port"]),
                item.get("address", "any"),
                item.get("service", ""),
                item.get("role", ""),
                item.get("protocol", "tcp"),
            )
            for item in data.get("listens", [])
        ),
        probe=tuple(Account(item["name"], item["password"], item["address"]) for item in data.get("probe", [])),
        peer=PeerBlock(
            {family: peer[family] for family in ("ipv4", "ipv6") if peer.get(family)},
            peer["api"],
            dict(peer.get("domains", {})),
            dict(peer.get("strangers", {})),
            dict(peer.get("block_list", {})),
        )
        if peer
        else None,
        files=data.get("files", {}),
        accounts=tuple(data.get("accounts", [])),
        tls=Tls(tls.get("source", ""), tls.get("ca_pem", ""), tuple(tls.get("names") or [])) if tls else None,
    )
