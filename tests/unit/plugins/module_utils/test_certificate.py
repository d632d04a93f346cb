"""What a certificate says, and which ones no daemon may be given."""

from __future__ import annotations

import time

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import certificate
from ansible_collections.valija.mailserver.plugins.module_utils.certificate import BadCertificate, BadKey, Pem, covers
from tests.lab.certificates import make

NAME = "mail.example.test"
NOW = time.time()
GOOD, OTHER = make(NAME), make(NAME)


def pem(*texts: str) -> Pem:
    return certificate.pem_of(*texts)


def test_a_good_certificate_is_read_whole() -> None:
    leaf = certificate.judge(pem(GOOD.key, GOOD.certificate), [NAME], NOW)
    assert leaf.serial == GOOD.serial
    assert (leaf.names, leaf.subject, leaf.issuer) == ((NAME,), f"CN={NAME}", f"CN={NAME}")
    assert NOW - 2 * 86400 < leaf.begins < NOW < leaf.ends < NOW + 91 * 86400


def test_a_certificate_may_have_no_subject() -> None:
    """A public CA need not write one when the names stand in the extension (RFC 5280 section 4.2.1.6)."""
    bare = make(NAME, subject=False)
    assert certificate.judge(pem(bare.key, bare.certificate), [NAME], NOW).subject == ""


def test_words_around_the_blocks_and_line_ends_of_windows_do_not_matter() -> None:
    text = f"Bag Attributes\n{GOOD.certificate}\n".replace("\n", "\r\n")
    assert pem(GOOD.key, text).text == GOOD.key + GOOD.certificate


def test_a_file_that_holds_both_may_be_named_for_both() -> None:
    both = GOOD.certificate + GOOD.key
    assert pem(both, both) == Pem((GOOD.key.strip(),), (GOOD.certificate.strip(),))


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ((GOOD.key,), "holds no certificate"),
        (("", ""), "holds no certificate"),
        ((GOOD.key, "-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n"), "cannot be read"),
        ((OTHER.key, make("a.test", begins_days=-9, ends_days=-1).certificate), "another certificate"),
        ((GOOD.key, GOOD.certificate, OTHER.certificate), "does not verify"),
        ((GOOD.key, GOOD.certificate, make("b.test").certificate), "in the wrong order"),
    ],
)
def test_what_no_daemon_may_be_given_is_refused(texts: tuple[str, ...], reason: str) -> None:
    with pytest.raises(BadCertificate, match=reason):
        certificate.judge(pem(*texts), [NAME], NOW)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ((), "no private key"),
        ((GOOD.key, OTHER.key), "more than one"),
        ((OTHER.key,), "another certificate"),
        ((make(NAME, passphrase="x").key,), "passphrase"),
        (("-----BEGIN PRIVATE KEY-----\nbm8=\n-----END PRIVATE KEY-----",), "cannot be read"),
    ],
)
def test_a_fault_of_the_key_is_told_as_one(keys: tuple[str, ...], reason: str) -> None:
    with pytest.raises(BadKey, match=reason):
        certificate.judge(Pem(keys, (GOOD.certificate,)), [NAME], NOW)


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [(-2 * 86400, "is not valid before"), (91 * 86400, "expired on")],
)
def test_it_must_be_valid_at_the_time(seconds: float, reason: str) -> None:
    with pytest.raises(BadCertificate, match=reason):
        certificate.judge(pem(GOOD.key, GOOD.certificate), [NAME], NOW + seconds)


def test_a_clock_that_is_slow_by_a_minute_is_no_reason_to_refuse() -> None:
    new = make(NAME, begins_days=1 / 1440)
    assert certificate.judge(pem(new.key, new.certificate), [NAME], NOW).serial == new.serial


def test_it_must_be_for_every_name() -> None:
    with pytest.raises(BadCertificate, match=rf"is not for imap.example.test, but for {NAME}"):
        certificate.judge(pem(GOOD.key, GOOD.certificate), [NAME, "imap.example.test"], NOW)


@pytest.mark.parametrize("block", [GOOD.certificate, GOOD.key])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_block_that_is_cut_short_is_refused_never_passed_over(block: str, share: float) -> None:
    with pytest.raises(BadCertificate, match="cut short"):
        pem(GOOD.key, GOOD.certificate, block[: int(len(block) * share)])


@pytest.mark.parametrize(
    ("pattern", "name", "good"),
    [
        ("mail.example.org", "mail.example.org", True),
        ("Mail.Example.org", "mail.example.ORG", True),
        ("mail.example.org", "example.org", False),
        ("*.example.org", "mail.example.org", True),
        ("*.example.org", "example.org", False),
        ("*.example.org", "a.mail.example.org", False),
        ("*.example.org", "*.example.org", True),
        ("*.org", "example.org", True),
        ("m*.example.org", "mail.example.org", False),
        ("*", "mail", False),
    ],
)
def test_a_star_stands_for_one_whole_label(pattern: str, name: str, good: bool) -> None:
    assert covers(pattern, name) is good
