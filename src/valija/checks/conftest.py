"""Fixtures: ways to talk to the host, each from its vantage. The only file that knows testinfra."""

from __future__ import annotations

import contextlib
import errno
import itertools
import math
import ssl
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from valija.checks import plugin
from valija.checks.expect import Heard, answered, heard
from valija.checks.host_state import queued
from valija.checks.mailbox import Mailbox
from valija.checks.postfix_replies import Version, version_of
from valija.checks.site import Account, Site
from valija.messages import _
from valija.probes import imap as imap_probe
from valija.probes import pop3 as pop3_probe
from valija.probes import smtp as smtp_probe
from valija.probes import tls
from valija.probes.peer import Peer
from valija.probes.roundcube import Roundcube
from valija.probes.routes import Direct, Loopback, Route, ssh_command
from valija.probes.web import Browser
from valija.probes.webmail import SquirrelMail

# How the names of probe accounts begin, in each run.
PROBE_ACCOUNT = "valija-probe"

# Where ordinary mail comes from when there is no peer. A server asks DNS whether a sender's domain exists; of an
# address literal there is nothing to ask (RFC 5321 section 4.1.3), and this address is nobody's (RFC 5737).
SENDER_DOMAIN = "[192.0.2.1]"


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest) -> Site:
    """The site as Ansible resolved it."""
    return request.config.stash[plugin.SITE]


@pytest.fixture(scope="session")
def alice(site: Site) -> Account:
    """The first probe account; most messages go to it."""
    return site.probe[0]


@pytest.fixture(scope="session")
def bob(site: Site) -> Account:
    """The second probe account."""
    return site.probe[1]


@pytest.fixture(scope="session")
def newcomer(site: Site) -> Account:
    """The third probe account: nobody ever writes to it."""
    return site.probe[2]


@pytest.fixture(scope="session")
def main_family(site: Site) -> str:
    """The IP protocol of the checks that run over one alone: IPv4 when the host listens there."""
    return site.families[0]


@pytest.fixture(scope="session")
def remote_domain(site: Site) -> str:
    """A domain elsewhere: the peer's, whose sink would show what was relayed; else one that cannot be (RFC 2606)."""
    return site.peer.domains["remote"] if site.peer else "remote.invalid"


@pytest.fixture(scope="session")
def sender_domain(site: Site, remote_domain: str) -> str:
    """The domain of senders elsewhere: one that DNS knows, or an address."""
    return remote_domain if site.peer else SENDER_DOMAIN


@pytest.fixture(scope="session")
def sender(sender_domain: str) -> str:
    """The reverse-path of an ordinary message from elsewhere; each run has its own."""
    return f"sender-{uuid.uuid4().hex[:6]}@{sender_domain}"


@pytest.fixture(scope="session")
def elsewhere(remote_domain: str) -> str:
    """A recipient elsewhere: no stranger may send there through this host. Each run has its own."""
    return f"victim-{uuid.uuid4().hex[:6]}@{remote_domain}"


@pytest.fixture(scope="session", autouse=True)
def run_began(host: Any, our_addresses: list[str], remote_domain: str) -> Iterator[str]:
    """When the run began, by the host's own clock, in seconds since the epoch.

    Mail of the checks that this run has left in the queue is taken out of it, and what an earlier run left an hour ago.
    """

    def clear_queue(addresses: list[str], before: float) -> None:
        with contextlib.suppress(AssertionError):  # a queue that cannot be read is for a check to tell (T-10)
            left = [str(entry["queue_id"]) for entry in queued(host, addresses) if entry["arrival_time"] < before]
            if left:
                host.run("postsuper -d " + " -d ".join(["%s"] * len(left)), *left)

    now = str(host.run("date +%s").stdout.strip())
    clear_queue([*our_addresses, PROBE_ACCOUNT, f"@{remote_domain}", "@probe.invalid"], float(now) - 3600)
    yield now
    clear_queue(our_addresses, math.inf)


@pytest.fixture(scope="session")
def our_addresses(site: Site, sender: str, elsewhere: str) -> list[str]:
    """What marks a queued message as one of this run: its sender or a recipient."""
    return [*(account.address for account in site.probe), sender, elsewhere]


@pytest.fixture(scope="session")
def postfix_version(host: Any) -> Version:
    """The release of Postfix on the host, on which some replies depend."""
    return version_of(host.run("postconf -h mail_version").stdout)


@pytest.fixture(scope="session")
def replies_so_far() -> list[Heard]:
    """Every SMTP reply of the run, with where it breaks the grammar."""
    return []


@pytest.fixture(scope="session")
def loopback(site: Site) -> Route:
    """The way to a port as a program on the host sees it."""
    return Loopback(ssh_command(site.ssh))


@pytest.fixture(scope="session")
def tls_context(site: Site) -> ssl.SSLContext:
    """What a careful client uses: the certificate must come from the site's CA and bear the host's name."""
    if site.tls is None:
        pytest.skip(_("no TLS: mail_tls_source is none"))
    return tls.verifying(site.tls.ca_pem)


def own_context(site: Site, request: pytest.FixtureRequest) -> ssl.SSLContext | None:
    """The fixture tls_context where the site has a certificate."""
    return request.getfixturevalue("tls_context") if site.tls else None


@pytest.fixture
def connect(site: Site, main_family: str) -> Callable[..., Any]:
    """Open a session of a probe class to the host: `connect(smtp.Session, 25, family)`; the options are the class's."""

    def open_session(kind: Any, port: int, family: str = "", route: Route | None = None, **options: Any) -> Any:
        address = site.addresses[family or main_family]
        if isinstance(kind, type):
            options.setdefault("server_name", site.hostname)
        try:
            return kind(address, port, route=route or Direct(), **options)
        except OSError as error:
            no_way = error.errno in (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
            if no_way and address != site.addresses[main_family]:
                pytest.skip(_("this machine has no way to {address}").format(address=address))
            raise AssertionError(
                _("{address} port {port} does not answer: {error}").format(address=address, port=port, error=error)
            ) from error

    return open_session


@pytest.fixture
def smtp(
    request: pytest.FixtureRequest,
    connect: Callable[..., Any],
    loopback: Route,
    site: Site,
    replies_so_far: list[Heard],
) -> Iterator[Callable[..., smtp_probe.Session]]:
    """Open an SMTP session: `smtp()`, `smtp("ipv6")`, `smtp(route=stranger)`, `smtp(vantage="loopback")`.

    `smtp(port=465, implicit_tls=True)` begins with TLS. On 25 a stranger's first session waits some seconds for its
    greeting: postscreen looks whether it talks before its turn; then it is known.

    Every reply of every session is held against the grammar (A-02, A-03) when the check has passed otherwise.
    """
    sessions: list[smtp_probe.Session] = []
    context = own_context(
        site, request
    )  # here, not below: checks open sessions side by side, fixtures are made in turn

    def open_session(
        family: str = "",
        *,
        route: Route | None = None,
        vantage: str = "",
        port: int = 25,
        implicit_tls: bool = False,
        early: bytes = b"",
    ) -> smtp_probe.Session:
        options: dict[str, Any] = {
            "server_name": site.hostname,
            "early": early,
            "tls": context if implicit_tls else None,
        }
        if vantage == "loopback":
            address = "::1" if site.protocols == "ipv6" else "127.0.0.1"
            session = smtp_probe.Session(address, port, route=loopback, **options)
        else:
            session = connect(smtp_probe.Session, port, family, route, **options)
        sessions.append(session)
        return session

    yield open_session
    # Who speaks before the greeting has broken the grammar first: postscreen answers in the midst of its own greeting.
    replies = [heard(reply) for session in sessions if not session.early for reply in session.replies]
    replies_so_far += replies
    for session in sessions:
        session.close()
    problems = [problem for one in replies for problem in (*one.grammar, *one.enhanced)]
    assert not problems, _("Replies break the grammar of RFC 5321 section 4.2:") + "\n" + "\n".join(problems)


@pytest.fixture
def submission(
    smtp: Callable[..., smtp_probe.Session], tls_context: ssl.SSLContext, alice: Account
) -> Callable[..., smtp_probe.Session]:
    """Open a session of a mail program: `submission()` is alice, logged in at 587 after STARTTLS and EHLO.

    `submission(bob, "ipv6", port=465)`, where TLS comes first; `submission(login=False)` ends with the EHLO under TLS.
    """

    def open_session(
        account: Account = alice,
        family: str = "",
        *,
        port: int = 587,
        login: bool = True,
        mechanism: str = "PLAIN",
        route: Route | None = None,
    ) -> smtp_probe.Session:
        session = smtp(family, port=port, implicit_tls=port == 465, route=route)
        answered(session.say_ehlo(), 250)
        if port != 465:
            answered(session.starttls(tls_context), 220)
            answered(session.say_ehlo(), 250)
        if login:
            answered(session.log_in(account.name, account.password, mechanism), 235, enhanced="2.7.0")
        return session

    return open_session


@pytest.fixture
def mailbox_tls(site: Site, request: pytest.FixtureRequest) -> dict[str, Any]:
    """How a session that reads mail begins: with TLS where the site has a certificate."""
    return {"tls": own_context(site, request)} if site.tls else {}


@pytest.fixture
def imap(connect: Callable[..., Any], mailbox_tls: dict[str, Any], alice: Account) -> Callable[..., Any]:
    """Open an IMAP session and log in: `with imap() as box`, `imap(bob, "ipv6")`, `imap(login=False)`.

    On 993 with TLS, on 143 where the site has none.
    """

    @contextmanager
    def open_session(
        account: Account = alice, family: str = "", *, login: bool = True, route: Route | None = None
    ) -> Iterator[imap_probe.Session]:
        with connect(imap_probe.Session, 993 if mailbox_tls else 143, family, route, **mailbox_tls) as session:
            if login:
                session.login(account.name, account.password)
            yield session

    return open_session


@pytest.fixture
def pop3(connect: Callable[..., Any], mailbox_tls: dict[str, Any], alice: Account) -> Callable[..., Any]:
    """Open a POP3 session and log in: `with pop3() as drop`. On 995 with TLS, on 110 where the site has none."""

    @contextmanager
    def open_session(
        account: Account = alice, family: str = "", *, login: bool = True, route: Route | None = None
    ) -> Iterator[pop3_probe.Session]:
        with connect(pop3_probe.Session, 995 if mailbox_tls else 110, family, route, **mailbox_tls) as session:
            if login:
                session.user(account.name)
                session.pass_(account.password)
            yield session

    return open_session


@pytest.fixture
def browser(site: Site, main_family: str, request: pytest.FixtureRequest) -> Callable[..., Browser]:
    """A new visitor of the host's web server, by https where the site has a certificate; `browser(scheme="http")`."""

    context = own_context(site, request)

    def open_browser(family: str = "", *, scheme: str = "", route: Route | None = None) -> Browser:
        return Browser(
            f"{scheme or ('https' if site.tls else 'http')}://{site.hostname}/",
            host=site.addresses[family or main_family],
            route=route,
            tls=context,
        )

    return open_browser


@pytest.fixture
def webmail(
    browser: Callable[..., Browser], site: Site, alice: Account
) -> Iterator[Callable[..., SquirrelMail | Roundcube]]:
    """A person in the webmail, logged in; logged out in the end."""
    people: list[SquirrelMail | Roundcube] = []
    kinds: dict[str, type[SquirrelMail | Roundcube]] = {"squirrelmail": SquirrelMail, "roundcube": Roundcube}

    def open_webmail(account: Account = alice, *, login: bool = True) -> SquirrelMail | Roundcube:
        person = kinds[site.webmail](browser())
        if login:
            person.login(account.name, account.password)
            people.append(person)
        return person

    yield open_webmail
    for person in people:
        person.logout()


@pytest.fixture
def mailbox(imap: Callable[..., Any], pop3: Callable[..., Any], alice: Account) -> Mailbox:
    """What has arrived, asked by IMAP and by POP3."""
    return Mailbox(imap, pop3, alice)


@pytest.fixture(scope="session")
def sink(site: Site) -> Peer:
    """The peer that plays the rest of the Internet, with its sink."""
    assert site.peer is not None, "a check that uses the sink says needs=['peer']"
    return Peer(site.peer.api)


@pytest.fixture(scope="session")
def stranger(site: Site, sink: Peer) -> Callable[..., Route]:
    """The route of one of the peer's many addresses; each number is another stranger."""

    def route(family: str, number: int = 0) -> Route:
        assert site.peer is not None
        sources = site.peer.strangers.get(family, [])
        if not sources:
            pytest.skip(_("the peer has no {family} address to play a stranger").format(family=family))
        return sink.stranger(sources[number % len(sources)])

    return route


@pytest.fixture(scope="session")
def acquainted(site: Site, stranger: Callable[..., Route]) -> None:
    """Have the first eight strangers known to postscreen: each new one waits some seconds, so they do it at once."""

    def greet(family: str, number: int) -> None:
        with smtp_probe.Session(site.addresses[family], 25, route=stranger(family, number)) as talk:
            talk.command("QUIT")

    with ThreadPoolExecutor(16) as pool:
        waiting = [pool.submit(greet, family, number) for family in site.families for number in range(8)]
    for one in waiting:
        one.result()


@pytest.fixture(scope="session")
def guesser(site: Site, main_family: str, request: pytest.FixtureRequest) -> Callable[..., Route]:
    """The route for a login that is meant to fail: another stranger at each call, so that no check gets one banned.

    Without a peer it is this machine, which must not be banned: where the site bans, the check is skipped.
    """
    count = itertools.count(1)
    stranger: Callable[..., Route] | None = request.getfixturevalue("stranger") if site.peer else None

    def route(family: str = "") -> Route:
        if stranger:
            return stranger(family or main_family, -next(count))  # from the last on: checks name the first ones
        if site.mail.get("mail_bans"):
            pytest.skip(_("no peer: a wrong password from here could get this machine banned"))
        return Direct()

    return route


@pytest.fixture(scope="session")
def host(site: Site) -> Any:
    """The host itself, by testinfra: services, files, sockets, commands."""
    import testinfra

    if site.ssh.get("local"):
        return testinfra.get_host("local://", sudo=bool(site.ssh.get("sudo")))
    user = f"{site.ssh['user']}@" if site.ssh.get("user") else ""
    address = str(site.ssh["host"])
    return testinfra.get_host(
        f"ssh://{user}{f'[{address}]' if ':' in address else address}:{site.ssh.get('port') or 22}",
        ssh_identity_file=site.ssh.get("key"),
        ssh_extra_args=" ".join(site.ssh.get("options") or []),
        sudo=bool(site.ssh.get("sudo")),
    )
