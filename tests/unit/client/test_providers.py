"""The table of public services."""

from __future__ import annotations

import pytest

from valija.client import Security, Server, providers
from valija.client.server import PORTS
from valija.errors import InputError


@pytest.mark.parametrize("provider", providers.table().values(), ids=lambda provider: provider.id)
def test_every_row_is_whole_and_safe(provider: providers.Provider) -> None:
    assert provider.security is not Security.NONE
    assert provider.port == PORTS[provider.security] or provider.server.loopback
    assert provider.password
    assert provider.url.startswith("https://")
    assert Server.parse(f"{provider.host}:{provider.port}").security in (provider.security, Security.STARTTLS)
    for host in [provider.host, *provider.hosts]:
        found = providers.of_host(host.replace("*", "eu-west-1"))
        assert found == (None if provider.server.loopback else provider)


def test_the_large_services_are_there() -> None:
    wanted = {"gmail", "outlook", "office365", "icloud", "yahoo", "fastmail", "proton-bridge", "gmx", "zoho"}
    wanted |= {"sendgrid", "ses", "mailgun", "posteo", "mailbox-org", "yandex"}
    assert wanted <= set(providers.table())


def test_every_kind_of_password_is_used() -> None:
    assert {row.login for row in providers.table().values()} == set(providers.LOGINS)


def test_user_names() -> None:
    assert providers.named("gmail").user_for("a@x.org") == "a@x.org"
    assert providers.named("SendGrid").user_for("a@x.org") == "apikey"
    assert providers.named("ses").user_for("a@x.org") == ""


def test_a_slip_of_the_pen_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="Did you mean gmail"):
        providers.named("gmial")
    with pytest.raises(InputError, match="--providers"):
        providers.named("qqqq")


@pytest.mark.parametrize(
    ("text", "security", "found"),
    [
        ("mail.example.org", None, ("mail.example.org", 587, "starttls")),
        ("mail.example.org:465", None, ("mail.example.org", 465, "tls")),
        ("mail.example.org:25", None, ("mail.example.org", 25, "starttls")),
        ("mail.example.org", Security.TLS, ("mail.example.org", 465, "tls")),
        ("mail.example.org", Security.NONE, ("mail.example.org", 25, "none")),
        ("[2001:db8::1]:587", None, ("2001:db8::1", 587, "starttls")),
        ("192.0.2.1:2525", Security.STARTTLS, ("192.0.2.1", 2525, "starttls")),
    ],
)
def test_a_server_is_read(text: str, security: Security | None, found: tuple[str, int, str]) -> None:
    server = Server.parse(text, security)
    assert (server.host, server.port, server.security.value) == found


@pytest.mark.parametrize("text", ["", "a:b", "a:0", "a:65536", "2001:db8::1", "a b", "smtp://a", "me@a:25"])
def test_what_is_no_server_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not a server"):
        Server.parse(text)
