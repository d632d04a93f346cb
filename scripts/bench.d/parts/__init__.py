"""The parts, by their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from parts import accounts, again, aliases, delivery, first, one_more
from parts.plan import Plan

__all__ = ["PARTS", "Plan"]


@dataclass(frozen=True)
class Part:
    title: str
    measure: Callable[[Plan], dict[str, Any]]


PARTS = {
    "B1": Part(first.TITLE, first.measure),
    "B2": Part(again.TITLE, again.measure),
    "B3": Part(accounts.TITLE, accounts.measure),
    "B4": Part(one_more.TITLE, one_more.measure),
    "B5": Part(aliases.TITLE, aliases.measure),
    "B8": Part(delivery.TITLE, delivery.measure),
}
