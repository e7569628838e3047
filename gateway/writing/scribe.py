"""What is written down of requests: in the log of their route, and in that of all requests.

It is an observer beside the counters, and only there where something is to be written down: a
route without a log is counted as it always was. A prediction is not read again, it is what was
counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec

from gateway.answers.observe import Outcome
from gateway.answers.predictions import PredictionReader, Reading
from gateway.counting.counts import CLIENT_GONE, VersionCounts
from gateway.counting.gauges import Sink
from gateway.counting.ledger import Ledger
from gateway.model import FULL_WEIGHT, Assignment, Role, Rotation, Route
from gateway.routing.compiled import CompiledRoute
from gateway.routing.decision import Decision
from gateway.routing.table import Place, RoutingTable
from gateway.writing.line import (
    MAX_PATH,
    MAX_TEXT,
    AccessLine,
    PredictionLine,
    features_of,
    is_sampled,
    line_of,
    network_of,
    rounded,
    text_of,
)

if TYPE_CHECKING:
    from gateway.http.request import Request

STDOUT: Final = "-"
_USER_BYTES: Final = 8  # of a keyed hash: one in a million that two of six million users share one
_NOTHING: Final[Reading] = (None, None, None, None)


class Book(NamedTuple):
    """A file of lines, as routing.yaml or the command line names it."""

    sink: Sink
    path: str
    rotation: Rotation = Rotation()


@dataclass(frozen=True, slots=True)
class AccessLog:
    """Where all requests are written down: a path or ``STDOUT``; ``sample`` in basis points."""

    path: str
    sample: int = FULL_WEIGHT


class Paper(Protocol):
    """What takes lines, and keeps nobody waiting."""

    def put(self, book: Book, line: bytes) -> None:
        """A line for a book."""

    def lose(self, sink: Sink) -> None:
        """Count a line that could not be made."""


Who = tuple[str, str, str, str]
"""Route, the version that was to answer, the one that did, and how the request came to it."""


class Setting:
    """What is the same for all requests of a version under one file."""

    __slots__ = ("_who", "book", "generation", "log", "route")

    def __init__(self, route: CompiledRoute, generation: str) -> None:
        self.route = route
        self.generation = generation
        self.log = log = route.rules.log
        self.book = Book(Sink.PREDICTIONS, log.path, log.rotation) if log else None
        self._who: dict[Decision, Who] = {}

    def who(self, decision: Decision) -> Who:
        """Worked out once for each of the few decisions there are."""
        found = self._who.get(decision)
        if found is None:
            _, _, instead = decision.way.partition("/")
            version, assignment = decision.version, decision.assignment.value
            found = decision.route.name, instead or version, version, assignment
            self._who[decision] = found
        return found


class Scribe:
    """One per serving process. ``clock`` says the time of day, ``secret`` is what users are hashed
    with.
    """

    def __init__(
        self,
        paper: Paper,
        clock: Callable[[], datetime],
        secret: bytes,
        access: AccessLog | None = None,
    ) -> None:
        self._paper = paper
        self._clock = clock
        self._hash = blake2b(key=blake2b(secret).digest(), digest_size=_USER_BYTES)
        self._share = access.sample if access else 0
        self.access = Book(Sink.ACCESS, access.path) if access else None

    def counts(
        self, ledger: Ledger, table: RoutingTable, place: Place, known: Iterable[str]
    ) -> VersionCounts:
        """What counts the requests of a version, and tells this of them if they are wanted."""
        given = ledger, place.route, place.version, place.role, known
        if self.access is None and place.route.log is None:
            return VersionCounts(*given)
        compiled = next(one for one in table.routes if one.rules is place.route)
        return LoggedCounts(self, Setting(compiled, table.config.generation), *given)

    # Once per request each: values are passed by place, as a call with names costs 0.5 us more.

    def predicted(
        self, request: Request, outcome: Outcome, reading: Reading, setting: Setting, book: Book
    ) -> None:
        """A request that a route's log is to have is finished."""
        decision, (label, score, value, missing) = outcome.decision, reading
        try:
            line = PredictionLine(
                self._clock(),
                request.id.decode(),
                *setting.who(decision),
                self._user(request, setting),
                None if label is None else label[:MAX_TEXT],
                score,
                missing,
                CLIENT_GONE if outcome.gone else outcome.status,
                outcome.reason,
                _cause(request, decision),
                rounded(outcome.seconds),
                rounded(outcome.upstream_seconds),
                setting.generation,
            )
            if value is not None:
                line.value = value
            if setting.log is not None and setting.log.features:
                found, absent = features_of(request.chunks, streamed=request.streamed)
                line.features = msgspec.UNSET if found is None else found
                line.features_missing = msgspec.UNSET if absent is None else absent
            self._paper.put(book, line_of(line))
        except Exception:  # whatever it is, the request has been answered
            self._paper.lose(book.sink)

    def served(self, request: Request, outcome: Outcome, setting: Setting) -> None:
        """A request that a version was asked is finished."""
        book = self.access
        if book is None or not is_sampled(request.id, self._share):
            return
        head, decision, body = request.head, outcome.decision, outcome.body
        try:
            line = AccessLine(
                self._clock(),
                request.id.decode(),
                network_of(request.origin),
                text_of(head.method),
                text_of(head.path, MAX_PATH),
                *setting.who(decision),
                CLIENT_GONE if outcome.gone else outcome.status,
                outcome.reason,
                _cause(request, decision),
                rounded(outcome.seconds),
                rounded(outcome.upstream_seconds),
                rounded(outcome.overhead),
                request.size,
                None if body is None else len(body),
            )
            self._paper.put(book, line_of(line))
        except Exception:  # as above
            self._paper.lose(book.sink)

    def refused(self, request: Request) -> None:
        """No version was asked, or none could be any more."""
        refusal, book = request.refusal, self.access
        if refusal is None or book is None or not is_sampled(request.id, self._share):
            return
        head = request.head
        known = head.count > 0  # else nothing of the head could be understood
        try:
            line = AccessLine(
                self._clock(),
                request.id.decode(),
                network_of(request.origin),
                text_of(head.method) if known else None,
                text_of(head.path, MAX_PATH) if known else None,
                status=refusal.status,
                reason=refusal.reason,
                request_bytes=request.size,
            )
            self._paper.put(book, line_of(line))
        except Exception:  # as above
            self._paper.lose(book.sink)

    def user(self, key: bytes) -> str:
        """The hash of a user's key: who has the secret can find out whose it is, nobody else."""
        keyed = self._hash.copy()
        keyed.update(key)
        return keyed.hexdigest()

    def _user(self, request: Request, setting: Setting) -> str | None:
        if not setting.route.sticky:
            return None
        key = setting.route.key(request.head.fields)
        return None if key is None else self.user(key)


class LoggedCounts(VersionCounts):
    """Tells a scribe of each request that it counts, once it is finished."""

    __slots__ = ("_reader", "_scribe", "_setting")

    def __init__(
        self,
        scribe: Scribe,
        setting: Setting,
        ledger: Ledger,
        route: Route,
        version: str,
        role: Role,
        known: Iterable[str] = (),
    ) -> None:
        super().__init__(ledger, route, version, role, known)
        self._scribe = scribe
        self._setting = setting
        self._reader: _Remembering | None = None
        if route.prediction is not None:
            self._read = self._reader = _Remembering(route.prediction)

    def record(self, outcome: Outcome) -> None:
        reader, setting, request = self._reader, self._setting, outcome.request
        if reader is not None:
            reader.last = _NOTHING
        _count(self, outcome)
        if request is None:
            return
        if not outcome.status and not outcome.gone:  # another version takes over
            request.cause = outcome.reason
            return
        log, book = setting.log, setting.book
        if log is not None and book is not None and is_sampled(request.id, log.sample):
            reading = outcome.reading or (_NOTHING if reader is None else reader.last)
            self._scribe.predicted(request, outcome, reading, setting, book)
        if self._scribe.access is not None:
            self._scribe.served(request, outcome, setting)


_count: Final = VersionCounts.record


class _Remembering(PredictionReader):
    """Knows what it read last."""

    __slots__ = ("last",)

    last: Reading

    def read(self, body: bytes) -> Reading:
        self.last = super().read(body)
        return self.last


def _cause(request: Request, decision: Decision) -> str | None:
    """Why another version was asked before and did not do; no other request has it."""
    if decision.assignment is not Assignment.FALLBACK:
        return None
    return getattr(request, "cause", None)
