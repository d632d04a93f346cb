"""The message catalogue: every text for people goes through `_` (gettext).

The source language is English and needs no catalogue; a translation is `locale/<language>/LC_MESSAGES/valija.mo` beside
this file. `scripts/messages` writes the list of all texts (`locale/valija.pot`), brings each translation's `.po` up to
it and compiles the `.mo`; tests keep the three fresh and whole.
"""

from __future__ import annotations

import gettext
import os
import re
from collections.abc import Mapping
from pathlib import Path

LOCALE_DIR = Path(__file__).parent / "locale"

SOURCE_LANGUAGE = "en"
LANGUAGES = (SOURCE_LANGUAGE, *sorted(path.parents[1].name for path in LOCALE_DIR.glob("*/LC_MESSAGES/valija.po")))

# In gettext's order; the first that is set decides.
_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")


def environment_language(environment: Mapping[str, str]) -> str:
    """The first language of the environment that Valija speaks; English when there is none."""
    wanted = next(filter(None, map(environment.get, _VARIABLES)), "")
    for locale in wanted.split(":"):
        language = re.split("[_.@]", locale)[0]
        if language in ("C", "POSIX"):
            break
        if language in LANGUAGES:
            return language
    return SOURCE_LANGUAGE


def _load(language: str) -> gettext.NullTranslations:
    return gettext.translation("valija", LOCALE_DIR, languages=[language], fallback=True)


_translation = _load(environment_language(os.environ))


def use_language(language: str | None) -> None:
    """Choose the language (`es`); None takes the environment's (LANGUAGE, LC_ALL, LC_MESSAGES, LANG).

    The choice goes into LANGUAGE, so that click, and the suite that runs in a child process, speak it as well. It does
    not reach texts that were made before: they are to be marked with `N_` and translated when shown.
    """
    global _translation
    chosen = language if language in LANGUAGES else environment_language(os.environ)
    _translation = _load(chosen)
    os.environ["LANGUAGE"] = chosen
    gettext.bindtextdomain("valija", str(LOCALE_DIR))
    gettext.textdomain("valija")


def _(text: str) -> str:
    """The text in the chosen language."""
    return _translation.gettext(text)


def ngettext(one: str, many: str, count: int) -> str:
    """The form of the text that the chosen language has for this count."""
    return _translation.ngettext(one, many, count)


def N_(text: str) -> str:  # noqa: N802 - gettext's own name for a text marked now and translated later
    """Mark a text in a table for the catalogue; `_` translates it when it is shown."""
    return text
