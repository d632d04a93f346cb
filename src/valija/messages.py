"""The message catalogue: every text for people goes through `_` (gettext).

The source language is English and needs no catalogue; a translation is `locale/<language>/LC_MESSAGES/valija.mo` beside
this file. `locale/valija.pot` lists every text and is kept fresh by a test.
"""

from __future__ import annotations

import gettext
from pathlib import Path

LOCALE_DIR = Path(__file__).parent / "locale"

_translation: gettext.NullTranslations = gettext.translation("valija", LOCALE_DIR, fallback=True)


def use_language(language: str | None) -> None:
    """Choose the language (`es`); None takes the environment's (LANGUAGE, LC_ALL, LC_MESSAGES, LANG)."""
    global _translation
    languages = [language] if language else None
    _translation = gettext.translation("valija", LOCALE_DIR, languages=languages, fallback=True)


def _(text: str) -> str:
    """The text in the chosen language."""
    return _translation.gettext(text)


def N_(text: str) -> str:  # noqa: N802 - gettext's own name for a text marked now and translated later
    """Mark a text in a table for the catalogue; `_` translates it when it is shown."""
    return text
