"""The open-relay battery's data: every form is asked, by every sender, in sessions that Postfix does not slow down."""

from __future__ import annotations

from valija.checks import relay_forms

NAMES = {
    "victim": "v",
    "remote": "remote.test",
    "upper": "REMOTE.TEST",
    "domain": "example.test",
    "hostname": "mx.example.test",
    "address": "198.51.100.10",
    "sender": "x@c.test",
    "alice": "alice@example.test",
    "remote_address": "198.51.100.2",
}


def test_every_form_leads_elsewhere_once_it_is_filled_in() -> None:
    for _title, _clause, paths in relay_forms.FORMS.values():
        filled = relay_forms.filled(paths, NAMES)
        assert len(set(filled)) == len(filled)
        assert not [path for path in filled if "{" in path]
        assert all("remote.test" in path.lower() or "198.51.100.2" in path or "example.test" in path for path in filled)
    plain = relay_forms.filled(relay_forms.FORMS["B-01"][2], NAMES)
    assert plain == ["<v@remote.test>"]


def test_the_sessions_hold_every_pair_once_and_none_holds_too_many() -> None:
    paths = [f"<{number}@remote.test>" for number in range(4)]
    made = list(relay_forms.sessions(relay_forms.SENDERS, paths, 6))
    pairs = [(sender, path) for session in made for sender, asked in session for path in asked]
    assert sorted(pairs) == sorted((sender, path) for sender in relay_forms.SENDERS for path in paths)
    assert max(sum(len(asked) for _sender, asked in session) for session in made) == 6
