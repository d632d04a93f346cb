"""The open-relay battery as data: who asks, for whom, in all the forms that have opened relays before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from valija.checks.marks import rfc
from valija.messages import N_

# Reverse-paths: none, a foreign one, a forged one of ours, our host's name and its address.
SENDERS = ("", "{sender}", "{alice}", "x@{hostname}", "x@[{address}]")

# id -> title, clause, forward-paths as RCPT carries them; {victim}@{remote} is what they would reach.
FORMS: dict[str, tuple[str, str, list[str]]] = {
    "B-01": (
        N_("Mail to elsewhere is refused to everybody who is not logged in, on every port"),
        rfc(5321, "3.6.2", "7.8"),
        ["<{victim}@{remote}>"],
    ),
    "B-02": (
        N_("An address without brackets, or with spaces in them, relays nothing"),
        rfc(5321, "4.1.2"),
        ["{victim}@{remote}", "< {victim}@{remote} >", " <{victim}@{remote}>", "<<{victim}@{remote}>>"],
    ),
    "B-03": (
        N_("The percent hack relays nothing"),
        rfc(1123, "5.2.16"),
        [
            "<{victim}%{remote}@{domain}>",
            "<{victim}%{remote}@[{address}]>",
            "<{victim}%{remote}@{hostname}>",
            "<{victim}%{remote}>",
        ],
    ),
    "B-06": (
        N_("A quoted local part with an address in it relays nothing"),
        rfc(5321, "4.1.2"),
        [
            '<"{victim}@{remote}"@{domain}>',
            '<"{victim}@{remote}"@[{address}]>',
            '<"{victim}%{remote}"@{domain}>',
            '<"{victim}@{remote}">',
        ],
    ),
    "B-07": (
        N_("A source route relays nothing"),
        rfc(5321, "C", "F.2"),
        [
            "<@{domain}:{victim}@{remote}>",
            "<@[{address}]:{victim}@{remote}>",
            "<@{hostname},@x.invalid:{victim}@{remote}>",
        ],
    ),
    "B-08": (
        N_("A bang path relays nothing"),
        rfc(1123, "5.2.16"),
        [
            "<{remote}!{victim}>",
            "<{remote}!{victim}@{domain}>",
            "<{remote}!{victim}@[{address}]>",
            "<{domain}!{remote}!{victim}>",
        ],
    ),
    "B-11": (
        N_("Trailing dots, case and look-alike domains relay nothing"),
        rfc(5321, "2.4"),
        [
            "<{victim}@{remote}.>",
            "<{victim}@{upper}>",
            "<{victim}@sub.{domain}>",
            "<{victim}@not{domain}>",
            "<{victim}@{domain}.{remote}>",
        ],
    ),
    "B-14": (
        N_("The name postmaster relays nothing"),
        rfc(5321, "4.5.1"),
        ["<postmaster@{remote}>", "<postmaster@[{remote_address}]>", "<{victim}@[{remote_address}]>"],
    ),
}

# Forged reverse-paths that some servers have taken for a login (RFC 2505 section 2.1).
FORGED = (*SENDERS, "postmaster@{domain}", "MAILER-DAEMON@{hostname}", "{victim}@{remote}")


def filled(patterns: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """The patterns with the site's own names in them."""
    return [pattern.format_map(values) for pattern in patterns]


def sessions(senders: Sequence[str], paths: Sequence[str], at_most: int) -> Iterator[list[tuple[str, list[str]]]]:
    """Every sender with every forward-path, cut into sessions of `at_most` refusals, a list of paths per sender.

    Postfix slows a client down from the tenth error of a session on, and hangs up at the twentieth.
    """
    pairs = [(sender, path) for sender in senders for path in paths]
    for start in range(0, len(pairs), at_most):
        part = pairs[start : start + at_most]
        yield [(sender, [path for _sender, path in group]) for sender, group in groupby(part, key=lambda pair: pair[0])]
