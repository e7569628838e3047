"""Plain integers per version, grown by one request at a time: what ``/metrics`` and evidence show.

Own dictionaries and lists, read at scrape time: counting costs 0.5 us a request, where a metrics
library's labelled counters and histograms cost six.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from gateway.errors import Reason
from gateway.model import Assignment, Role, Route
from gateway.observe import Outcome
from gateway.predictions import MAX_LABEL, Missing, PredictionReader
from gateway.recovery import CANDIDATE_PATIENCE

# Seconds. OpenTelemetry's default bounds, with 1 ms and 2.5 ms below for small models.
DURATION_BOUNDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1),
    *(0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
SCORE_BOUNDS: Final = tuple(round(0.05 * i, 2) for i in range(1, 21))
# Labels taken from traffic when the file declares none; the rest is counted as OTHER_LABEL.
LEARNED_LABELS: Final = 20
OTHER_LABEL: Final = "__other__"
_NEVER_SENT: Final = (Reason.CONNECT, Reason.SHED)
CLIENT_GONE: Final = 499  # nginx's code for a client that closed before the answer


class Histogram:
    """Counts per bucket (the last one has no upper bound) and the sum."""

    __slots__ = ("bounds", "buckets", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.buckets[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Evidence:
    """Counts of one version under one generation: what a verdict may use.

    Only requests that a draw or a sticky key brought here count. ``assigned`` counts each once,
    under the version it was *assigned*, also when another one answered in its place; ``bad`` are
    those this version gave no good answer to.
    """

    __slots__ = ("assigned", "bad", "labels", "reasons")

    def __init__(self) -> None:
        self.assigned = 0
        self.bad = 0
        self.reasons: dict[Reason, int] = {}
        self.labels: dict[str, int] = {}

    def add(self, reason: Reason | None, label: str | None) -> None:
        """One more request: its failure, if any, and the label it was answered with, if any."""
        self.assigned += 1
        if reason is not None:
            self.bad += 1
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
        if label is not None:
            self.labels[label] = self.labels.get(label, 0) + 1


class VersionCounts:
    """Everything counted for one version in one role since the process started."""

    def __init__(self, route: Route, version: str, role: Role) -> None:
        self.route = route.name
        self.version = version
        self.role = role
        self.answered: dict[tuple[Assignment, int], int] = {}
        self.errors: dict[Reason, int] = dict.fromkeys(Reason, 0)
        self.fallbacks: dict[Reason, int] = dict.fromkeys(Reason, 0)
        self.retries: dict[Reason, int] = dict.fromkeys((Reason.CONNECT, Reason.RESET), 0)
        self.durations = Histogram(DURATION_BOUNDS)
        self.upstream = Histogram(DURATION_BOUNDS)
        self.labels: dict[str, int] = {}
        self.scores = Histogram(SCORE_BOUNDS)
        self.missing: dict[Missing, int] = dict.fromkeys(Missing, 0)
        self._reader: PredictionReader | None = None
        self.reads_predictions = False
        self._declared = False
        self.configure(route)

    def configure(self, route: Route) -> None:
        """Take over what a new file says; counts stay, known series exist from now on."""
        prediction = route.prediction
        self._reader = PredictionReader(prediction) if prediction else None
        self.reads_predictions = prediction is not None
        self._declared = bool(prediction and prediction.labels)
        for label in prediction.labels if prediction else ():
            self.labels.setdefault(label, 0)
        if prediction and prediction.label is not None:
            self.labels.setdefault(OTHER_LABEL, 0)
        for assignment in _assignments(route, self.role):
            for code in (200, 500, 502, 503, 504):
                self.answered.setdefault((assignment, code), 0)

    def record(self, outcome: Outcome, evidence: Evidence) -> None:
        """Count one outcome, here and, if a verdict may use it, in the evidence."""
        decision = outcome.decision
        reason = outcome.reason
        status = CLIENT_GONE if outcome.gone else outcome.status
        if status:
            key = (decision.assignment, status)
            self.answered[key] = self.answered.get(key, 0) + 1
            self.durations.observe(outcome.seconds)
        if reason is not None:
            self.errors[reason] += 1
            if not status:
                self.fallbacks[reason] += 1
        if not outcome.gone and reason not in _NEVER_SENT:
            self.upstream.observe(outcome.upstream_seconds)
        label = None
        if outcome.body is not None and self._reader is not None and 200 <= status < 300:
            label = self._predict(self._reader, outcome.body)
        if decision.counts_as_evidence and not outcome.gone:
            evidence.add(Reason.TIMEOUT if _too_late(outcome) else reason, label)

    def _predict(self, reader: PredictionReader, body: bytes) -> str | None:
        label, score, missing = reader.read(body)
        if missing is not None:
            self.missing[missing] += 1
        if score is not None:
            self.scores.observe(score)
        if label is None:
            return None
        if label not in self.labels:
            label = self._admit(label)
        self.labels[label] = self.labels.get(label, 0) + 1
        return label

    def _admit(self, label: str) -> str:
        """The name a new label is counted under: labels come from traffic, so they are capped."""
        learns = not self._declared and len(self.labels) <= LEARNED_LABELS
        if learns and len(label) <= MAX_LABEL and label.isprintable():
            return label
        return OTHER_LABEL


def _too_late(outcome: Outcome) -> bool:
    """Whether stable answered when a candidate would have been given up already.

    A candidate that stable can replace has only part of the deadline. Were stable not held to the
    same measure in the evidence, a model that is slow in both versions would fail in one only.
    """
    decision = outcome.decision
    route = decision.route
    if decision.role is not Role.STABLE or outcome.body is None:
        return False
    replaceable = route.fallback and route.idempotent
    return replaceable and outcome.seconds > route.timeout * CANDIDATE_PATIENCE


def _assignments(route: Route, role: Role) -> list[Assignment]:
    """The ways a request can come to a version in this role."""
    ways = [Assignment.WEIGHTED]
    if route.sticky:
        ways.append(Assignment.STICKY)
    if route.override:
        ways.append(Assignment.FORCED)
    if role is Role.STABLE and route.fallback and route.candidates:
        ways.append(Assignment.FALLBACK)
    return ways
