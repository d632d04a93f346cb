"""Certificates and servers for the client."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from .servers import Behaviour, Running, running

Start = Callable[..., Running]


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "root.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="session")
def certificate(authority: trustme.CA) -> Callable[..., ssl.SSLContext]:
    """A server's context with a certificate for these names."""

    def make(*names: str, **options: object) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names, **options).configure_cert(context)  # type: ignore[arg-type]
        return context

    return make


@pytest.fixture(scope="session")
def context(certificate: Callable[..., ssl.SSLContext]) -> ssl.SSLContext:
    """For this machine."""
    return certificate("localhost", "127.0.0.1")


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a server with this behaviour; it ends with the test."""
    with ExitStack() as stack:
        yield lambda **behaviour: stack.enter_context(running(Behaviour(**behaviour)))
