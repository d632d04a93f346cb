"""Ours, run on the host without Ansible: what the module itself does. Prints the seconds of two runs."""

import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from ansible_collections.valija.mailserver.plugins.module_utils.account import read_accounts
from ansible_collections.valija.mailserver.plugins.module_utils.account_host import converge
from ansible_collections.valija.mailserver.plugins.module_utils.accounts import Settings

text = (pathlib.Path(__file__).parent / "accounts.json").read_text()


def once() -> tuple[float, bool]:
    """The seconds from the text to the host's state, and whether anything had to change."""
    begun = time.perf_counter()
    accounts, refusals = read_accounts(json.loads(text))
    assert not refusals, refusals[:3]
    outcome = converge(accounts, Settings())
    return time.perf_counter() - begun, outcome.changed


made, changed = once()
assert changed
again, changed = once()
assert not changed
print(json.dumps([made, again]))
