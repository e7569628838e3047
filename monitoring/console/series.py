"""What the gateways counted over the last day, per route and version, in bounded memory.

Each look brings the counts since the one before it. They are spread evenly over the seconds between
the two, so a rate is right however seldom one looks, and no count is lost or invented: what the
rings hold for a time is what ``/metrics`` grew by. What nobody watched is a gap, not a zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np

from gateway.counting.grid import DURATION_BOUNDS, SCORE_BOUNDS
from monitoring.console.exposition import Key, Reading, Totals, added
from monitoring.console.rings import RESOLUTIONS, Counts, Ring

LONGEST_GAP: Final = 60  # seconds between two looks; what is counted over more was not watched
MOST_VERSIONS: Final = 48  # with a past; of 0.7 MiB each
MOST_LABELS: Final = 8  # of a route; all others together are one more
OTHERS: Final = "others"
NOW: Final = 60  # seconds that "now" is about, as in the recording rules for Prometheus

# The columns of a row.
_ANSWERED, _DRAWN, _ASKED, _ERRORS = range(4)
_DURATIONS: Final = slice(4, 4 + len(DURATION_BOUNDS) + 1)
_LABELS: Final = slice(_DURATIONS.stop, _DURATIONS.stop + MOST_LABELS + 1)
_SCORES: Final = slice(_LABELS.stop, _LABELS.stop + len(SCORE_BOUNDS) + 1)
_WIDTH: Final = _SCORES.stop


@dataclass(frozen=True, slots=True)
class Frame:
    """A view back in time: the ``count`` slots of a resolution (by its number) up to the one that
    holds the second ``end``, summed over each of ``stretches`` of them.
    """

    level: int
    end: int
    count: int
    stretches: tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Counts of one version over stretches of time: the columns of ``rows`` by name, each with a
    row per stretch; ``labels`` name the columns of ``given``.
    """

    rows: Counts
    labels: tuple[str, ...]

    @property
    def answered(self) -> Counts:
        return self.rows[:, _ANSWERED]

    @property
    def drawn(self) -> Counts:
        return self.rows[:, _DRAWN]

    @property
    def asked(self) -> Counts:
        return self.rows[:, _ASKED]

    @property
    def errors(self) -> Counts:
        return self.rows[:, _ERRORS]

    @property
    def durations(self) -> Counts:
        return self.rows[:, _DURATIONS]

    @property
    def given(self) -> Counts:
        return self.rows[:, _LABELS][:, [*range(len(self.labels)), MOST_LABELS]]

    @property
    def scores(self) -> Counts:
        return self.rows[:, _SCORES]


class _Past:
    """Of one version, at all resolutions."""

    def __init__(self) -> None:
        self.rings = [Ring(one, _WIDTH) for one in RESOLUTIONS]
        self.last = 0  # the second in which something was counted

    def add(self, first: int, rows: Counts) -> None:
        for ring in self.rings:
            ring.add(first, rows)
        self.last = first + len(rows) - 1


class Series:
    """Fed by whoever looks; read by whoever draws. Not for several threads at once."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """As if nobody had ever looked."""
        self.newest = Reading()
        self.end = 0  # the second of the newest look
        self._pasts: dict[Key, _Past] = {}
        self._labels: dict[str, list[str]] = {}
        self._watched = [Ring(one, 1) for one in RESOLUTIONS]
        self._before: dict[str, tuple[int, Reading]] = {}  # by gateway: when, and what

    def take(self, moment: float, readings: Mapping[str, Reading]) -> None:
        """What the gateways said at a moment, by their addresses; one that was silent is missing,
        and what it counted meanwhile comes with its next answer.
        """
        second = int(moment)
        if second < self.end - LONGEST_GAP:  # the clock was put back
            self.forget()
        second = max(second, self.end)
        watched = 0
        for address, reading in readings.items():
            began, before = self._before.get(address, (0, None))
            if before is not None and second - began <= LONGEST_GAP:
                first = min(began + 1, second)
                watched = max(watched, second - first + 1)
                self._count(first, second, reading, before)
            self._before[address] = second, reading
        # A second may be looked at twice, and is watched once.
        fresh = min(watched, second - self.end)
        for ring in self._watched:
            ring.add(second - fresh + 1, np.ones((fresh, 1), dtype=np.int64))
        known = {address: one for address, (_, one) in self._before.items() if address in readings}
        self.newest, self.end = added(known.values()), second
        if len(self._labels) > 2 * MOST_VERSIONS:
            kept = {route for route, _ in (*self._pasts, *self.newest.versions)}
            self._labels = {one: self._labels[one] for one in kept & self._labels.keys()}

    def span(self, key: Key, frame: Frame) -> Span:
        """The counts of a version."""
        labels = tuple(self._labels.get(key[0], ()))
        past = self._pasts.get(key)
        if past is None:
            return Span(np.zeros((len(frame.stretches), _WIDTH), dtype=np.int64), labels)
        return Span(_framed(past.rings, frame), labels)

    def watched(self, frame: Frame) -> Counts:
        """For how many seconds of each stretch anybody looked."""
        return _framed(self._watched, frame)[:, 0]

    def now(self, key: Key) -> Span:
        """The counts of a version in the last :data:`NOW` seconds, as one stretch."""
        return self.span(key, self._now)

    @property
    def watched_now(self) -> int:
        """Seconds of the last :data:`NOW` in which anybody looked."""
        return int(self.watched(self._now)[0])

    @property
    def _now(self) -> Frame:
        return Frame(0, self.end, NOW, (slice(0, NOW),))

    @property
    def nbytes(self) -> int:
        """The memory that the rings take."""
        pasts = (past.rings for past in self._pasts.values())
        return sum(ring.nbytes for ring in chain(self._watched, *pasts))

    def _count(self, first: int, last: int, reading: Reading, before: Reading) -> None:
        for key, totals in reading.versions.items():
            grown = np.array(self._row(key[0], totals, before.versions.get(key)), dtype=np.int64)
            if grown.any():
                self._past(key).add(first, _spread(grown, last - first + 1))

    def _past(self, key: Key) -> _Past:
        """Of a version that is counted for; the one that was idle longest makes room for it."""
        if key not in self._pasts and len(self._pasts) >= MOST_VERSIONS:
            del self._pasts[min(self._pasts, key=lambda one: self._pasts[one].last)]
        return self._pasts.setdefault(key, _Past())

    def _row(self, route: str, totals: Totals, before: Totals | None) -> list[int]:
        """By how much they have grown. Where anything has shrunk the gateway has begun anew, and
        all that it tells has come since.
        """
        now = _columns(totals, self._known_labels(route, totals))
        was = None if before is None else _columns(before, self._labels[route])
        if was is None or any(a < b for a, b in zip(now, was, strict=True)):
            # A version that was not there has none that are older, or they came unwatched.
            return now
        return [a - b for a, b in zip(now, was, strict=True)]

    def _known_labels(self, route: str, totals: Totals) -> list[str]:
        known = self._labels.setdefault(route, [])
        for label in sorted(totals.labels):
            if label not in known and totals.labels[label] and len(known) < MOST_LABELS:
                known.append(label)
        return known


def _columns(totals: Totals, labels: Sequence[str]) -> list[int]:
    named = [totals.labels.get(label, 0) for label in labels]
    rest = sum(totals.labels.values()) - sum(named)
    padding = [0] * (MOST_LABELS - len(named))
    counted = [totals.answered, totals.drawn, totals.asked, totals.errors]
    return [*counted, *totals.durations, *named, *padding, rest, *totals.scores]


def _spread(row: Counts, seconds: int) -> Counts:
    """In whole numbers, as evenly as can be; the sum is the row."""
    so_far = np.arange(seconds + 1)[:, None] * row[None, :] // seconds
    return np.diff(so_far, axis=0)


def _framed(rings: Sequence[Ring], frame: Frame) -> Counts:
    rows = rings[frame.level].rows(frame.end, frame.count)
    before = np.concatenate([np.zeros((1, rows.shape[1]), dtype=np.int64), rows.cumsum(axis=0)])
    starts = [one.start for one in frame.stretches]
    stops = [one.stop for one in frame.stretches]
    found: Counts = before[stops] - before[starts]
    return found
