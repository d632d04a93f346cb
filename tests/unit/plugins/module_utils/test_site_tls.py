"""The settings of the certificate must go together, and the site's own files be good, before any host is touched."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils.site_tls import (
    CA,
    CERTIFICATE,
    HOOK,
    KEY,
    Material,
    check_material,
    check_tls,
)
from tests.lab.certificates import Pair, make

NAME = "mail.example.test"
NOW = time.time()
GOOD = make(NAME, "imap.example.test")


def site(source: str = "selfsigned", **values: Any) -> dict[str, Any]:
    """Settings of the certificate with their defaults, and these."""
    good = {
        "mail_hostname": NAME,
        "mail_tls_source": source,
        "mail_tls_names": [],
        CERTIFICATE: "",
        KEY: "",
        "mail_tls_acme_email": "",
        "mail_tls_acme_directory": "https://acme.example.test/directory",
        "mail_tls_acme_challenge": "http-01",
        HOOK: "",
        CA: "",
    }
    return {**good, **values}


def of_files(**values: Any) -> dict[str, Any]:
    return site("files", **{CERTIFICATE: "mail.crt", KEY: "mail.key", **values})


@pytest.mark.parametrize(
    "values",
    [
        site(),
        site("none"),
        site(mail_tls_names=["imap.example.test", "*.example.test"]),
        of_files(),
        site("acme"),
        site("acme", mail_tls_acme_email="a@example.test", **{CA: "ca.pem"}),
        site("acme", mail_tls_acme_challenge="dns-01", mail_tls_names=["*.example.test"], **{HOOK: "hook"}),
        {},
    ],
)
def test_settings_that_go_together_are_taken(values: dict[str, Any]) -> None:
    assert check_tls(values) == []


@pytest.mark.parametrize(
    ("values", "name", "problem"),
    [
        (site("files", **{KEY: "k"}), "mail_tls_source", f"needs {CERTIFICATE}"),
        (site("files"), "mail_tls_source", f"needs {CERTIFICATE} and {KEY}"),
        (site(**{CERTIFICATE: "c"}), CERTIFICATE, "does nothing, for mail_tls_source is selfsigned"),
        (site("acme", **{KEY: "k"}), KEY, "does nothing, for mail_tls_source is acme"),
        (site("none", mail_tls_acme_email="a@b.test"), "mail_tls_acme_email", "does nothing"),
        (of_files(**{CA: "ca.pem"}), CA, "does nothing, for mail_tls_source is files"),
        (site("acme", mail_tls_acme_challenge="dns-01"), "mail_tls_acme_challenge", f"needs {HOOK}"),
        (site("acme", **{HOOK: "h"}), HOOK, "does nothing, for mail_tls_acme_challenge is http-01"),
        (site("acme", mail_tls_acme_email="nobody"), "mail_tls_acme_email", "is not an address"),
        (site("acme", mail_tls_acme_directory="http://x/"), "mail_tls_acme_directory", "is no address"),
        (site("acme", mail_tls_names=["*.example.test"]), "mail_tls_names[0]", "is a wildcard"),
        (site(mail_tls_names=["imap"]), "mail_tls_names[0]", "is not a full name"),
        (site(mail_tls_names=["a.example.test", True]), "mail_tls_names[1]", "is a YAML boolean"),
        (site(mail_tls_names=["a.*.example.test"]), "mail_tls_names[0]", "has the bad part"),
    ],
)
def test_what_does_not_go_together_is_one_finding(values: dict[str, Any], name: str, problem: str) -> None:
    (finding,) = check_tls(values)
    assert finding.name == name
    assert problem in finding.problem
    assert finding.remedy


def material(pair: Pair) -> Material:
    return Material({CERTIFICATE: pair.certificate, KEY: pair.key})


def test_good_files_are_taken() -> None:
    assert check_material(of_files(mail_tls_names=["imap.example.test"]), material(GOOD), NOW) == []


@pytest.mark.parametrize(
    ("pair", "name", "problem"),
    [
        (Pair(GOOD.certificate, make(NAME).key), KEY, "names a file that holds the private key of another certificate"),
        (Pair(GOOD.certificate, GOOD.certificate), KEY, "names a file that holds no private key"),
        (make(NAME, passphrase="secret"), KEY, "names a file that is a private key with a passphrase"),
        (Pair("hello", GOOD.key), CERTIFICATE, "names a certificate that holds no certificate"),
        (make(NAME), CERTIFICATE, "names a certificate that is not for imap.example.test"),
        (make(NAME, "imap.example.test", begins_days=-9, ends_days=-1), CERTIFICATE, "that expired on"),
        (make(NAME, "imap.example.test", begins_days=9), CERTIFICATE, "that is not valid before"),
    ],
)
def test_a_file_that_is_not_good_is_told_with_its_setting(pair: Pair, name: str, problem: str) -> None:
    (finding,) = check_material(of_files(mail_tls_names=["imap.example.test"]), material(pair), NOW)
    assert (finding.name, finding.value) == (name, {CERTIFICATE: "mail.crt", KEY: "mail.key"}[name])
    assert problem in finding.problem
    assert not any(line in finding.text for line in pair.key_lines)


@pytest.mark.parametrize(
    ("texts", "name", "problem"),
    [
        ({HOOK: "echo hello\n"}, HOOK, "is no script"),
        ({CA: "hello\n"}, CA, "holds no certificate"),
        ({CA: "-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n"}, CA, "holds no certificate"),
    ],
)
def test_the_files_of_acme_are_looked_at(texts: dict[str, str], name: str, problem: str) -> None:
    (finding,) = check_material(site("acme", **{HOOK: "h", CA: "c"}), Material(texts), NOW)
    assert finding.name == name
    assert problem in finding.problem


def test_good_files_of_acme_are_taken() -> None:
    good = Material({HOOK: "#!/bin/sh\n", CA: GOOD.certificate})
    assert check_material(site("acme"), good, NOW) == []


def test_a_file_that_could_not_be_read_is_judged_no_further() -> None:
    assert check_material(of_files(), Material({CERTIFICATE: None, KEY: GOOD.key}), NOW) == []
