"""Names of domains, hosts, mailboxes and addresses: what is wrong with one, and what to write instead.

Each function returns None for a good name, else (problem, remedy) as `Finding` takes them.
"""

from __future__ import annotations

import re

Verdict = tuple[str, str] | None

# RFC 1035 section 2.3.1 with RFC 1123 section 2.1: a label may begin with a digit.
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# RFC 5321 section 4.1.2, Dot-string.
_DOT_STRING = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_ALIAS = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_ACCOUNT = re.compile(r"[a-z](?:\.?[a-z0-9_-])*")

_ACCOUNT_CHARACTERS = 32  # useradd(8)
_LOCAL_PART_OCTETS = 64  # RFC 5321 section 4.5.3.1.1
_DOMAIN_OCTETS = 253  # RFC 1035 section 2.3.4, without the length octets

# Accounts of the system and of the packages that Valija installs, on Debian and Ubuntu.
_SYSTEM_ACCOUNTS = """
    root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc gnats nobody nogroup adm sudo
    messagebus sshd syslog tcpdump landscape uuidd pollinate tss dhcpcd polkitd ntp chrony usbmux lxd
    postfix postdrop courier opendkim opendmarc policyd-spf clamav rspamd debian-spamd imapproxy vmail dovecot exim
    debian-exim sendmail smmta smmsp cyrus mysql postgres redis fail2ban certbot ubuntu debian admin
"""
SYSTEM_ACCOUNTS = frozenset(_SYSTEM_ACCOUNTS.split())
# Addresses that mail_postmaster reads; domains owe them or programs write to them (RFC 5321 section 4.5.1, RFC 2142).
ROLE_ADDRESSES = ("postmaster", "abuse", "hostmaster", "root", "mailer-daemon", "noc", "security", "webmaster")
# Those of them that a person must not bear as a login name.
_NO_PERSONS = ("postmaster", "abuse", "hostmaster", "mailer-daemon")
# Names that the proof makes and removes.
_OURS = "valija"


def domain_problem(domain: str) -> Verdict:
    """A domain of mail addresses, in its ASCII form and lower case."""
    if not domain:
        return "is empty", "Write a domain, for example example.org."
    if any(character.isspace() for character in domain):
        return "contains a space", f"Write it without: {''.join(domain.split())}."
    if "@" in domain:
        return "is an address, not a domain", f"Write what stands after the @: {domain.rpartition('@')[2]}."
    if not domain.isascii():
        return "has letters outside ASCII", f"Write its ASCII form (RFC 5890, A-label){_ascii_form(domain)}."
    if domain != domain.lower():
        return "has upper-case letters", f"Write {domain.lower()}."
    if "_" in domain:
        return "contains an underscore", "Domain names are letters, digits and hyphens (RFC 1123 section 2.1)."
    labels = domain.split(".")
    if "" in labels:
        return "has an empty part", f"Take the spare dot away: {'.'.join(filter(None, labels))}."
    if len(labels) == 1:
        return "has no dot", f"Write the whole domain, for example {domain}.example.org."
    if len(domain) > _DOMAIN_OCTETS:
        return f"is longer than {_DOMAIN_OCTETS} characters", "Use a shorter one (RFC 1035 section 2.3.4)."
    for label in labels:
        if not _LABEL.fullmatch(label):
            return (
                f"has the bad part {label!r}",
                "Each part is up to 63 letters, digits and hyphens, with no hyphen at either end.",
            )
    if labels[-1].isdigit():
        return "is a number, as IP addresses are", "Write a domain name, for example example.org."
    return None


def hostname_problem(hostname: str) -> Verdict:
    """A host's full name, as HELO gives it (RFC 5321 section 2.3.5)."""
    verdict = domain_problem(hostname)
    if verdict and verdict[0] == "has no dot":
        return "is not a full name", f"Write it with its domain, for example {hostname}.example.org."
    return verdict


def account_problem(name: str) -> Verdict:
    """A login name that useradd(8) takes and that is a local part as well."""
    if not name:
        return "is empty", "Write a name, for example alice."
    if name != name.lower():
        return "has upper-case letters", f"Write {name.lower()!r}: login names are lower case."
    if not _ACCOUNT.fullmatch(name):
        return (
            "is not a login name",
            "Use lower-case letters, digits, '.', '_' and '-', a letter first, no dot at the end or twice in a row.",
        )
    if len(name) > _ACCOUNT_CHARACTERS:
        return f"is longer than {_ACCOUNT_CHARACTERS} characters", "Use a shorter name, and an alias for the long one."
    if name in _NO_PERSONS:
        return "is an address that mail_postmaster reads", "Choose another name, and name it in mail_postmaster."
    if name in SYSTEM_ACCOUNTS or name.startswith("systemd-"):
        return "is a name of the system", "Choose another name: Valija leaves system accounts alone."
    if name == _OURS or name.startswith(f"{_OURS}-"):
        return "is a name that Valija keeps for itself", "Choose another name."
    return None


def alias_problem(name: str) -> Verdict:
    """The local part of an alias."""
    if not name:
        return "has nothing before the @", "Name the mailbox: an alias for every address of a domain is not possible."
    if name.split() != [name]:
        return "contains a space", "Write a local part, for example info."
    if name != name.lower():
        return "has upper-case letters", f"Write {name.lower()!r}: both cases are the same address."
    if not _ALIAS.fullmatch(name) or len(name) > _LOCAL_PART_OCTETS:
        return (
            "is not a local part",
            "Use up to 64 lower-case letters, digits, '.', '_' and '-', with no dot at an end or twice in a row.",
        )
    return None


def address_problem(address: str) -> Verdict:
    """An address elsewhere, local part and domain (RFC 5321 section 4.1.2)."""
    local, _, domain = address.rpartition("@")
    if not _DOT_STRING.fullmatch(local) or len(local) > _LOCAL_PART_OCTETS:
        return "is not an address", "Write a local part, @ and a domain, for example alice@example.org."
    verdict = domain_problem(domain.lower() if domain.isascii() else domain)
    if verdict:
        return f"is an address whose domain {verdict[0]}", verdict[1]
    return None


def _ascii_form(domain: str) -> str:
    try:
        return f": {domain.encode('idna').decode()}"
    except UnicodeError:
        return ""
