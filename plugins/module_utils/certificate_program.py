"""`valija-certificate`, the program on a host through which every certificate goes to the mail services.

The timer runs `renew`, and so does certbot when it has renewed; an administrator may `deliver` a certificate by hand,
or `show` the present one. Exit code 0: done; 1: something was refused, and the certificate before is still in place.
What it says goes to standard error and, unless that is the journal, to the journal as well.
"""

from __future__ import annotations

import argparse
import os
import sys
import syslog
import time
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.valija.mailserver.plugins.module_utils import acme, certificate, certificates
from ansible_collections.valija.mailserver.plugins.module_utils.certificate import BadCertificate
from ansible_collections.valija.mailserver.plugins.module_utils.certificate_authority import DAY_SECONDS
from ansible_collections.valija.mailserver.plugins.module_utils.certificates import Store
from ansible_collections.valija.mailserver.plugins.module_utils.services import ServiceError

NAME = "valija-certificate"


def main(arguments: Sequence[str] | None = None, folder: Path = certificates.FOLDER) -> int:
    """Run the program; the exit code."""
    options = _parser().parse_args(arguments)
    os.umask(0o077)
    try:
        store = Store(certificates.load_settings(folder), folder)
        if options.verb == "show":
            return _show(store)
        with certificates.alone():
            return _change(store, options)
    except BadCertificate as error:
        _say(f"the certificate {error}")
    except ServiceError as error:
        _say(f"the certificate is in place, and a service did not load it: {error}")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=NAME, description="Bring a certificate to the mail services of this host.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("show", help="tell which certificate the services are given")
    renew = verbs.add_parser("renew", help="make a new certificate where the present one is near its end")
    renew.add_argument("--force", action="store_true", help="make one in any case")
    days = certificates.RENEWED_DAYS
    renew.add_argument(
        "--within", type=int, default=days, metavar="DAYS", help=f"how near its end, {days} days if not said"
    )
    deliver = verbs.add_parser("deliver", help="give the services a certificate from elsewhere, if it is good")
    deliver.add_argument("certificate", type=Path, help="PEM file, the certificate first, its chain after it")
    deliver.add_argument("key", type=Path, help="PEM file with its private key")
    return parser


def _change(store: Store, options: argparse.Namespace) -> int:
    if options.verb == "deliver":
        changed = store.deliver(_pem_files(options.key, options.certificate), time.time())
    else:
        changed = _renew(store, options.within, force=options.force)
    reloaded = store.reload()
    if changed or reloaded:
        _, leaf = store.current()
        ends = certificate.day(leaf.ends) if leaf else "?"
        loaded = f"; loaded again by {', '.join(reloaded)}" if reloaded else ""
        _say(f"the services have the certificate {leaf.serial if leaf else '?'}, valid to {ends}{loaded}")
    return 0


def _renew(store: Store, within_days: int, *, force: bool) -> bool:
    """What the timer does for each source; true when the certificate changed."""
    source, now = store.settings.source, time.time()
    if source == "selfsigned":
        why = "asked for" if force else store.why_renew(now, within_days)
        if not why:
            return False
        _say(f"a new certificate is made: {why}")
        return store.renew(now)
    if source == "acme":  # certbot renews; this is its hook, and a daily look after what the hook could not deliver
        return acme.is_there() and store.deliver(acme.lineage(), now)
    _, leaf = store.current()
    if leaf is not None and leaf.ends < now + within_days * DAY_SECONDS:
        _say(f"the certificate ends on {certificate.day(leaf.ends)}, and nothing on this host renews it")
    return False


def _pem_files(key: Path, chain: Path) -> certificate.Pem:
    try:
        return certificate.pem_of(key.read_text(), chain.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise BadCertificate(f"cannot be read ({error})") from error


def _show(store: Store) -> int:
    _, leaf = store.current()
    why = store.why_not(time.time())
    sys.stdout.write(certificates.described(leaf))
    if why:
        _say(f"the certificate {why}")
    return 1 if why else 0


def _say(text: str) -> None:
    """One line for whoever runs this, and one for the journal."""
    sys.stderr.write(f"{NAME}: {text}\n")
    try:
        status = os.fstat(sys.stderr.fileno())
        in_the_journal = os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
    except (OSError, ValueError):
        in_the_journal = False
    if not in_the_journal:
        syslog.openlog(NAME, syslog.LOG_PID, syslog.LOG_MAIL)
        syslog.syslog(syslog.LOG_NOTICE, text)
