"""Valija builds a complete mail server and proves it by talking to it."""

from __future__ import annotations

__version__ = "0.1.0"
