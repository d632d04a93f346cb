"""What one client may take of the IMAP and POP3 servers: guesses, connections, memory."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from valija.checks.marks import check, rfc
from valija.checks.site import Account, Site
from valija.messages import N_, _
from valija.probes import wait
from valija.probes.imap import Session as Imap
from valija.probes.pop3 import Session as Pop3
from valija.probes.routes import TIMEOUT_SECONDS, Route

LIMITS = N_(
    "The limits stand in /etc/courier/imapd and pop3d; `journalctl -u courier-imap-ssl` tells what they refused."
)

# Each wrong password costs the one who sent it five seconds: in this time one of three is answered.
GUESSING_SECONDS, GUESSES_ANSWERED = 7.0, 1

# As many connections as a small office behind one address has; Debian's own limit of 20 would keep it out.
OFFICE = 30

# What a client that has logged in may send to be a burden.
NESTED, MILLION_NESTED, IN_A_CHAIN, IN_A_SET, ITEMS, PIPELINED = 250_000, 1_000_000, 50_000, 100_000, 10_000, 100_000
BURDENS = {
    "nested": b"SEARCH " + b"(" * NESTED + b"ALL" + b")" * NESTED,
    "deeply nested": b"SEARCH " + b"(" * MILLION_NESTED + b"ALL" + b")" * MILLION_NESTED,
    "a chain of OR": b"SEARCH " + b"OR ALL " * IN_A_CHAIN + b"ALL",
    "a long set": b"FETCH " + b",".join(b"%d" % number for number in range(1, IN_A_SET)) + b" (UID)",
    "many items": b"FETCH 1:* (" + b" ".join([b"UID"] * ITEMS) + b")",
    "a literal of 2 GiB": b"APPEND INBOX {2147483647}",
}
OTHERS_WAIT_SECONDS = 10.0


@pytest.fixture
def masters(host: Any) -> Iterator[dict[str, str]]:
    """The main process of each of Courier's services; a check that leaves others behind is red."""
    units = "courier-authdaemon courier-imap courier-imap-ssl courier-pop courier-pop-ssl"

    def look() -> dict[str, str]:
        said = host.run(f"systemctl show -p Id -p MainPID -p NRestarts {units}").stdout
        return {block.splitlines()[0]: block for block in said.strip().split("\n\n")}

    before = look()
    yield before
    assert look() == before, _("A service was started anew meanwhile: {units}").format(units=look())


@check(
    "D-05",
    N_("Guessing is slow: each wrong password costs seconds, by IMAP and by POP3, however fast they are sent"),
    vantage="stranger",
    clauses=[rfc(3501, "11.2")],
    remedy=LIMITS,
    needs=["tls"],
)
def test_guessing_is_slow(
    imap: Callable[..., Any], pop3: Callable[..., Any], guesser: Callable[..., Route], alice: Account
) -> None:
    with ExitStack() as stack:
        by_imap: Imap = stack.enter_context(imap(login=False, route=guesser()))
        by_pop3: Pop3 = stack.enter_context(pop3(login=False, route=guesser()))
        by_imap.raw_bytes(
            b"".join(b'g%d LOGIN "%s" "wrong"\r\n' % (number, alice.name.encode()) for number in range(3))
        )
        by_pop3.raw_bytes(f"USER {alice.name}\r\nPASS wrong\r\n".encode() * 3)
        ends = time.monotonic() + GUESSING_SECONDS
        refused = {
            "IMAP": sum(b" NO " in line for line in lines_until(by_imap, by_imap.readline, ends)),
            "POP3": sum(line.startswith(b"-ERR") for line in lines_until(by_pop3, by_pop3._reader.readline, ends)),
        }
        hang_up(by_imap)
        hang_up(by_pop3)
    for protocol, count in refused.items():
        assert count == GUESSES_ANSWERED, _("{protocol} answered {count} guesses in {seconds:g} s.").format(
            protocol=protocol, count=count, seconds=GUESSING_SECONDS
        )


def lines_until(session: Imap | Pop3, readline: Callable[[], bytes], ends: float) -> Iterator[bytes]:
    """What a session says until then; what came while another was listened to is not lost."""
    while session.answers_within(max(ends - time.monotonic(), 0.01)):
        line = readline()
        if not line:
            return
        yield line


def hang_up(session: Imap | Pop3) -> None:
    """End the connection at once, without the protocol's farewell."""
    with contextlib.suppress(OSError):
        session.sock.shutdown(socket.SHUT_RDWR)


@check(
    "D-14",
    N_("A client that sends monstrous commands harms its own session alone"),
    vantage="client",
    clauses=[rfc(3501, "7.1.5"), "CWE-674", "CWE-770"],
    setting="courier_imapd_extra: IMAP_ULIMITD",
    remedy=LIMITS,
    mutates=True,
)
@pytest.mark.parametrize("burden", list(BURDENS))
def test_burdens(imap: Callable[..., Any], masters: dict[str, str], alice: Account, bob: Account, burden: str) -> None:
    with imap(bob) as other, imap(alice) as box:
        box.select()
        other.select()
        with contextlib.suppress(OSError):  # the server may hang up before it has read all
            box.raw_bytes(b"x " + BURDENS[burden] + b"\r\n")
        began = time.monotonic()
        kind, lines = other.ask("NOOP")
        other.recorder.remark(_("answered after {seconds:.2f} s").format(seconds=time.monotonic() - began))
        assert kind == "OK" and time.monotonic() - began < OTHERS_WAIT_SECONDS, lines
        box.sock.settimeout(OTHERS_WAIT_SECONDS)
        with contextlib.suppress(OSError):  # an answer, a refusal, the end of the session: all are well
            box.readline()
        hang_up(box)
        with imap(alice) as again:  # and its owner can come back
            assert again.select()[0] == "OK"
        assert other.ask("NOOP")[0] == "OK"


@check(
    "D-14",
    N_("Commands sent by the ten thousand are answered in order, each once, while others are served"),
    vantage="client",
    clauses=[rfc(3501, "5.5")],
    remedy=LIMITS,
)
def test_pipelined_commands(imap: Callable[..., Any], masters: dict[str, str], bob: Account) -> None:
    with imap(bob) as other, imap() as box:
        sent = b"".join(b"n%d NOOP\r\n" % number for number in range(PIPELINED))
        box.recorder.remark(_("{count} times NOOP").format(count=PIPELINED))
        answered = 0
        for number, line in zip(range(PIPELINED), pipelined(box.sock, sent), strict=False):
            assert line.startswith(b"n%d OK" % number), (number, line)
            answered += 1
            if number == PIPELINED // 2:
                assert other.ask("NOOP")[0] == "OK"
        assert answered == PIPELINED


def pipelined(sock: socket.socket, sent: bytes) -> Iterator[bytes]:
    """Send all of it, and yield the lines that come meanwhile, without their ends.

    One thread does both, for a connection of OpenSSL's is not made for two. TimeoutError when nothing moves any more.
    """
    busy = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
    left, kept = memoryview(sent), b""
    sock.setblocking(False)
    try:
        while True:
            came = b""
            before = len(left)
            if left:
                with contextlib.suppress(*busy):
                    left = left[sock.send(left[:65536]) :]
            with contextlib.suppress(*busy):
                came = sock.recv(65536)
                if not came:
                    return
            *lines, kept = (kept + came).split(b"\n")
            yield from lines
            if not came and len(left) == before:
                ready = select.select([sock], [sock] if left else [], [], TIMEOUT_SECONDS)
                if not any(ready):
                    raise TimeoutError
    finally:
        sock.settimeout(TIMEOUT_SECONDS)


@check(
    "D-14",
    N_("The memory of a client's process has a limit"),
    vantage="host",
    setting="courier_imapd_extra: IMAP_ULIMITD",
    remedy=LIMITS,
)
def test_memory_is_limited(imap: Callable[..., Any], host: Any, alice: Account) -> None:
    with imap() as box:
        box.select()
        said = host.run("for p in $(pgrep -u %s); do cat /proc/$p/limits; done", alice.name).stdout
    kinds = ("Max data size", "Max address space")
    limited = [line for line in said.splitlines() if line.startswith(kinds) and line.split()[3] != "unlimited"]
    assert limited, said


@check(
    "D-19",
    N_("An office behind one address is let in: thirty connections at once are all served"),
    vantage="stranger",
    clauses=[],
    setting="courier_imap_connections_per_address",
    remedy=LIMITS,
    needs=["tls", "peer"],
)
def test_an_office_behind_one_address(
    imap: Callable[..., Any], stranger: Callable[..., Route], main_family: str
) -> None:
    with ExitStack() as stack:
        boxes = [stack.enter_context(imap(login=False, route=stranger(main_family, 11))) for _number in range(OFFICE)]
        assert [box.ask("NOOP")[0] for box in boxes] == ["OK"] * OFFICE


@check(
    "D-19",
    N_("One address gets so many connections and no more; others are still let in, and one that ends makes room"),
    vantage="stranger",
    setting="courier_pop3_connections_per_address",
    remedy=LIMITS,
    needs=["tls", "peer"],
)
def test_connections_per_address(
    site: Site, pop3: Callable[..., Any], host: Any, stranger: Callable[..., Route], main_family: str, run_began: str
) -> None:
    limit = int(host.run(". /etc/courier/pop3d; echo $MAXPERIP").stdout)
    address, crowd = site.addresses[main_family], stranger(main_family, 12)
    held: list[socket.socket] = []
    try:
        held += [crowd.connect(address, 995) for _number in range(limit)]
        surplus = [crowd.connect(address, 995) for _number in range(3)]
        held += surplus
        wait.until(lambda: all(map(ended, surplus)), 10, _("the end of the connections above the limit"))
        still = sum(not ended(one) for one in held)
        assert still == limit, _("{count} connections of one address are held; {limit} is the limit.").format(
            count=still, limit=limit
        )
        with pop3(login=False, route=stranger(main_family, 13)) as other:
            assert other.ask("NOOP")[0].startswith("-ERR")  # before the login: it is heard
        logged = host.run(f"journalctl --since=@{run_began} --no-pager -q -u courier-pop-ssl").stdout
        assert "limit" in logged.lower(), _("The log says nothing of the limit.")
        held.pop(0).close()

        def room() -> bool:
            with contextlib.suppress(AssertionError), pop3(login=False, route=crowd):  # refused is not there yet
                return True
            return False

        wait.until(room, 10, _("room for one more"))
    finally:
        for one in held:
            one.close()


def ended(sock: socket.socket) -> bool:
    """Whether the server has closed a connection on which it waits for TLS to begin."""
    sock.setblocking(False)
    try:
        return not sock.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True
