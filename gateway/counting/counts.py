"""What one request adds to the ledger: cells per version, grown by one outcome at a time.

All places are worked out when a table is assembled; ``record`` runs once per request and only adds
up, in one function, because a call of its own per histogram costs as much as what it does. A
metrics library's labelled counters and histograms would cost six microseconds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from gateway.answers.compression import inflation_of
from gateway.answers.events import EventReader
from gateway.answers.observe import Outcome
from gateway.answers.predictions import MAX_LABEL, Missing, PredictionReader, Reading
from gateway.answers.recovery import too_late
from gateway.counting.grid import (
    BEGINNING_BOUNDS,
    DRAWN_SCORE_BOUNDS,
    DURATION_BOUNDS,
    LATENCY_BOUNDS,
    OVERHEAD_BOUNDS,
    SCORE_BOUNDS,
    WORKED_GRID,
)
from gateway.counting.ledger import Ledger
from gateway.errors import Reason
from gateway.model import Assignment, Role, Route
from gateway.routing.decision import ways_to

# Labels taken from traffic when the file declares none; the rest is counted as OTHER_LABEL.
LEARNED_LABELS: Final = 20
# Series of such labels in a route, however many versions it has; three versions can fill them.
LEARNED_SERIES: Final = 180
OTHER_LABEL: Final = "__other__"
_NEVER_SENT: Final = (Reason.CONNECT, Reason.SHED)
_OF_A_SPLIT: Final = (Assignment.WEIGHTED, Assignment.STICKY)
_BEYOND: Final = len(LATENCY_BOUNDS)  # the bucket without an end
RETRIED: Final = (Reason.CONNECT, Reason.RESET)
NOT_RETRIED: Final = (Reason.RESET,)  # what was never sent may always be sent elsewhere
CLIENT_GONE: Final = 499  # nginx's code for a client that closed before the answer
OF_A_ROUTE: Final = ("overhead", "overhead_sum")  # cells that all versions of a route share
KNOWN_CODES: Final = (200, 500, 502, 503, 504)
# Any other code is counted as the x00 of its class, as which it is to be treated (RFC 9110, section
# 15).
_NAMED_CODES: Final = {*HTTPStatus, CLIENT_GONE}


class VersionCounts:
    """Everything counted for one version in one role under one generation of the file.

    The evidence, which a verdict may use, are cells like the others. Only draws count there:
    ``assigned`` each once, under the version it was *assigned*, also when another one answered in
    its place; ``bad`` those this version gave no good answer to; ``gone`` those whose client left
    before anybody could know; the rest was good.

    What Prometheus and a verdict are both told of is counted once: draws in the fine cells of
    ``grid`` (the names that begin with ``drawn``), all else in the coarse ones.
    """

    __slots__ = (
        *("_answered", "_assigned", "_bad", "_bad_by", "_began", "_began_sum", "_counts"),
        *("_declared", "_drawn_cut", "_drawn_missing", "_drawn_scores", "_drawn_worked", "_errors"),
        *("_failed_apart", "_fallbacks", "_gone", "_key", "_labels", "_ledger", "_missing"),
        *("_overhead", "_overhead_sum", "_read", "_retries", "_retries_refused", "_scores"),
        *("_scores_sum", "_sums", "_too_late", "_waited", "_waited_sum", "_worked"),
        *("_bounds", "_drawn_values", "_values", "_values_sum", "_worked_sum"),
    )

    def __init__(
        self, ledger: Ledger, route: Route, version: str, role: Role, known: Iterable[str] = ()
    ) -> None:
        self._ledger = ledger
        self._counts = ledger.counts
        self._sums = ledger.sums
        self._key = key = (route.name, version, role.value)
        self._answered: dict[tuple[str, int], int] = {}
        for way in ways_to(route, role):
            for code in KNOWN_CODES:
                self._first_answer(way, code)
        self._errors = {one: ledger.cell("errors", *key, one.value) for one in Reason}
        self._retries = {one: ledger.cell("retries", *key, one.value) for one in RETRIED}
        self._retries_refused = {
            one: ledger.cell("retries_refused", *key, one.value) for one in NOT_RETRIED
        }
        self._fallbacks = {one: ledger.cell("fallbacks", *key, one.value) for one in Reason}
        # The parts before the whole, `assigned`, which is asked for last: who reads in this order,
        # while others write in the other one (see `record`), never finds more bad requests than
        # there were requests.
        self._bad_by = {one: ledger.cell("bad_by", *key, one.value) for one in Reason}
        self._bad = ledger.cell("bad", *key)
        self._gone = ledger.cell("gone", *key)
        self._failed_apart = {one: ledger.cell("failed_apart", *key, one.value) for one in Reason}
        self._waited = ledger.row(len(DURATION_BOUNDS) + 1, "waited", *key)
        self._waited_sum = ledger.sum("waited_sum", *key)
        # Of the route, as it is told: what was counted stays when a version leaves the file.
        self._overhead = ledger.row(len(OVERHEAD_BOUNDS) + 1, OF_A_ROUTE[0], route.name)
        self._overhead_sum = ledger.sum(OF_A_ROUTE[1], route.name)
        self._began = ledger.row(len(BEGINNING_BOUNDS) + 1, "began", *key)
        self._began_sum = ledger.sum("began_sum", *key)
        self._worked = ledger.row(len(DURATION_BOUNDS) + 1, "worked", *key)
        self._drawn_worked = ledger.row(len(WORKED_GRID) + 1, "drawn_worked", *key)
        self._drawn_cut = ledger.row(len(LATENCY_BOUNDS) + 1, "drawn_cut", *key)
        self._worked_sum = ledger.sum("worked_sum", *key)
        self._too_late = too_late(route, role)
        self._read: PredictionReader | None = None
        self._labels: dict[str, tuple[int, int]] = {}
        self._declared = route.prediction is not None and bool(route.prediction.labels)
        self._missing: dict[Missing, tuple[int, int]] = {}
        self._bounds = bounds = () if route.prediction is None else route.prediction.bounds
        self._scores = self._drawn_scores = self._scores_sum = 0
        self._values = self._drawn_values = self._values_sum = 0
        if route.prediction is not None:
            self._read = PredictionReader(route.prediction)
            for one in Missing:
                every = ledger.cell("missing", *key, one.value)
                self._missing[one] = every, ledger.cell("drawn_missing", *key, one.value)
            self._scores = ledger.row(len(SCORE_BOUNDS) + 1, "scores", *key)
            self._drawn_scores = ledger.row(len(DRAWN_SCORE_BOUNDS) + 1, "drawn_scores", *key)
            self._scores_sum = ledger.sum("scores_sum", *key)
            if route.prediction.value is not None:
                self._values = ledger.row(len(bounds) + 1, "values", *key)
                self._drawn_values = ledger.row(len(bounds) + 1, "drawn_values", *key)
                self._values_sum = ledger.sum("values_sum", *key)
            others = (OTHER_LABEL,) if route.prediction.label is not None else ()
            learned = () if self._declared else tuple(known)[:LEARNED_LABELS]
            for label in dict.fromkeys((*route.prediction.labels, *others, *learned)):
                self._first_label(label)
        self._assigned = ledger.cell("assigned", *key)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels counted by name; the next generation goes on with those from traffic."""
        return tuple(label for label in self._labels if label != OTHER_LABEL)

    def events(self, coding: bytes) -> EventReader:
        """What reads a stream of events, in this content coding, while it is passed on."""
        return EventReader(None if self._read is None else self._read.read, inflation_of(coding))

    def retried(self, reason: Reason) -> None:
        """Count that a request is sent once more after no answer."""
        self._counts[self._retries[reason]] += 1

    def retry_refused(self, reason: Reason) -> None:
        """Count that a request is not sent once more, as too many are already."""
        self._counts[self._retries_refused[reason]] += 1

    def began(self, seconds: float) -> None:
        """Count that the body of a streamed answer begins, so long after the request."""
        self._counts[self._began + bisect_left(BEGINNING_BOUNDS, seconds)] += 1
        self._sums[self._began_sum] += seconds

    def record(self, outcome: Outcome) -> None:
        """Count one outcome, and as evidence if a verdict may use it."""
        counts = self._counts
        decision = outcome.decision
        reason = outcome.reason
        gone = outcome.gone
        drawn = decision.counts_as_evidence
        if drawn:
            counts[self._assigned] += 1
        status = CLIENT_GONE if gone else outcome.status
        if status:
            way = decision.way
            cell = self._answered.get((way, status))
            counts[self._first_answer(way, status) if cell is None else cell] += 1
            seconds = outcome.seconds
            counts[self._waited + bisect_left(DURATION_BOUNDS, seconds)] += 1
            sums = self._sums
            sums[self._waited_sum] += seconds
            overhead = outcome.overhead
            counts[self._overhead + bisect_left(OVERHEAD_BOUNDS, overhead)] += 1
            sums[self._overhead_sum] += overhead
        if gone:
            if drawn:
                self._left(outcome)
            return
        if reason is not None:
            self._failed(outcome, reason)
            return
        worked = outcome.upstream_seconds
        self._sums[self._worked_sum] += worked
        body = outcome.body
        if drawn and (outcome.seconds <= self._too_late or outcome.bound):
            counts[self._drawn_worked + bisect_left(WORKED_GRID, worked)] += 1
        else:
            counts[self._worked + bisect_left(DURATION_BOUNDS, worked)] += 1
            if drawn:
                self._late()
                drawn = False
        if self._read is not None and 200 <= status < 300:
            reading = outcome.reading if body is None else self._read.read(body)
            if reading is not None:  # else it is large, and no events
                self._predict(reading, drawn, outcome)

    def _failed(self, outcome: Outcome, reason: Reason) -> None:
        """Count a failure of the version."""
        counts = self._counts
        drawn = outcome.decision.counts_as_evidence
        counts[self._errors[reason]] += 1
        if not outcome.status:
            counts[self._fallbacks[reason]] += 1
        # A whole answer in time has its duration, also one that says 5xx.
        in_time = outcome.seconds <= self._too_late or outcome.bound
        answered = reason is Reason.UPSTREAM_5XX and in_time
        if reason not in _NEVER_SENT:
            worked = outcome.upstream_seconds
            self._sums[self._worked_sum] += worked
            if drawn and answered:
                counts[self._drawn_worked + bisect_left(WORKED_GRID, worked)] += 1
            else:
                counts[self._worked + bisect_left(DURATION_BOUNDS, worked)] += 1
        if drawn:
            counts[self._bad] += 1
            counts[self._bad_by[reason]] += 1
            if reason is Reason.TIMEOUT or (reason is Reason.UPSTREAM_5XX and not answered):
                counts[self._drawn_cut + _BEYOND] += 1
        elif outcome.decision.assignment in _OF_A_SPLIT:
            counts[self._failed_apart[reason]] += 1

    def _late(self) -> None:
        """Count a draw of stable's as what it would have been as a candidate's: a timeout. It is
        slower than all others, however long it was given.
        """
        counts = self._counts
        counts[self._bad] += 1
        counts[self._bad_by[Reason.TIMEOUT]] += 1
        counts[self._drawn_cut + _BEYOND] += 1

    def _left(self, outcome: Outcome) -> None:
        """Count a draw whose client left. It had waited, and that much is known of the version."""
        # Who leaves stable after a candidate would have been given up had seen a timeout of that
        # candidate. Where nobody can take over, both are waited for alike.
        if outcome.seconds > self._too_late and not outcome.bound:
            self._late()
            return
        counts = self._counts
        counts[self._gone] += 1
        counts[self._drawn_cut + bisect_left(LATENCY_BOUNDS, outcome.upstream_seconds)] += 1

    def _predict(self, reading: Reading, drawn: bool, outcome: Outcome) -> None:
        counts = self._counts
        label, score, value, missing = reading
        if missing is not None and not outcome.asks_for_none:
            every, evidence = self._missing[missing]
            counts[every] += 1
            if drawn:
                counts[evidence] += 1
        if score is not None:
            if drawn:
                counts[self._drawn_scores + bisect_left(DRAWN_SCORE_BOUNDS, score)] += 1
            else:
                counts[self._scores + bisect_left(SCORE_BOUNDS, score)] += 1
            self._sums[self._scores_sum] += score
        if value is not None:
            row = self._drawn_values if drawn else self._values
            counts[row + bisect_left(self._bounds, value)] += 1
            self._sums[self._values_sum] += value
        if label is not None:
            cells = self._labels.get(label)
            all_cell, evidence_cell = self._admit(label) if cells is None else cells
            counts[all_cell] += 1
            if drawn:
                counts[evidence_cell] += 1

    def _first_answer(self, way: str, status: int) -> int:
        # A worker may make up hundreds of codes, and each would be a series of its own.
        code = status if status in _NAMED_CODES else min(status // 100, 5) * 100
        # In whose place it was is the last part of the name, where it was in one's.
        assignment, *instead = way.split("/", 1)
        cell = self._ledger.cell("requests", *self._key, str(code), assignment, *instead)
        self._answered[way, status] = cell
        return cell

    def _first_label(self, label: str) -> tuple[int, int]:
        every = self._ledger.cell("labels", *self._key, label)
        self._labels[label] = every, self._ledger.cell("drawn_labels", *self._key, label)
        return self._labels[label]

    def _admit(self, label: str) -> tuple[int, int]:
        """The cells a new label is counted in: labels come from traffic, so they are capped."""
        learns = not self._declared and len(self._labels) <= LEARNED_LABELS
        if learns and len(label) <= MAX_LABEL and label.isprintable():
            return self._first_label(label)
        return self._labels.get(OTHER_LABEL) or self._first_label(OTHER_LABEL)
