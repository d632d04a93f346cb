"""Password hashes by the system's own crypt(3), reached through ctypes: Python 3.13 has no module `crypt` any more.

Sources: crypt(3), crypt(5) and crypt_gensalt(3) of libxcrypt, which Debian and Ubuntu have shipped since 2020.
"""

from __future__ import annotations

import ctypes
import functools
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

# sizeof(struct crypt_data), and the room that a setting needs (CRYPT_GENSALT_OUTPUT_SIZE): part of libxcrypt's ABI.
_DATA_BYTES = 32768
_SETTING_BYTES = 192

_SALT_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

# What `password_hash` may be: the schemes of crypt(5) that are fit for passwords today.
_HASH = re.compile(r"\$(?:y|gy|7|2[aby]|6|5)\$[./A-Za-z0-9$=,]+")


class HashingError(Exception):
    """crypt(3) cannot make the hash asked for; the text says what to do."""


@dataclass(frozen=True)
class Scheme:
    """One way to hash, with its default cost: 10 to 20 ms for one verification on a small server."""

    prefix: str
    cost: int
    least: int
    most: int


# The cost of yescrypt doubles with each step, and 5 is Debian's own (YESCRYPT_COST_FACTOR of login.defs(5)); that of
# sha512 is its number of rounds. Measured with libcrypt 4.4.38 on one core of an EPYC: 17 ms, and 12 ms.
SCHEMES = {
    "yescrypt": Scheme("$y$", 5, 1, 11),
    "sha512": Scheme("$6$", 40_000, 1_000, 999_999_999),
}


@dataclass(frozen=True)
class Question:
    """A password that is wanted for an account, and the hash that the account has; empty: it has none."""

    password: str
    current: str = ""


def is_password_hash(text: str) -> bool:
    """Whether the text is a hash of crypt(5), in a scheme fit for use, and nothing else: no lock, no line end."""
    return _HASH.fullmatch(text) is not None


def check_cost(scheme: str, cost: int) -> None:
    """Raise HashingError for a cost outside the scheme's range; 0 stands for the default."""
    limits = SCHEMES[scheme]
    if cost and not limits.least <= cost <= limits.most:
        raise HashingError(f"cost {cost}: {scheme} takes {limits.least} to {limits.most}; 0 takes {limits.cost}")


def hash_password(password: str, scheme: str = "yescrypt", cost: int = 0) -> str:
    """A new hash, with a salt from the system.

    Where the library knows no yescrypt, the hash is sha512 at its default cost. HashingError when neither can be made.
    """
    check_cost(scheme, cost)
    setting = _new_setting(scheme, cost or SCHEMES[scheme].cost)
    made = _crypt(password, setting) if setting else None
    if made is None and scheme != "sha512":
        return hash_password(password, "sha512")
    if made is None:
        raise HashingError(f"crypt(3) made no {scheme} hash; libcrypt of this machine is too old or restricted")
    return made


def verify_password(password: str, current: str) -> bool:
    """Whether the hash is of this password; False for a hash that crypt(3) does not know."""
    made = _crypt(password, current) if current else None
    return made is not None and hmac.compare_digest(made.encode(), current.encode("utf-8", "surrogateescape"))


def new_hashes(questions: Mapping[str, Question], scheme: str = "yescrypt", cost: int = 0) -> dict[str, str]:
    """The hashes that have to be set, by account: of each password that its current hash is not of.

    Runs on all cores, for crypt(3) works outside Python's lock; one question takes 10 to 20 ms, two if it was changed.
    """

    def answer(item: tuple[str, Question]) -> tuple[str, str | None]:
        name, question = item
        same = verify_password(question.password, question.current)
        return name, None if same else hash_password(question.password, scheme, cost)

    if not questions:
        return {}
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return {name: made for name, made in pool.map(answer, questions.items()) if made is not None}


@functools.cache
def _library() -> ctypes.CDLL:
    for name in ("libcrypt.so.1", "libcrypt.so.2"):
        try:
            library = ctypes.CDLL(name, use_errno=True)
            library.crypt_rn.restype = ctypes.c_char_p
            library.crypt_rn.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int]
        except (OSError, AttributeError):
            continue
        return library
    raise HashingError("libxcrypt is missing (libcrypt.so.1 with crypt_rn): install the package libcrypt1")


def _crypt(password: str, setting: str) -> str | None:
    """crypt(3), or None when it fails: a setting it does not know, a password that is too long."""
    data = ctypes.create_string_buffer(_DATA_BYTES)
    phrase = password.encode("utf-8", "surrogateescape")
    if b"\0" in phrase or "\0" in setting:
        return None
    made: bytes | None = _library().crypt_rn(phrase, setting.encode("utf-8", "surrogateescape"), data, _DATA_BYTES)
    ctypes.memset(data, 0, _DATA_BYTES)
    return None if made is None or made.startswith(b"*") else made.decode("ascii")


def _new_setting(scheme: str, cost: int) -> str | None:
    """A setting of crypt(5) with a fresh salt, or None when the library does not know the scheme."""
    if scheme == "sha512":
        salt = "".join(secrets.choice(_SALT_ALPHABET) for _ in range(16))
        return f"$6$rounds={cost}${salt}"
    generate = getattr(_library(), "crypt_gensalt_rn", None)
    if generate is None:
        return None
    generate.restype = ctypes.c_char_p
    generate.argtypes = [
        ctypes.c_char_p,
        ctypes.c_ulong,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int,
    ]
    output = ctypes.create_string_buffer(_SETTING_BYTES)
    random = secrets.token_bytes(16)
    made: bytes | None = generate(SCHEMES[scheme].prefix.encode(), cost, random, len(random), output, _SETTING_BYTES)
    return made.decode("ascii") if made else None
