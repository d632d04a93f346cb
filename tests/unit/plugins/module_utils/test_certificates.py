"""The certificate of a host: its own authority, its renewals, and the only way into mail.pem."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import (
    acme,
    certificate,
    certificate_program,
    certificates,
    services,
)
from ansible_collections.valija.mailserver.plugins.module_utils.acme import Acme
from ansible_collections.valija.mailserver.plugins.module_utils.certificate import BadCertificate
from ansible_collections.valija.mailserver.plugins.module_utils.certificate_authority import DAY_SECONDS
from ansible_collections.valija.mailserver.plugins.module_utils.certificate_call import Call, digest, settle
from ansible_collections.valija.mailserver.plugins.module_utils.certificates import Settings, Store
from ansible_collections.valija.mailserver.plugins.module_utils.checking import Refused
from tests.lab.certificates import Pair, make

NAME, MORE = "mail.example.test", "imap.example.test"
NOW = time.time()


@pytest.fixture(autouse=True)
def mask() -> Iterator[None]:
    """The program sets its process's mask, which here is the tests' own."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def store(folder: Path, *names: str, source: str = "selfsigned", acme: Acme | None = None) -> Store:
    return Store(Settings(source, names or (NAME,), group="no-such-group", acme=acme), folder)


@pytest.fixture
def made(tmp_path: Path) -> Store:
    """A store with a certificate of its own authority, of today."""
    made = store(tmp_path)
    assert made.renew(NOW)
    return made


@pytest.fixture(autouse=True)
def apart(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine is looked at: no daemon, no certbot, no lock of a host."""
    folder = tmp_path_factory.mktemp("apart")
    monkeypatch.setattr(certificates, "LOCK", folder / "lock")
    monkeypatch.setattr(services, "read", lambda _services: {})


# The authority.


def test_the_authority_signs_for_all_names_and_for_less_than_366_days(tmp_path: Path) -> None:
    ours = store(tmp_path, NAME, MORE)
    ours.renew(NOW)
    pem, leaf = ours.current()
    assert leaf is not None
    assert leaf.names == (NAME, MORE)
    assert 364 * DAY_SECONDS < leaf.ends - leaf.begins < 366 * DAY_SECONDS
    assert leaf.begins < NOW, "good for a clock that is slow"
    assert ours.authority.signed(pem.certificates[0])
    assert len(pem.certificates) == 1, "clients have the root; it is not sent"


def test_the_root_is_an_authority_that_makes_no_others(made: Store) -> None:
    text = certificate.openssl("x509", "-noout", "-text", stdin=made.authority.root_text()).out
    for words in ("CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "NIST CURVE: P-256"):
        assert words in text
    leaf = certificate.openssl("x509", "-noout", "-text", stdin=made.text()).out
    for words in ("CA:FALSE", "Digital Signature\n", "TLS Web Server Authentication", "NIST CURVE: P-256"):
        assert words in leaf


def test_keys_are_never_readable_for_others(made: Store) -> None:
    assert [path.stat().st_mode & 0o777 for path in (made.authority.key, made.pem)] == [0o600, 0o600]
    assert made.authority.key.parent.stat().st_mode & 0o777 == 0o700
    assert made.authority.root.stat().st_mode & 0o777 == 0o644


def test_each_certificate_has_a_key_of_its_own_and_the_root_stays(made: Store) -> None:
    before, root = made.current(), made.authority.root_text()
    made.renew(NOW)
    assert made.current()[0].keys != before[0].keys
    assert made.authority.root_text() == root


def test_a_root_near_its_end_is_signed_anew_and_old_and_new_both_verify(made: Store) -> None:
    old_root, old = made.authority.root_text(), made.current()[0].certificates[0]
    later = NOW + 2900 * DAY_SECONDS
    made.renew(later)
    assert made.authority.root_text() != old_root
    assert made.authority.signed(old)
    new = made.current()[0].certificates[0]
    made.authority.root.write_text(old_root)
    assert made.authority.signed(new)


def test_a_name_of_any_length_can_be_certified(tmp_path: Path) -> None:
    name = ".".join(["a" * 60] * 3) + ".example.test"
    assert store(tmp_path, name).renew(NOW)


# When a new one is due.


@pytest.mark.parametrize(("days", "why"), [(0, ""), (334, ""), (336, "it ends on"), (366, "expired on")])
def test_it_is_renewed_thirty_days_before_its_end(made: Store, days: int, why: str) -> None:
    told = made.why_renew(NOW + days * DAY_SECONDS)
    assert why in told
    assert bool(told) is bool(why)


def test_other_names_need_another_certificate(made: Store) -> None:
    assert "not for imap" in store(made.folder, NAME, MORE).why_renew(NOW)
    more = store(made.folder, NAME, MORE)
    more.renew(NOW)
    assert made.why_renew(NOW) == "the names have changed"


@pytest.mark.parametrize("lost", ["mail.pem", "ca.pem", "private/ca.key"])
def test_what_was_lost_is_made_again(made: Store, lost: str) -> None:
    (made.folder / lost).unlink()
    assert made.why_renew(NOW)
    made.renew(NOW)
    assert made.why_renew(NOW) == ""


def test_somebody_elses_certificate_gives_way(made: Store) -> None:
    pair = make(NAME)
    made.deliver(certificate.pem_of(pair.key, pair.certificate), NOW)
    assert made.why_renew(NOW) == "it is not of the site's own authority"


# The way into mail.pem.


def test_a_refused_certificate_leaves_the_file_alone(made: Store) -> None:
    before = (made.pem.read_bytes(), made.pem.stat().st_ino)
    pair = make("elsewhere.test")
    with pytest.raises(BadCertificate, match="is not for"):
        made.deliver(certificate.pem_of(pair.key, pair.certificate), NOW)
    assert (made.pem.read_bytes(), made.pem.stat().st_ino) == before


def test_the_same_certificate_again_is_no_change(made: Store) -> None:
    assert not made.deliver(made.current()[0], NOW)


def test_a_file_that_others_may_read_is_closed(made: Store) -> None:
    made.pem.chmod(0o644)
    assert not made.has_permissions()
    assert made.deliver(made.current()[0], NOW)
    assert made.has_permissions()


def test_daemons_that_run_with_an_older_one_are_reloaded_and_no_others(
    made: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemons = tuple(services.service_of({"name": name}) for name in ("old", "new", "stopped"))
    written = made.pem.stat().st_ctime
    units = {
        "old": services.Unit("loaded", "active", changed_at=written - 5),
        "new": services.Unit("loaded", "active", changed_at=written + 5),
        "stopped": services.Unit("not-found", "inactive"),
    }
    monkeypatch.setattr(services, "read", lambda _: {name: services.Pair(unit, unit) for name, unit in units.items()})
    done: list[services.Steps] = []
    monkeypatch.setattr(services, "act", done.append)
    settings = Settings("selfsigned", (NAME,), daemons=daemons)
    assert Store(settings, made.folder).reload() == ("old.service",)
    assert [steps.reload for steps in done] == [("old.service",)]
    assert not done[0].restart


# One call of the module.


def outcome(call: Call, folder: Path, *, check_mode: bool = False) -> dict[str, Any]:
    return settle(call, {"changed": False}, Store(call.settings, folder), check_mode=check_mode)


def test_a_bare_host_is_told_what_it_would_get_and_gets_nothing(tmp_path: Path) -> None:
    call = Call(store(tmp_path).settings)
    told = outcome(call, tmp_path, check_mode=True)
    assert told["changed"]
    assert "a new certificate" in told["diff"][0]["after"]
    assert list(tmp_path.iterdir()) == []


def test_the_second_call_changes_nothing_and_no_result_holds_a_key(tmp_path: Path) -> None:
    call = Call(store(tmp_path).settings)
    first, second = outcome(call, tmp_path), outcome(call, tmp_path)
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["ca_pem"].startswith("-----BEGIN CERTIFICATE-----")
    assert "PRIVATE KEY" not in json.dumps([first, second])


def test_files_are_asked_for_when_they_differ_and_only_then(tmp_path: Path) -> None:
    pair = make(NAME)
    text = certificate.pem_of(pair.key, pair.certificate).text
    settings = store(tmp_path, source="files").settings
    asking = Call(settings, digest(text))
    assert outcome(asking, tmp_path) == {"changed": False, "needs": ["certificate"]}
    assert outcome(Call(settings, digest(text), text), tmp_path)["certificate"]["serial"] == pair.serial
    assert not outcome(asking, tmp_path)["changed"]


def test_files_are_judged_on_the_host_too(tmp_path: Path) -> None:
    pair = make(NAME, begins_days=-9, ends_days=-1)
    text = certificate.pem_of(pair.key, pair.certificate).text
    with pytest.raises(Refused, match="expired on"):
        outcome(Call(store(tmp_path, source="files").settings, digest(text), text), tmp_path)


def test_what_the_library_asks_for_goes_along_with_the_certificate() -> None:
    result = settle(
        Call(Settings("files", (NAME,))), {"needs": ["/x"]}, Store(Settings("files", (NAME,))), check_mode=False
    )
    assert result["needs"] == ["/x", "certificate"]


# From an ACME CA.

ACME = Acme("https://ca.example.test/dir", webroot="/srv/acme")


def certbot(folder: Path, pair: Pair, acme_: Acme = ACME) -> Path:
    """A folder as certbot leaves it."""
    live = folder / "live" / acme.NAME
    live.mkdir(parents=True, exist_ok=True)
    (live / "privkey.pem").write_text(pair.key)
    (live / "fullchain.pem").write_text(pair.certificate)
    (folder / "renewal").mkdir(exist_ok=True)
    (folder / "renewal" / f"{acme.NAME}.conf").write_text(
        "# renew_before_expiry = 30 days\nversion = 4.0.0\n[renewalparams]\n"
        f"server = {acme_.directory}\nauthenticator = {acme_.authenticator}\n[[webroot_map]]\n{NAME} = /srv/acme\n"
    )
    return folder


def test_nothing_is_asked_of_the_ca_while_certbot_has_it(tmp_path: Path) -> None:
    assert acme.why_issue(ACME, [NAME], NOW, certbot(tmp_path, make(NAME))) == ""


@pytest.mark.parametrize(
    ("pair", "names", "wanted", "why"),
    [
        (make(NAME), [NAME, MORE], ACME, "is not for"),
        (make(NAME, MORE), [NAME], ACME, "the names have changed"),
        (make(NAME), [NAME], Acme("https://other.example.test/dir"), "the CA has changed"),
        (make(NAME), [NAME], Acme(ACME.directory, "dns-01"), "the way in which"),
        (make(NAME, begins_days=-9, ends_days=-1), [NAME], ACME, "expired on"),
        (Pair("", ""), [NAME], ACME, "no certificate"),
    ],
)
def test_the_ca_is_asked_when_what_there_is_does_not_do(
    tmp_path: Path, pair: Pair, names: list[str], wanted: Acme, why: str
) -> None:
    assert why in acme.why_issue(wanted, names, NOW, certbot(tmp_path, pair))


def test_the_first_time_there_is_none_yet(tmp_path: Path) -> None:
    assert acme.why_issue(ACME, [NAME], NOW, tmp_path) == "there is none yet"


@pytest.mark.parametrize(
    ("settings", "there", "missing"),
    [
        (ACME, ["--register-unsafely-without-email", "--webroot"], ["--email", "--manual"]),
        (
            Acme(ACME.directory, email="a@example.test"),
            ["--email", "a@example.test"],
            ["--register-unsafely-without-email"],
        ),
        (Acme(ACME.directory, "dns-01", hook="/h"), ["--manual", "/h set", "/h clear"], ["--webroot"]),
    ],
)
def test_certbot_is_told_how_the_names_are_proved(settings: Acme, there: list[str], missing: list[str]) -> None:
    command = acme.command(settings, [NAME, MORE])
    assert command[:2] == ["certbot", "certonly"]
    assert command[-4:] == ["--domain", NAME, "--domain", MORE]
    assert set(there) <= set(command)
    assert not set(missing) & set(command)


def test_until_the_ca_answers_the_host_makes_one_and_keeps_what_people_trust(tmp_path: Path) -> None:
    waiting = store(tmp_path, source="acme", acme=ACME)
    told = outcome(Call(waiting.settings), tmp_path)
    assert (told["changed"], told["issue_due"], told["ca_pem"]) == (True, True, "")
    before = waiting.text()
    more = store(tmp_path, NAME, MORE, source="acme", acme=ACME)
    told = outcome(Call(more.settings), tmp_path)
    assert (told["changed"], told["issue_due"]) == (False, True)
    assert waiting.text() == before


# The program on the host.


def program(folder: Path, *words: str) -> int:
    return certificate_program.main(words, folder)


def written(folder: Path, **settings: Any) -> None:
    (folder / "settings.json").write_text(json.dumps({"source": "selfsigned", "names": [NAME], **settings}))


def test_the_program_renews_where_it_is_due_alone(made: Store) -> None:
    written(made.folder, group="no-such-group")
    before = made.text()
    assert (program(made.folder, "renew"), made.text()) == (0, before)
    assert (program(made.folder, "renew", "--within", "358"), made.text()) == (0, before)
    assert program(made.folder, "renew", "--within", "366") == 0
    assert made.text() != before
    before = made.text()
    assert program(made.folder, "renew", "--force") == 0
    assert made.text() != before


def test_the_program_refuses_a_broken_one_and_says_why(
    made: Store, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    written(made.folder, group="no-such-group")
    folder, before = tmp_path_factory.mktemp("new"), made.text()
    pair = make("elsewhere.test")
    (folder / "crt").write_text(pair.certificate)
    (folder / "key").write_text(pair.key)
    assert program(made.folder, "deliver", str(folder / "crt"), str(folder / "key")) == 1
    assert "valija-certificate: the certificate is not for mail.example.test" in capsys.readouterr().err
    assert made.text() == before


@pytest.mark.parametrize("words", [["show"], ["renew"], ["deliver", "/no/such", "/file"]])
def test_the_program_without_what_it_needs_says_so(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert program(tmp_path, *words) == 1
    assert "Run `valija apply` from the control node" in capsys.readouterr().err


def test_the_program_finds_all_that_it_imports_in_the_tree_that_is_shipped(tmp_path: Path) -> None:
    from ansible_collections.valija.mailserver.plugins.plugin_utils import host_program

    tree = host_program.tree("certificate_program", "/usr/local/lib/valija/certificate")
    subprocess.run(["tar", "-xf", tree["archive"], "-C", tmp_path], check=True)
    lines = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); " + (
        "from ansible_collections.valija.mailserver.plugins.module_utils.certificate_program import main; "
        "sys.exit(main(['--help']))"
    )
    run = subprocess.run(["/usr/bin/python3", "-IB", "-c", lines], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "renew" in run.stdout
    assert "__pycache__" not in "".join(map(str, tmp_path.rglob("*")))
