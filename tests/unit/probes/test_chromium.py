"""What a browser needs, and what its transcript must not say."""

from __future__ import annotations

import http.server
import importlib.util
import shutil
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from valija.probes.browser import chromium


def test_without_playwright_the_reason_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install 'valija[browser]'" in chromium.missing()


def test_without_chromium_the_reason_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "apt-get install chromium" in chromium.missing()


def test_with_both_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def which(name: str) -> Any:
        return f"/usr/bin/{name}" if name == "chromium-browser" else None

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(shutil, "which", which)
    assert chromium.missing() == ""
    assert chromium.program() == "/usr/bin/chromium-browser"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("/webmail/?_task=logout&_token=abc", "/webmail/?_task=logout&_token=********"),
        ("/webmail/src/empty_trash.php?smtoken=x1&a=b", "/webmail/src/empty_trash.php?smtoken=********&a=b"),
        ("/webmail/", "/webmail/"),
    ],
)
def test_tokens_are_masked(url: str, shown: str) -> None:
    assert chromium._shown(f"http://mail.example.org{url}") == shown


@pytest.fixture
def https_page() -> Iterator[tuple[int, trustme.CA]]:
    """A page at 127.0.0.1 with a certificate for mail.example.test, of a CA that nobody knows: its port and the CA."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("mail.example.test").configure_cert(context)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port, ca
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.skipif(bool(chromium.missing()), reason=chromium.missing())
def test_the_browser_takes_the_proved_key_and_no_other(https_page: tuple[int, trustme.CA]) -> None:
    port, ca = https_page
    context = ssl.create_default_context()
    ca.configure_trust(context)
    key = chromium.proved_key("mail.example.test", "127.0.0.1", context, port=port)
    url = f"https://mail.example.test:{port}/"
    for keys, opens in (([key], True), ([], False), ([chromium.key_digest(trustme_leaf())], False)):
        with chromium.open_browser({"mail.example.test": "127.0.0.1"}, keys) as browser:
            page = browser.new_page()
            try:
                answer = page.goto(url)
            except Exception as error:
                assert "ERR_CERT_AUTHORITY_INVALID" in str(error)
                answer = None
            assert (answer is not None and answer.ok) is opens, keys


def test_a_key_is_proved_by_a_certificate_that_was_verified(https_page: tuple[int, trustme.CA]) -> None:
    port, ca = https_page
    with pytest.raises(ssl.SSLCertVerificationError):
        chromium.proved_key("mail.example.test", "127.0.0.1", ssl.create_default_context(), port=port)
    context = ssl.create_default_context()
    ca.configure_trust(context)
    with pytest.raises(ssl.SSLCertVerificationError):
        chromium.proved_key("other.example.test", "127.0.0.1", context, port=port)


def trustme_leaf() -> bytes:
    """Some certificate of another CA, in DER."""
    pem = trustme.CA().issue_cert("mail.example.test").cert_chain_pems[0].bytes().decode()
    return ssl.PEM_cert_to_DER_cert(pem)
