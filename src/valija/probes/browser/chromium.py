"""Chromium without a screen, and one window of it that keeps what it asks for and what it is answered.

playwright is an extra (`pip install valija[browser]`), the browser is the distribution's: `missing` says what is not
there, and nothing else of this module works then.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import re
import shutil
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from valija.messages import _
from valija.probes.routes import TIMEOUT_SECONDS
from valija.probes.transcript import MASK, Recorder

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Request, Response

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")

# Nothing of its own on the network, and no guess that a site would rather be asked by https.
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=HttpsUpgrades,HttpsFirstBalancedMode",
)

WAIT_SECONDS = 20.0

_TOKEN = re.compile(r"((?:_token|smtoken)=)[^&]*")
_SHOWN = ("document", "xhr", "fetch")


def program() -> str:
    """Path of the browser; empty when there is none."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), "")


def missing() -> str:
    """What a browser needs and this machine lacks, for a person; empty when all is there."""
    if importlib.util.find_spec("playwright") is None:
        return _("no browser: the Python package playwright is not installed (pip install 'valija[browser]')")
    if not program():
        return _("no browser: there is no Chromium on this machine (apt-get install chromium)")
    return ""


def key_digest(certificate: bytes) -> str:
    """The key of a certificate (DER) as Chromium wants it: SHA-256 of the SubjectPublicKeyInfo, in base64."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    octets = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(octets).digest()).decode()


def proved_key(name: str, address: str, context: ssl.SSLContext, port: int = 443) -> str:
    """The key that an https server has shown in a handshake that `context` has verified, with the server's name.

    Chromium knows no CA of a site's own: it takes this one key, and no other, as if it had been signed by one that it
    knows. Raises ssl.SSLError when the certificate is not good.
    """
    with (
        socket.create_connection((address, port), TIMEOUT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        return key_digest(secure.getpeercert(binary_form=True) or b"")


@contextmanager
def open_browser(hosts: dict[str, str], keys: Sequence[str] = ()) -> Iterator[Browser]:
    """A Chromium with a fresh profile; `hosts` are names with the address at which each is to be found.

    `keys` are those of certificates that it takes beside those of the CAs it knows (`proved_key`).
    """
    from playwright.sync_api import sync_playwright

    rules = ",".join(f"MAP {name} {f'[{it}]' if ':' in it else it}" for name, it in hosts.items())
    options = [*OPTIONS, f"--host-resolver-rules={rules}"]
    if keys:
        options.append(f"--ignore-certificate-errors-spki-list={','.join(keys)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), headless=True, args=options)
        try:
            yield browser
        finally:
            browser.close()


class Window:
    """One window; its size is in CSS pixels. Cookies and language are its own."""

    def __init__(self, browser: Browser, url: str, *, width: int = 1280, height: int = 800) -> None:
        self.url = url
        self.context = browser.new_context(viewport={"width": width, "height": height}, locale="en-US")
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT_SECONDS * 1000)
        self.recorder = Recorder("http", url)
        self.foreign: list[str] = []
        self.script_errors: list[str] = []
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)
        self.page.on("pageerror", lambda error: self.script_errors.append(str(error)))
        self.page.on("dialog", lambda dialog: dialog.accept())

    def says(self, act: str, **values: str) -> None:
        """Keep what the person does: a text of the catalogue, and what stands in its places."""
        self.recorder.remark(act.format(**values))

    def close(self) -> None:
        self.context.close()

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != urlsplit(self.url).netloc:
            self.foreign.append(request.url)
        if request.resource_type in _SHOWN:
            self.recorder.client_says(f"{request.method} {_shown(request.url)}")

    def _answered(self, response: Response) -> None:
        if response.request.resource_type in _SHOWN or response.status >= 400:
            self.recorder.server_says(f"{response.status} {_shown(response.url)}")


def _shown(url: str) -> str:
    """Path and query of an address, without the tokens by which a webmail knows its own pages."""
    parts = urlsplit(url)
    return _TOKEN.sub(rf"\1{MASK}", parts.path + (f"?{parts.query}" if parts.query else ""))
