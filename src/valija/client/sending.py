"""Send one message: connect, secure, log in, hand over; and say in words how it went."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from valija.client import problems
from valija.client.connection import Connection, Course, RefusedError, discreet
from valija.client.message import Message
from valija.client.problems import EXIT_CODES, Problem
from valija.client.sasl import NoMechanismError, log_in
from valija.client.server import Login, Reports, Security, Server, check
from valija.client.transaction import Handed, NoSmtputf8Error, TooLargeError, hand_over
from valija.errors import ValijaError
from valija.messages import _
from valija.probes.transcript import Recorder, Transcript

# For one reply or one write; and for the reply to the message itself, where giving up too early makes duplicates
# (RFC 5321 section 4.5.3.2.6).
TIMEOUT_SECONDS = 60.0
FINAL_TIMEOUT_SECONDS = 600.0


@dataclass(frozen=True)
class Refused:
    """A recipient to whom the message does not go."""

    address: str
    problem: Problem


@dataclass(frozen=True)
class Result:
    """How a sending went: `problem` is what stopped it, `reply` the server's receipt, `notes` what was left out."""

    server: str
    message_id: str
    accepted: tuple[str, ...]
    refused: tuple[Refused, ...]
    reply: str
    notes: tuple[str, ...]
    transcript: Transcript
    problem: Problem | None = None

    @property
    def exit_code(self) -> int:
        """0 sent to all; 1 refused for some or all; 3 not now; 4 login; 5 TLS; 6 not known."""
        if self.problem:
            return EXIT_CODES[self.problem.kind]
        kinds = {EXIT_CODES[one.problem.kind] for one in self.refused}
        if not kinds:
            return 0
        return 3 if kinds == {3} and not self.accepted else 1

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values, without the transcript."""
        return {
            "sent": bool(self.accepted),
            "exit_code": self.exit_code,
            "server": self.server,
            "message_id": self.message_id,
            "accepted": list(self.accepted),
            "refused": [{"address": one.address, **one.problem.to_json()} for one in self.refused],
            "problem": self.problem.to_json() if self.problem else None,
            "reply": self.reply,
            "notes": list(self.notes),
        }


class NotSentError(ValijaError):
    """Nobody gets the message, or nobody knows; `result` says why, and holds the transcript."""

    def __init__(self, result: Result) -> None:
        lines = [f"{one.address}: {one.problem}" for one in result.refused]
        super().__init__("\n".join([_("Not sent."), *([str(result.problem)] if result.problem else lines)]))
        self.result = result
        self.exit_code = result.exit_code


def send(
    message: Message,
    server: Server | str,
    *,
    login: Login | None = None,
    reports: Reports | None = None,
    hello: str = "",
    timeout: float = TIMEOUT_SECONDS,
    final_timeout: float | None = None,
) -> Result:
    """Send a message through a server; returns when the server has taken it for one recipient at least.

    `server` is a Server, or `host:port` (see Server.parse). `hello`: the name given with EHLO, by default the address.
    Times are in seconds. Raises NotSentError when nobody gets the message, InputError for what is wrong beforehand.
    """
    if isinstance(server, str):
        server = Server.parse(server)
    check(server, login)
    if server.security is not Security.NONE:
        server.tls_context()
    waits = (timeout, final_timeout if final_timeout is not None else max(timeout, FINAL_TIMEOUT_SECONDS))
    attempt = _Attempt(message, server, login, reports, hello, waits)
    result = attempt.run()
    if not result.accepted:
        raise NotSentError(result)
    return result


class _Attempt:
    """One sending, from the connection to the farewell."""

    def __init__(
        self,
        message: Message,
        server: Server,
        login: Login | None,
        reports: Reports | None,
        hello: str,
        waits: tuple[float, float],
    ) -> None:
        self.message, self.server, self.login, self.reports, self.hello = message, server, login, reports, hello
        self.timeout, self.final_timeout = waits
        self.course = Course()
        self.handed = Handed()
        self.message_id = ""
        self.notes: list[str] = []

    def run(self) -> Result:
        connection: Connection | None = None
        problem: Problem | None = None
        try:
            connection = Connection(self.server, self.course, timeout=self.timeout)
            self._talk(connection)
        except RefusedError as error:
            problem = problems.of_reply(self.course.stage, error.reply, self.server, self.login)
        except NoMechanismError as error:
            assert self.login is not None
            problem = problems.of_mechanisms(str(error), self.login, self.server)
        except TooLargeError as error:
            problem = problems.too_large(error.size, error.limit)
        except NoSmtputf8Error:
            problem = problems.no_smtputf8()
        except _NoStarttlsError:
            problem = problems.no_starttls(self.server)
        except OSError as error:
            seconds = self.final_timeout if self.course.stage == "end" else self.timeout
            problem = problems.of_error(self.course.stage, error, self.server, seconds)
        finally:
            if connection:
                self._leave(connection, broken=problem is not None and not problem.code)
        return self._result(problem, connection.secrets if connection else [])

    def _talk(self, connection: Connection) -> None:
        connection.hello(self.hello)
        if self.server.security is Security.STARTTLS:
            if "STARTTLS" not in connection.features:
                raise _NoStarttlsError
            connection.secure()
            connection.hello(self.hello)
        if self.login:
            log_in(connection, self.login)
        if self.reports and "DSN" not in connection.features:
            self.notes.append(_("The server offers no delivery reports (DSN): none was asked for."))
        mime = self.message.mime(eight_bit="8BITMIME" in connection.features)
        self.message_id = str(mime["Message-ID"])
        hand_over(connection, self.message, mime.as_bytes(), self.reports, self.final_timeout, self.handed)

    def _leave(self, connection: Connection, *, broken: bool) -> None:
        local = self.course.stage in ("sender", "starttls", "login")  # the problem was found here, the session is whole
        close: Callable[[], None] = connection.close if broken and not local else connection.leave
        close()

    def _result(self, problem: Problem | None, secrets: list[str]) -> Result:
        handed = self.handed
        recorder = self.course.recorder or Recorder("smtp")
        refused = [
            Refused(address, problems.of_reply("recipient", reply, self.server)) for address, reply in handed.refused
        ]
        final = handed.final
        return Result(
            server=recorder.server,
            message_id=self.message_id,
            accepted=tuple(handed.accepted) if final else (),
            refused=tuple(refused),
            reply=f"{final.code} {' / '.join(final.lines)}" if final else "",
            notes=tuple(self.notes),
            transcript=discreet(recorder.transcript(), secrets),
            problem=problem,
        )


class _NoStarttlsError(Exception):
    """STARTTLS is not offered."""
