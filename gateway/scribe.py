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

from gateway.counts import CLIENT_GONE, VersionCounts
from gateway.gauges import Sink
from gateway.ledger import Ledger
from gateway.line import (
    MAX_PATH,
    MAX_TEXT,
    AccessLine,
    PredictionLine,
    features_of,
    is_sampled,
    line_of,
    network_of,
    text_of,
)
from gateway.model import FULL_WEIGHT, Assignment, PredictionLog, Role, Rotation, Route
from gateway.observe import Outcome
from gateway.predictions import PredictionReader, Reading
from gateway.table import CompiledRoute, Decision, Place, RoutingTable

if TYPE_CHECKING:
    from gateway.errors import Refusal
    from gateway.request import Request

STDOUT: Final = "-"
_USER_BYTES: Final = 8  # of a keyed hash: one in a million that two of six million users share one
_NOTHING: Final[Reading] = (None, None, None)


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


class Setting(NamedTuple):
    """What is the same for all requests of a version under one file."""

    route: CompiledRoute
    generation: str
    log: PredictionLog | None
    book: Book | None


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
        self._access = Book(Sink.ACCESS, access.path) if access else None

    def counts(
        self, ledger: Ledger, table: RoutingTable, place: Place, known: Iterable[str]
    ) -> VersionCounts:
        """What counts the requests of a version, and tells this of them if they are wanted."""
        route = place.route
        given = ledger, route, place.version, place.role, known
        if self._access is None and route.log is None:
            return VersionCounts(*given)
        log = route.log
        book = Book(Sink.PREDICTIONS, log.path, log.rotation) if log else None
        compiled = next(one for one in table.routes if one.rules is route)
        return LoggedCounts(self, Setting(compiled, table.config.generation, log, book), *given)

    def finished(self, outcome: Outcome, reading: Reading, setting: Setting) -> None:
        """A version was asked, and this is what came of the request."""
        request, log, book = outcome.request, setting.log, setting.book
        if request is None:
            return
        if log is not None and book is not None and is_sampled(request.id, log.sample):
            self._write(book, lambda: self._prediction(request, outcome, reading, setting))
        if self._access is not None and is_sampled(request.id, self._share):
            self._write(self._access, lambda: _served(self._clock(), request, outcome))

    def refused(self, request: Request) -> None:
        """No version was asked, or none could be any more."""
        refusal, book = request.refusal, self._access
        if refusal is not None and book is not None and is_sampled(request.id, self._share):
            self._write(book, lambda: _refused(self._clock(), request, refusal))

    def user(self, key: bytes) -> str:
        """The hash of a user's key: who has the secret can find out whose it is, nobody else."""
        keyed = self._hash.copy()
        keyed.update(key)
        return keyed.hexdigest()

    def _write(self, book: Book, line: Callable[[], PredictionLine | AccessLine]) -> None:
        try:
            self._paper.put(book, line_of(line()))
        except Exception:  # whatever it is, the request has been answered
            self._paper.lose(book.sink)

    def _prediction(
        self, request: Request, outcome: Outcome, reading: Reading, setting: Setting
    ) -> PredictionLine:
        decision = outcome.decision
        label, score, missing = reading
        key = setting.route.key(request.head.fields)
        line = PredictionLine(
            timestamp=self._clock(),
            request_id=request.id.decode(),
            route=decision.route.name,
            assigned=_assigned(decision),
            version=decision.version,
            assignment=decision.assignment,
            user=None if key is None else self.user(key),
            prediction=None if label is None else label[:MAX_TEXT],
            score=score,
            missing=missing,
            status=CLIENT_GONE if outcome.gone else outcome.status,
            reason=outcome.reason,
            cause=_cause(request),
            seconds=round(outcome.seconds, 6),
            upstream_seconds=round(outcome.upstream_seconds, 6),
            generation=setting.generation,
        )
        if setting.log is not None and setting.log.features:
            found, absent = features_of(request.chunks, streamed=request.streamed)
            line.features = msgspec.UNSET if found is None else found
            line.features_missing = msgspec.UNSET if absent is None else absent
        return line


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
        reader = self._reader
        if reader is not None:
            reader.last = _NOTHING
        super().record(outcome)
        if outcome.status or outcome.gone:
            reading = _NOTHING if reader is None else reader.last
            self._scribe.finished(outcome, reading, self._setting)
        elif outcome.request is not None:  # another version takes over
            outcome.request.cause = outcome.reason


class _Remembering(PredictionReader):
    """Knows what it read last."""

    __slots__ = ("last",)

    last: Reading

    def read(self, body: bytes) -> Reading:
        self.last = super().read(body)
        return self.last


def _served(now: datetime, request: Request, outcome: Outcome) -> AccessLine:
    decision = outcome.decision
    return AccessLine(
        timestamp=now,
        request_id=request.id.decode(),
        client=network_of(request.origin),
        method=text_of(request.head.method),
        path=text_of(request.head.path, MAX_PATH),
        route=decision.route.name,
        assigned=_assigned(decision),
        version=decision.version,
        assignment=decision.assignment,
        status=CLIENT_GONE if outcome.gone else outcome.status,
        reason=outcome.reason,
        cause=_cause(request),
        seconds=round(outcome.seconds, 6),
        upstream_seconds=round(outcome.upstream_seconds, 6),
        overhead_seconds=round(outcome.overhead, 6),
        request_bytes=request.size,
        response_bytes=None if outcome.body is None else len(outcome.body),
    )


def _refused(now: datetime, request: Request, refusal: Refusal) -> AccessLine:
    head = request.head
    known = head.count > 0  # else nothing of the head could be understood
    return AccessLine(
        timestamp=now,
        request_id=request.id.decode(),
        client=network_of(request.origin),
        method=text_of(head.method) if known else None,
        path=text_of(head.path, MAX_PATH) if known else None,
        status=refusal.status,
        reason=refusal.reason,
        cause=_cause(request),
        request_bytes=request.size,
    )


def _cause(request: Request) -> str | None:
    """Why another version was asked before and did not do."""
    return getattr(request, "cause", None)  # no ordinary request has it


def _assigned(decision: Decision) -> str:
    """The version that was to answer."""
    if decision.assignment is not Assignment.FALLBACK:
        return decision.version
    return decision.way.partition("/")[2] or decision.version
