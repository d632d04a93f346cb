"""The decision about a host's accounts: what is there and what is wanted in, refusals or edits out."""

from __future__ import annotations

import stat
from typing import Any

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import accounts as rules
from ansible_collections.valija.mailserver.plugins.module_utils.account import Account
from ansible_collections.valija.mailserver.plugins.module_utils.account_plan import Plan, decide
from ansible_collections.valija.mailserver.plugins.module_utils.accounts import Host, Settings
from ansible_collections.valija.mailserver.plugins.module_utils.maildir import Entry
from ansible_collections.valija.mailserver.plugins.module_utils.shadow_files import parse_entries

PASSWD = """root:x:0:0:root:/root:/bin/bash
valijad:x:90:996::/:/usr/sbin/nologin
person:x:1000:1000::/home/person:/bin/bash
alice:x:1001:996:Alice:/home/alice:/usr/sbin/nologin
bob:x:1002:996::/home/bob:/usr/sbin/nologin
"""
SHADOW = """root:*:1:0:99999:7:::
person:$6$person:1:0:99999:7:::
alice:$y$alice:5:0:99999:7:::
bob:!$y$bob:5:0:99999:7::1:
"""
GROUP = "root:x:0:\nmail:x:8:person,bob\nvalija:x:996:\n"
GSHADOW = "root:*::\nmail:*:bob:person,bob\nvalija:!::\n"
FOLDER = stat.S_IFDIR | 0o700
SHELLS = frozenset({"/usr/sbin/nologin", "/bin/bash"})
HASH = "$y$j8T$salt$new"


def host(**values: Any) -> Host:
    files = {"passwd": PASSWD, "shadow": SHADOW, "group": GROUP, "gshadow": GSHADOW} | values.pop("files", {})
    homes = {name: Entry(uid, 996, FOLDER) for name, uid in (("alice", 1001), ("bob", 1002))}
    defaults: dict[str, Any] = {"homes": homes, "shells": SHELLS, "today": 20000}
    parsed = {name: parse_entries(text) for name, text in files.items() if text is not None}
    return Host(files=parsed, **(defaults | values))


def plan_for(
    wanted: list[Account], there: Host | None = None, hashes: dict[str, str] | None = None, **how: Any
) -> Plan:
    there, settings = there or host(), Settings(report_unlisted=False, **how)
    assert rules.refusals(there, wanted, settings) == []
    return decide(there, wanted, settings, hashes or {})


def refused(wanted: Account, there: Host | None = None, **how: Any) -> str:
    return "\n".join(map(str, rules.refusals(there or host(), [wanted], Settings(**how))))


def entry(plan: Plan, file: str, name: str) -> str:
    return ":".join(plan.edits[file][name] or ())


ALICE = Account("alice", "Alice")
BOB = Account("bob", state="disabled")


def test_what_is_as_wanted_changes_nothing() -> None:
    plan = plan_for([ALICE, BOB])
    assert not plan.changes
    assert plan.diff == plan.notes == []
    assert plan.homes["alice"].uid == 1001


def test_a_new_account_is_written_whole() -> None:
    plan = plan_for([Account("carol", "Carol", password="secret")], hashes={"carol": HASH})
    assert entry(plan, "passwd", "carol") == "carol:x:1003:996:Carol:/home/carol:/usr/sbin/nologin"
    assert entry(plan, "shadow", "carol") == f"carol:{HASH}:20000:0:99999:7:::"
    assert plan.created == ["carol"]
    assert not plan.end_sessions
    assert plan.diff == ["carol: new account"]


def test_the_group_is_made_when_it_is_missing() -> None:
    there = host(
        files={"passwd": "root:x:0:0::/:/bin/sh\n", "group": "a:x:999:\nb:x:997:\n", "gshadow": "a:!::\n"}, homes={}
    )
    plan = plan_for([Account("carol")], there)
    assert entry(plan, "group", "valija") == "valija:x:998:"
    assert entry(plan, "gshadow", "valija") == "valija:!::"
    assert entry(plan, "passwd", "carol").startswith("carol:x:1000:998:")


def test_a_host_without_gshadow_gets_none() -> None:
    there = host(files={"group": "root:x:0:\n", "gshadow": None, "passwd": ""})
    assert plan_for([], there).edits["gshadow"] == {}


def test_a_run_that_was_killed_after_the_group_goes_on() -> None:
    plan = plan_for([], host(files={"gshadow": "root:*::\n"}))
    assert entry(plan, "gshadow", "valija") == "valija:!::"
    assert not plan.edits["group"]


def test_an_account_without_a_password_lets_nobody_in_and_says_so() -> None:
    plan = plan_for([Account("carol")])
    assert entry(plan, "shadow", "carol").startswith("carol:*:")
    assert "nobody can log in" in plan.notes[0]


@pytest.mark.parametrize("policy", ["initial", "enforced"])
def test_the_password_of_an_existing_account_is_its_owners_unless_it_is_enforced(policy: str) -> None:
    wanted, settings = Account("alice", "Alice", password="x"), Settings(password_policy=policy)
    assert ("alice" in rules.password_questions(host(), [wanted], settings)) is (policy == "enforced")
    by_hash = plan_for([Account("alice", "Alice", password_hash=HASH)], password_policy=policy)
    assert ("alice" in by_hash.edits["shadow"]) is (policy == "enforced")


def test_one_password_can_be_enforced_alone() -> None:
    wanted = [Account("alice", "Alice", password_hash=HASH), Account("bob", state="disabled", password_hash=HASH)]
    plan = plan_for(wanted, enforce=frozenset({"alice"}))
    assert plan.diff == ["alice: password"]
    assert entry(plan, "shadow", "alice") == f"alice:{HASH}:20000:0:99999:7:::"
    assert plan.end_sessions == {"alice": 1001}


@pytest.mark.parametrize("current", ["", "*", "!", "!*", "!!"])
def test_an_account_that_no_password_opens_gets_the_one_given(current: str) -> None:
    there = host(files={"shadow": SHADOW.replace("$y$alice", current)})
    questions = rules.password_questions(there, [Account("alice", "Alice", password="x")], Settings())
    assert questions["alice"].current == ""
    plan = plan_for([Account("alice", "Alice", password="x")], there, {"alice": HASH})
    assert entry(plan, "shadow", "alice").startswith(f"alice:{HASH}:20000:")


@pytest.mark.parametrize("current", ["", "!", "!!"])
@pytest.mark.parametrize("state", ["present", "disabled"])
def test_no_account_is_ever_left_open_without_a_password(current: str, state: str) -> None:
    there = host(files={"shadow": SHADOW.replace("$y$alice", current)})
    plan = plan_for([Account("alice", "Alice", state=state)], there)
    assert entry(plan, "shadow", "alice").split(":")[1] == ("!*" if state == "disabled" else "*")


def test_disabling_locks_expires_and_keeps_the_hash_and_enabling_undoes_it() -> None:
    off = plan_for([Account("alice", "Alice", state="disabled"), BOB])
    assert entry(off, "shadow", "alice") == "alice:!$y$alice:5:0:99999:7::1:"
    assert (off.disabled, off.end_sessions, off.diff) == (["alice"], {"alice": 1001}, ["alice: disabled"])
    on = plan_for([ALICE, Account("bob")])
    assert entry(on, "shadow", "bob") == "bob:$y$bob:5:0:99999:7:::"
    assert (on.enabled, on.end_sessions, on.diff) == (["bob"], {}, ["bob: enabled"])


def test_fields_changed_by_hand_are_brought_back() -> None:
    there = host(files={"passwd": PASSWD.replace("alice:x", "alice:secret").replace(":Alice:", ":Mallory:")})
    plan = plan_for([Account("alice", "Alice", "/bin/bash"), BOB], there)
    assert entry(plan, "passwd", "alice") == "alice:x:1001:996:Alice:/home/alice:/bin/bash"
    assert plan.diff == ["alice: full name, shell"]


def test_a_missing_shadow_entry_is_made() -> None:
    there = host(files={"shadow": SHADOW.replace("alice", "nobody")})
    plan = plan_for([Account("alice", "Alice", password_hash=HASH)], there)
    assert entry(plan, "shadow", "alice") == f"alice:{HASH}:20000:0:99999:7:::"


def test_an_absent_account_leaves_every_file_and_its_home_is_put_away() -> None:
    plan = plan_for([Account("bob", state="absent"), ALICE])
    assert plan.edits["passwd"] == {"bob": None}
    assert plan.edits["shadow"] == {"bob": None}
    assert entry(plan, "group", "mail") == "mail:x:8:person"
    assert entry(plan, "gshadow", "mail") == "mail:*::person"
    assert (plan.removed, plan.retire, plan.purge, plan.end_sessions) == (["bob"], {"bob": 1002}, {}, {"bob": 1002})
    assert plan.notes == ["bob: its home and mail are kept in /home/.valija-former"]


def test_purging_deletes_what_earlier_accounts_of_the_name_left_too() -> None:
    former = {"bob-900": Entry(900, 996, FOLDER), "bob-1-7": Entry(7, 996, FOLDER), "strange": Entry(0, 0, FOLDER)}
    plan = plan_for([Account("bob", state="absent", purge=True)], host(former=former))
    assert plan.purge == {"bob": ["bob-900"]}
    assert plan.retire == {"bob": 1002}
    later = host(files={"passwd": "", "shadow": ""}, homes={}, former=former)
    assert plan_for([Account("bob", state="absent", purge=True)], later).purge == {"bob": ["bob-900"]}


@pytest.mark.parametrize("purge", [False, True])
def test_an_account_that_is_gone_already_changes_nothing(purge: bool) -> None:
    assert not plan_for([Account("carol", state="absent", purge=purge)]).changes


def test_a_removal_that_was_killed_half_way_is_completed() -> None:
    there = host(files={"passwd": PASSWD.replace("bob:x:1002:996::/home/bob:/usr/sbin/nologin\n", "")})
    plan = plan_for([Account("bob", state="absent")], there)
    assert plan.edits["shadow"] == {"bob": None}
    assert plan.retire == {"bob": 1002}


def test_an_account_made_again_gets_a_new_uid_and_none_of_the_old_mail() -> None:
    homes = {"carol": Entry(1007, 996, FOLDER)}
    plan = plan_for([Account("carol")], host(homes=homes, former={"x-1008": Entry(1008, 996, FOLDER)}))
    assert entry(plan, "passwd", "carol").startswith("carol:x:1009:")
    assert plan.aside == {"carol": 1007}
    assert any("does not get the mail" in note for note in plan.notes)


def test_uids_are_taken_above_the_highest_then_from_the_gaps_and_never_from_systemds() -> None:
    there = host(uids=range(1000, 1004))
    assert list(there.free_uids()) == [1003]
    high = host(files={"passwd": PASSWD + "top:x:60000:60000::/:/bin/sh\n"}, uids=range(1000, 70000))
    found = high.free_uids()
    assert next(found) == 65536
    assert 1003 in list(found)


def test_unlisted_accounts_are_reported_and_left_alone() -> None:
    plan = decide(host(), [ALICE], Settings(), {})
    assert plan.unlisted == ["bob"]
    assert not plan.changes


@pytest.mark.parametrize("state", ["present", "disabled", "absent"])
@pytest.mark.parametrize("name", ["root", "person", "valijad"])
def test_an_account_of_somebody_else_is_refused_in_every_state(name: str, state: str) -> None:
    text = refused(Account(name, state=state, purge=state == "absent"))
    assert text.startswith(f"{name}: the host has an account of this name that Valija did not make")
    assert ("usermod -g valija person" in text) is (name == "person")


def test_a_user_from_elsewhere_is_refused() -> None:
    assert "another source" in refused(Account("ldapuser"), host(other_names=frozenset({"ldapuser"})))


def test_an_ordinary_group_of_valijas_name_is_refused() -> None:
    there = host(files={"group": "valija:x:1000:\n"})
    assert "accounts_group" in refused(Account("carol"), there)


@pytest.mark.parametrize("left", [Entry(1000, 1000, FOLDER), Entry(1000, 996, stat.S_IFLNK | 0o777)])
def test_a_home_that_is_not_valijas_is_refused_and_an_absent_name_leaves_it(left: Entry) -> None:
    there = host(homes={"carol": left})
    assert "/home/carol is there already" in refused(Account("carol"), there)
    assert not plan_for([Account("carol", state="absent", purge=True)], there).changes


def test_a_home_elsewhere_is_refused_with_both_remedies() -> None:
    assert "usermod -m -d /srv/alice alice" in refused(ALICE, home="/srv")


def test_a_shell_that_is_missing_is_refused() -> None:
    assert "/bin/zsh is not on the host" in refused(Account("alice", shell="/bin/zsh"))


def test_too_few_uids_are_refused() -> None:
    assert "1 new accounts, but 0 free uids" in refused(Account("carol"), host(uids=range(1000, 1003)))


def test_a_host_without_shadow_is_refused() -> None:
    assert "pwconv" in refused(Account("carol"), host(files={"shadow": None}))


def test_a_damaged_line_is_refused() -> None:
    assert "damaged" in refused(Account("carol"), host(files={"passwd": "carol:x:1000\n"}))
