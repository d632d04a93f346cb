"""The language is chosen in one place, and everything that speaks to people follows it."""

from __future__ import annotations

import gettext
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from valija import messages
from valija.messages import _, environment_language, ngettext, use_language
from valija.runner import playbook_environment

VALIJA = Path(sys.executable).parent / "valija"


@pytest.fixture
def spanish(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LANGUAGE", "C")
    use_language("es")
    yield
    use_language("en")
    gettext.textdomain("messages")


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "es_ES.UTF-8"}, "es"),
        ({"LANG": "es"}, "es"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LC_MESSAGES": "es_MX.UTF-8", "LANG": "C"}, "es"),
        ({"LC_ALL": "C", "LANG": "es_ES.UTF-8"}, "en"),
        ({"LC_ALL": "", "LANG": "es_ES@euro"}, "es"),
        ({"LANGUAGE": "de:es", "LANG": "de_DE.UTF-8"}, "es"),
        ({"LANGUAGE": "en_GB:es", "LANG": "es_ES.UTF-8"}, "en"),
        ({"LANGUAGE": "C", "LANG": "es_ES.UTF-8"}, "en"),
    ],
)
def test_the_environment_names_the_language(environment: Mapping[str, str], language: str) -> None:
    assert environment_language(environment) == language


def test_texts_and_their_plural_forms_are_in_the_chosen_language(spanish: None) -> None:
    assert _("The server is ready.") == "El servidor está listo."
    assert ngettext("{count} host, no findings", "{count} hosts, no findings", 1) == "{count} host, sin hallazgos"
    assert ngettext("{count} host, no findings", "{count} hosts, no findings", 2) == "{count} hosts, sin hallazgos"


def test_what_is_not_in_the_catalogue_stays_as_it_is(spanish: None) -> None:
    assert _("no such text") == "no such text"


def test_a_language_that_is_not_there_leaves_the_environments() -> None:
    use_language("tlh")
    assert _("The server is ready.") == "The server is ready."
    assert os.environ["LANGUAGE"] == "en"
    gettext.textdomain("messages")


def test_programs_that_are_started_get_the_language(spanish: None, tmp_path: Path) -> None:
    assert playbook_environment([], tmp_path / "events")["LANGUAGE"] == "es"


def said(*words: str, **environment: str) -> str:
    """What the program says, in a process of its own: texts are made when modules are loaded."""
    clean = {name: value for name, value in os.environ.items() if name not in messages._VARIABLES}
    done = subprocess.run(
        [VALIJA, *words],
        env={**clean, "PYTHONUTF8": "1", "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "environment"),
    [(("--lang", "es", "--help"), {}), (("--help", "--lang", "es"), {}), (("--help",), {"LANG": "es_ES.UTF-8"})],
)
def test_the_help_is_spanish(words: tuple[str, ...], environment: dict[str, str]) -> None:
    text = said(*words, **environment)
    assert "Uso: valija" in text
    assert "Construye un servidor de correo completo" in text
    assert "Muestra este mensaje y termina." in text
    assert "Envía un mensaje a través de un servidor SMTP." in text
    assert not {"Usage:", "Options:", "Commands:", "Show"} & set(text.split())


def test_lang_wins_over_the_environment() -> None:
    assert "Usage: valija" in said("--lang", "en", "--help", LANGUAGE="es")


@pytest.mark.parametrize(("words", "environment"), [(("--lang", "es"), {}), ((), {"LANG": "es_ES.UTF-8"})])
def test_the_help_of_a_verb_is_spanish(words: tuple[str, ...], environment: dict[str, str]) -> None:
    text = said(*words, "apply", "--help", **environment)
    assert "Lleva los hosts de un sitio al estado que pide su inventario." in text
    assert "Solo estos hosts o grupos del sitio." in text
    assert "[obligatorio]" in text


def test_errors_are_spanish(tmp_path: Path) -> None:
    assert "Error: Falta la opción" in said("--lang", "es", "check")
    assert "No existe la orden 'bulid'." in said("--lang", "es", "bulid")
    text = said("--lang", "es", "apply", "-i", str(tmp_path / "nowhere"))
    assert "nventario" in text
    assert text.strip().endswith("`valija init` escribe uno.")
