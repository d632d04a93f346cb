"""The lab's CA vouches for the peer as a client sees it."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

from valija.lab.peer import authority


def test_a_client_that_trusts_the_ca_accepts_the_peer_by_name_and_keeps_its_certificates(tmp_path: Path) -> None:
    authority.ensure(tmp_path, ["mx1.remote.test"], ["198.51.100.3"])
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(tmp_path / "peer.pem", tmp_path / "peer.key")
    client = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    near, far = socket.socketpair()
    accepting = threading.Thread(target=lambda: server.wrap_socket(far, server_side=True).close())
    accepting.start()
    with client.wrap_socket(near, server_hostname="mx1.remote.test") as talk:
        assert talk.version() == "TLSv1.3"
    accepting.join()
    before = (tmp_path / "ca.pem").read_bytes()
    authority.ensure(tmp_path, ["mx1.remote.test"], ["198.51.100.3"])
    assert (tmp_path / "ca.pem").read_bytes() == before
    authority.ensure(tmp_path, ["mx1.remote.test"], ["198.51.100.67"])
    assert (tmp_path / "ca.pem").read_bytes() != before
    assert (tmp_path / "peer.key").stat().st_mode & 0o777 == 0o600
