"""Every error of the gateway, and the words it uses for a failure.

    GatewayError
      ConfigError(problems)       a refused file; never reaches a request
      StaleEdit(expected, found)  somebody else edited the file first
      EditRefused(sentence)       a change that breaks a rule of the file; nothing was written
        UnknownName(kind, ...)    a change that names a route or version the file does not have
      EditFailed(sentence)        the file system did not let us; the file is as it was
      CertificateRefused(...)     a certificate or key that no port can use
      TracesRefused(sentence)     spans that cannot be exported from here
      Refusal(status, reason)     blame is the client's: the request cannot be served as it is

A failure of a *worker* is no exception but a word, a :class:`Reason`: it travels through
callbacks, stands in the JSON body the client gets, and is the metric label ``reason``. One word
for one thing in all three places.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Why a version did not give a good answer; the closed set of the metric label ``reason``."""

    CONNECT = "connect"  # nobody listens there, or no connection in time: nothing was sent
    RESET = "reset"  # the connection ended before the answer was whole
    TIMEOUT = "timeout"  # no whole answer within the deadline
    BAD_RESPONSE = "bad_response"  # bytes that are no HTTP answer
    UPSTREAM_5XX = "upstream_5xx"  # an answer, with a status from 500 to 599
    SHED = "shed"  # over the limit `in_flight`: not sent

    @property
    def status(self) -> int:
        """The HTTP status of the gateway's own answer when no version could answer."""
        return _STATUS[self]

    @staticmethod
    def of_status(status: int) -> Reason | None:
        """500 and up is an answer, and a failure of the version all the same."""
        return Reason.UPSTREAM_5XX if status >= 500 else None


_STATUS = {
    Reason.CONNECT: 503,
    Reason.RESET: 502,
    Reason.TIMEOUT: 504,
    Reason.BAD_RESPONSE: 502,
    Reason.UPSTREAM_5XX: 502,
    Reason.SHED: 503,
}


# Why a request is refused before any version is asked; a closed set, as of a label ``reason``.
REFUSED: Final = (
    *("bad_request", "body_too_large", "head_too_large", "no_route", "shed", "target_too_long"),
    *("timeout", "unknown_version"),
)


class GatewayError(Exception):
    """The root: everything this project raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file, or that is not as it says.

    ``line`` and ``column`` count from 1; ``path`` is dotted (``routes.iris.versions.v2.weight``),
    empty for the whole file; ``message`` says what was found, the rule, and what to do.
    """

    line: int
    column: int
    path: str
    message: str

    def render(self, filename: str) -> str:
        """``routing.yaml:14:17: routes.iris...weight: 'ten' is not a percentage; write ...``"""
        place = f"{self.path}: " if self.path else ""
        return f"{filename}:{self.line}:{self.column}: {place}{self.message}"


class ConfigError(GatewayError):
    """A file that was refused whole. ``problems`` holds all of them, in the order of the file;
    never empty.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(problem.render("routing.yaml") for problem in problems))


class StaleEdit(GatewayError):
    """The file is not the one the decision was based on: nothing was written.

    ``expected`` and ``found`` are generations (content hashes).
    """

    def __init__(self, expected: str, found: str) -> None:
        self.expected = expected
        self.found = found
        super().__init__(
            f"the file changed in between (expected {expected}, found {found}); "
            "nothing was written: look at it again and repeat the command"
        )


class EditRefused(GatewayError):
    """A change that cannot be made to this file, whoever asks; the message says why and what to
    do instead.
    """


class UnknownName(EditRefused):
    """A change names something the file does not have. ``kind`` is ``route`` or ``version``,
    ``known`` are the names that exist.
    """

    def __init__(self, kind: str, name: str, place: str, known: tuple[str, ...]) -> None:
        self.kind = kind
        self.name = name
        self.known = known
        near = get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
        super().__init__(f"{place}: there is no {kind} {name!r}; {hint}")


class EditFailed(GatewayError):
    """The file could not be read or written; it is as it was before."""


class CertificateRefused(GatewayError):
    """A certificate or key that no port can use; one sentence that says why and what to do."""


class TracesRefused(GatewayError):
    """Spans that cannot be exported; one sentence that says why and what to do."""


class Refusal(GatewayError):
    """A request the gateway answers itself because of what the client sent.

    ``status`` is an HTTP status, ``reason`` the machine-readable code, the message one sentence
    for a person.
    """

    def __init__(self, status: int, reason: str, sentence: str) -> None:
        self.status = status
        self.reason = reason
        self.sentence = sentence
        super().__init__(sentence)
