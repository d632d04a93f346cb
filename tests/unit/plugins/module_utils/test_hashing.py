"""Hashes made by the system's own crypt(3)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import hashing
from hypothesis import given, settings
from hypothesis import strategies as st

# crypt(5), and the specification of SHA-crypt: a hash made elsewhere is verified here.
KNOWN = (
    "Hello world!",
    "$6$rounds=10000$saltstringsaltst$"
    "OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
)


@pytest.mark.parametrize("scheme", hashing.SCHEMES)
def test_a_hash_is_of_its_password_and_of_no_other(scheme: str) -> None:
    made = hashing.hash_password("correct horse", scheme, hashing.SCHEMES[scheme].least)
    assert made.startswith(hashing.SCHEMES[scheme].prefix)
    assert hashing.is_password_hash(made)
    assert hashing.verify_password("correct horse", made)
    assert not hashing.verify_password("correct horse ", made)


def test_a_hash_made_elsewhere_is_verified() -> None:
    assert hashing.verify_password(*KNOWN)
    assert not hashing.verify_password("hello world!", KNOWN[1])


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=60))
def test_every_text_can_be_a_password(password: str) -> None:
    assert hashing.verify_password(password, hashing.hash_password(password, "yescrypt", 1))


def test_two_hashes_of_one_password_have_salts_of_their_own() -> None:
    assert hashing.hash_password("x", "yescrypt", 1) != hashing.hash_password("x", "yescrypt", 1)


@pytest.mark.parametrize("current", ["", "*", "!", "x", "!$6$saltstring$abc", "$9$unknown$scheme", "\0"])
def test_nothing_is_the_password_of_what_is_no_hash(current: str) -> None:
    assert not hashing.verify_password("", current)
    assert not hashing.verify_password("x", current)


@pytest.mark.parametrize(
    "text",
    ["", "*", "!", "correct horse", "$1$old$abc", KNOWN[1] + "\n", "!" + KNOWN[1], KNOWN[1] + ":0", "AbDdEfGhIjKlM"],
)
def test_what_is_no_hash_for_use_is_not_taken_for_one(text: str) -> None:
    assert not hashing.is_password_hash(text)


def test_a_host_without_yescrypt_gets_sha512(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = hashing._new_setting
    monkeypatch.setattr(
        hashing, "_new_setting", lambda scheme, cost: None if scheme == "yescrypt" else ours(scheme, cost)
    )
    assert hashing.hash_password("x").startswith("$6$rounds=40000$")


@pytest.mark.parametrize(("scheme", "cost"), [("yescrypt", 12), ("sha512", 999), ("sha512", 10**9), ("yescrypt", -1)])
def test_a_cost_out_of_range_is_refused_with_the_range(scheme: str, cost: int) -> None:
    with pytest.raises(hashing.HashingError, match="takes"):
        hashing.hash_password("x", scheme, cost)


def test_only_what_changed_is_hashed_anew() -> None:
    same = hashing.hash_password("same", "yescrypt", 1)
    questions = {
        "alice": hashing.Question("same", same),
        "bob": hashing.Question("new", same),
        "carol": hashing.Question("first"),
    }
    made = hashing.new_hashes(questions, "yescrypt", 1)
    assert made.keys() == {"bob", "carol"}
    assert hashing.verify_password("new", made["bob"])
    assert hashing.verify_password("first", made["carol"])


def python(version: str) -> str:
    """An interpreter of this version; skipped where this machine has none."""
    found = [shutil.which(f"python{version}"), *map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))]
    for path in filter(None, found):
        if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return path
    pytest.skip(f"no Python {version} here")


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_every_python_makes_and_knows_the_same_hashes(version: str) -> None:
    made = hashing.hash_password("correct horse", cost=1)
    code = (
        "import sys; from ansible_collections.valija.mailserver.plugins.module_utils import hashing as h; "
        "print(h.verify_password('correct horse', sys.argv[1]), h.hash_password('correct horse', cost=1))"
    )
    collections = Path(hashing.__file__).parents[4].parent
    ran = subprocess.run(
        [python(version), "-B", "-W", "error", "-c", code, made],
        env={"PYTHONPATH": str(collections), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    known, theirs = ran.stdout.split()
    assert known == "True"
    assert hashing.verify_password("correct horse", theirs)


def test_the_default_is_debians_own_cost_and_another_hash_of_the_password_is_kept() -> None:
    assert hashing.hash_password("correct horse").startswith("$y$j9T$")
    cheap = hashing.hash_password("correct horse", cost=1)
    assert hashing.new_hashes({"alice": hashing.Question("correct horse", cheap)}) == {}
