"""What to do about a refusal: a table of replies, read from the top; the words for a reply itself are the report's.

Sources: RFC 5321 section 4.2, RFC 3463 and its IANA registry, RFC 4954 section 6, and the help pages of the large
services for what they mean by a code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from valija.messages import N_, _


@dataclass(frozen=True)
class Advice:
    """Holds for replies at these stages (empty: all) whose codes, written `535 5.7.8`, match from their beginning."""

    stages: str
    codes: str
    remedy: str


_MAIL = "sender recipient data content end"

REFUSALS = [
    # Logging in
    Advice("login", r"534 5\.7\.9", N_("The service wants an app password, or asks for a login in a browser first.")),
    Advice(
        "login",
        r"535 5\.7\.139",
        N_(
            "Microsoft refuses passwords here: give an OAuth 2.0 token (--token-command), or let the administrator "
            "allow authenticated SMTP for the mailbox."
        ),
    ),
    Advice(
        "login",
        r"432|\d+ 4\.7\.12|\d+ 5\.7\.12",
        N_("Change the password in the service's own settings, then try again."),
    ),
    Advice("login", r"\d+ 5\.7\.13", N_("The account is locked: ask who runs the server.")),
    Advice(
        "login",
        r"538|\d+ 5\.7\.11|530 5\.7\.0",
        N_("Log in under TLS only: --security starttls, or --security tls on port 465."),
    ),
    Advice("login", r"534", N_("Choose another way to log in: --auth, or a token in place of the password.")),
    Advice(
        "login",
        r"535",
        N_(
            "Check the user name (often the whole address) and the password; no space or line end may be in it. Many "
            "services refuse the account's own password: see valija send --providers."
        ),
    ),
    Advice("login", r"504|50[0-3]", N_("Try another way to log in: --auth plain or --auth login.")),
    Advice("login", r"4", N_("Wait some minutes: too many logins have failed, or the server cannot check them now.")),
    # Something has to come first
    Advice(
        _MAIL,
        r"530 5\.7\.0.*starttls|530 5\.7\.10|523 5\.7\.10",
        N_("The server takes mail under TLS only: --security starttls."),
    ),
    Advice(_MAIL, r"530", N_("Log in: give --user. Without TLS the server may not offer it: --security starttls.")),
    # Size and room
    Advice(
        _MAIL,
        r"552 5\.2\.2|\d+ [45]\.2\.2|452 4\.2\.2",
        N_("The recipient's mailbox is full: tell them another way, and send again later."),
    ),
    Advice(
        _MAIL,
        r"552|523|\d+ 5\.3\.4|\d+ 5\.2\.3",
        N_("Send fewer or smaller attachments, or a link. An attachment grows by a third on its way."),
    ),
    # Addresses
    Advice(_MAIL, r"\d+ 5\.1\.10|556", N_("The domain takes no mail at all: check it for a slip of the pen.")),
    Advice(
        "recipient", r"\d+ 5\.1\.[1-46]", N_("Check the address for a slip of the pen, or ask the recipient for it.")
    ),
    Advice("recipient", r"\d+ [45]\.4\.[14]|\d+ 5\.1\.2", N_("Check the domain of the address.")),
    Advice("recipient", r"551", N_("Send to the address that the server names.")),
    Advice(_MAIL, r"\d+ [45]\.1\.8", N_("Give a sender (--from) whose domain exists and takes mail.")),
    Advice(_MAIL, r"\d+ 5\.6\.7", N_("Use an address in ASCII, or a server with SMTPUTF8.")),
    Advice("sender", r"553|501|550 5\.1\.[37]", N_("Check --from: the server does not take that address as a sender.")),
    Advice("recipient", r"553|501", N_("Check how the address is written.")),
    # Rights and rules
    Advice(
        _MAIL,
        r"\d+ 5\.7\.(20|21|22|23|24|26|30)",
        N_(
            "SPF, DKIM or DMARC forbids it: send through the server of the sender's own domain, or use a --from that "
            "belongs to this server."
        ),
    ),
    Advice(
        _MAIL,
        r"\d+ [45]\.7\.25",
        N_("This machine's address has no good reverse name: send through your provider's server (port 587)."),
    ),
    Advice(
        "sender",
        r"55[0-4]( 5\.7\.\d+)?",
        N_("Use a --from that belongs to the account that you log in with; log in (--user) if you did not."),
    ),
    Advice(
        "recipient",
        r"55[04] 5\.7\.\d+|454 4\.7\.1",
        N_(
            "The server does not pass mail on for strangers: log in (--user) on port 587 or 465. If you did, its rules "
            "forbid this recipient."
        ),
    ),
    Advice("recipient", r"55[04]", N_("Check the address; if it is right, the reason is in the server's words.")),
    Advice(
        "data content end",
        r"55[04]",
        N_(
            "The server refuses what the message holds (rules, spam or virus filter): its words say why. Look at the "
            "links, the attachments and the sender."
        ),
    ),
    Advice("greeting hello", r"5", N_("The server does not want this client. Is it the submission server (port 587)?")),
    Advice("starttls", r"", N_("The server cannot do TLS now: try later, or port 465 with --security tls.")),
    Advice(_MAIL, r"452 4\.5\.3", N_("Send to fewer recipients at once.")),
    Advice(
        "",
        r"4",
        N_("Try again in some minutes. A server that does not know you yet may answer so the first time on purpose."),
    ),
    Advice("", r"50[0-5]|555", N_("The server does not follow SMTP here; -v shows the conversation.")),
    Advice("", r"", N_("The reason is in the server's words; -v shows the conversation.")),
]

# What OpenSSL finds wrong with a certificate (X509_V_ERR_..., x509_vfy.h).
CERTIFICATES = {
    9: (
        N_("The server's certificate is not valid yet."),
        N_("Check this machine's clock."),
    ),
    10: (
        N_("The server's certificate has expired."),
        N_("Tell who runs the server; check this machine's clock."),
    ),
    18: (
        N_("The server's certificate is signed by itself, not by an authority that is trusted here."),
        N_("If the server is yours, give its certificate with --ca-file. If not, do not go on: somebody may listen."),
    ),
    19: (
        N_("The server's certificate comes from an authority that is not trusted here."),
        N_("If the authority is yours, give its certificate with --ca-file. If not, do not go on."),
    ),
    20: (
        N_(
            "The server's certificate comes from an authority that is not trusted here, or a link of the chain is "
            "missing."
        ),
        N_("If the authority is yours, give its certificate with --ca-file. If not, tell who runs the server."),
    ),
    23: (N_("The server's certificate was revoked."), N_("Do not go on; tell who runs the server.")),
    62: (
        N_("The server's certificate is for another name."),
        N_("Give --server the name that is in the certificate; {names}."),
    ),
    64: (
        N_("The server's certificate is for a name, not for this address."),
        N_("Give --server the server's name in place of its address."),
    ),
}
OTHER_CERTIFICATE = (
    N_("The server's certificate cannot be verified."),
    N_("Do not go on before the reason is known; --ca-file gives a private authority."),
)


def remedy(stage: str, code: int, enhanced: str, said: str) -> str:
    """What to do about a reply at this stage, in the chosen language."""
    codes = f"{code} {enhanced} {said.lower()}"
    for advice in REFUSALS:
        if (not advice.stages or stage in advice.stages.split()) and re.match(advice.codes, codes):
            return _(advice.remedy)
    raise AssertionError(codes)
