# Copyright: The Valija developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The documentation of the action plugin `prove`, which does all the work on the control node."""

DOCUMENTATION = r"""
module: prove
short_description: Prove by conversation that a mail server works
description:
  - Resolves the site's values, makes probe accounts of its own on the host, and runs the checks of the Python package
    C(valija), which speak SMTP, IMAP, POP3 and HTTP with the host from outside. The accounts and their mail are deleted
    afterwards, also when a check failed.
  - The output of the checks is shown as it comes. The task fails when a check fails.
  - In check mode nothing is done, for the checks send mail.
author: The Valija developers
options:
  tier:
    description: >-
      How much is checked. V(quick) takes seconds, V(full) about a minute, V(slow) waits and repeats for minutes.
    type: str
    choices: [quick, full, slow]
    default: quick
  only:
    description: Ids of the checks that are to run, for example V(A-20), or an expression as pytest's C(-k) takes it.
    type: str
    default: ""
  report_dir:
    description:
      - Where the results (JSON, JUnit) and the report (HTML) are written on the control node.
      - When the play has several hosts, each has a folder of its own name below.
    type: path
    default: reports
  peer:
    description:
      - A host that plays the rest of the Internet, with C(ipv4), C(ipv6), C(api), C(domains) and C(strangers). The lab
        sets it.
      - Without it the checks that need other hosts are skipped and counted as such.
    type: dict
    default: {}
  addresses:
    description: >-
      The addresses by which the checks reach the host, C(ipv4) and C(ipv6); found out by themselves when not given.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Hold the conversations
  valija.mailserver.prove:
    tier: full
    report_dir: reports
"""

RETURN = r"""
summary:
  description: How many checks passed, failed, are waiting to be built, or were skipped.
  returned: always
  type: dict
  sample: {passed: 80, failed: 0, waiting: 12, skipped: 0}
report_dir:
  description: The folder with results.json, junit.xml and report.html.
  returned: always
  type: str
seconds:
  description: How long the conversations took.
  returned: always
  type: float
"""
