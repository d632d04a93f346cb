"""Whose name a logged-in person may write under (B-30) and whose a stranger may not (B-32), as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Forgery:
    """A reverse-path to fill in, and whether the person whose login it is may use it."""

    reverse_path: str
    own: bool


# {name} is the login, {other} another person's; the upper-case ones are the same in capitals.
AFTER_LOGIN = (
    Forgery("{name}@{domain}", True),
    Forgery("{NAME}@{domain}", True),
    Forgery("{name}@{DOMAIN}", True),
    Forgery("{name}+shop@{domain}", True),
    Forgery('"{name}"@{domain}', True),
    Forgery("{other}@{domain}", False),
    Forgery("{OTHER}@{DOMAIN}", False),
    Forgery("{other}+{name}@{domain}", False),
    Forgery('"{other}"@{domain}', False),
    Forgery("{name}.{other}@{domain}", False),
    Forgery("x{name}@{domain}", False),
    Forgery("{name}x@{domain}", False),
    Forgery("postmaster@{domain}", False),
    Forgery("root@{domain}", False),
    Forgery("nobody-x@{domain}", False),
    Forgery("{name}@{remote}", False),
    Forgery("ceo@{remote}", False),
    Forgery("{name}@not{domain}", False),
    Forgery("{name}@sub.{domain}", False),
    Forgery("{name}%{remote}@{domain}", False),
    Forgery("{other}@{hostname}", False),
    Forgery("{other}", False),
    # Nobody's: a mail program's report of reading has none (RFC 8098 section 3).
    Forgery("", True),
)

# What nobody on the Internet is called: the site's own domains, in every form of writing.
OF_A_STRANGER = (
    "{name}@{domain}",
    "{NAME}@{DOMAIN}",
    "{name}+shop@{domain}",
    '"{name}"@{domain}',
    "ceo@{domain}",
    "postmaster@{domain}",
    "x@{hostname}",
    "{name}",
)
