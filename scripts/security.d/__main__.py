"""Scan mail hosts with testssl.sh, sslyze and nmap, and write what they found into docs/reference/security.md.

    scripts/security SITE [SITE ...]

SITE is the folder of a site, as `valija lab up` makes it; each of its hosts is scanned at IPv4. testssl.sh and nmap are
the distribution's (apt-get install testssl.sh nmap), sslyze is put into an environment of its own below ~/.cache.
Takes some ten minutes a host. Only scan hosts that are yours. They make more connections a minute than an address may,
so that the hosts are to be told before, and afterwards be applied once more without it:

    valija apply -i SITE -e '{"postfix_main_cf_extra": {"smtpd_client_event_limit_exceptions": "static:all"}}'
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import page
from scanners import ScanError, Target, nmap_relay, sslyze, sslyze_program, testssl, versions

ROOT = Path(__file__).resolve().parents[2]
SSLYZE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "valija" / "sslyze"


def hosts(site: Path) -> list[tuple[str, Target]]:
    """The mail hosts of a site as Ansible sees them: release and target."""
    said = subprocess.run(
        [Path(sys.prefix) / "bin" / "ansible-inventory", "-i", str(site), "--list"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    inventory = json.loads(said)
    found = []
    for name in inventory["mail"]["hosts"]:
        values = inventory["_meta"]["hostvars"][name]
        domain = values["mail_domain"]
        target = Target(values["ansible_host"], f"mail.{domain}", site / "certificates" / f"{name}.pem")
        found.append((name, target))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", nargs="+", type=Path, help="the folder of a site")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "reference" / "security.md", help="where to write")
    arguments = parser.parse_args()
    began = datetime.now(UTC)
    try:
        sslyze_program(SSLYZE)
        scans = {
            name: [nmap_relay(target), *sslyze(target, SSLYZE), *testssl(target)]
            for site in arguments.site
            for name, target in hosts(site)
        }
        page.write(arguments.page, scans, versions(SSLYZE), began)
    except (ScanError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
