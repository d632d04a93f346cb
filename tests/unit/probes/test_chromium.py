"""What a browser needs, and what its transcript must not say."""

from __future__ import annotations

import importlib.util
import shutil
from typing import Any

import pytest

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
