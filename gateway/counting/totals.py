"""What was counted, by version: the cells of ledgers put together as what they are of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gateway.counting.counts import CLIENT_GONE, OF_A_ROUTE
from gateway.counting.grid import (
    BEGINNING_BOUNDS,
    DRAWN_SCORE_BOUNDS,
    DURATION_BOUNDS,
    LATENCY_BOUNDS,
    SCORE_BOUNDS,
    WORKED_GRID,
    Bounds,
    Coarsening,
)
from gateway.counting.ledger import Totals
from gateway.counting.vocabulary import Vocabulary
from gateway.model import Assignment

Key = tuple[str, ...]
"""Route, version, role."""


@dataclass(slots=True)
class Histogram:
    """Counts per bucket (the last one has no upper bound) and the sum."""

    bounds: Bounds
    buckets: list[int]
    sum: float = 0.0


@dataclass(slots=True)
class VersionTotals:
    """Everything counted for one version in one role, by what the cells are named after."""

    answered: dict[tuple[str, int], int] = field(default_factory=dict)
    stood_in: dict[tuple[str, int], int] = field(default_factory=dict)  # in whose place, code
    errors: dict[str, int] = field(default_factory=dict)
    fallbacks: dict[str, int] = field(default_factory=dict)
    retries: dict[str, int] = field(default_factory=dict)
    retries_refused: dict[str, int] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    drawn_missing: dict[str, int] = field(default_factory=dict)
    drawn_labels: dict[str, int] = field(default_factory=dict)
    bad_by: dict[str, int] = field(default_factory=dict)
    failed_apart: dict[str, int] = field(default_factory=dict)
    assigned: int = 0
    bad: int = 0
    gone: int = 0
    rows: dict[str, list[int]] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)

    @property
    def reasons(self) -> dict[str, int]:
        """Why draws got no good answer, as far as any did."""
        return {reason: number for reason, number in self.bad_by.items() if number}

    @property
    def latency(self) -> list[int]:
        """How long it took, by LATENCY_BOUNDS, of the draws of which that is known."""
        whole = _LATENCY_OF_WORKED(self._row("drawn_worked", WORKED_GRID))
        return _sum(whole, self._row("drawn_cut", LATENCY_BOUNDS))

    @property
    def drawn_scores(self) -> list[int]:
        """The scores of draws, by DRAWN_SCORE_BOUNDS."""
        return self._row("drawn_scores", DRAWN_SCORE_BOUNDS)

    @property
    def waited(self) -> Histogram:
        row = self._row("waited", DURATION_BOUNDS)
        return Histogram(DURATION_BOUNDS, row, self.sums.get("waited", 0.0))

    @property
    def worked(self) -> Histogram:
        drawn = _DURATION_OF_WORKED(self._row("drawn_worked", WORKED_GRID))
        row = _sum(drawn, self._row("worked", DURATION_BOUNDS))
        return Histogram(DURATION_BOUNDS, row, self.sums.get("worked", 0.0))

    @property
    def began(self) -> Histogram:
        row = self._row("began", BEGINNING_BOUNDS)
        return Histogram(BEGINNING_BOUNDS, row, self.sums.get("began", 0.0))

    @property
    def scores(self) -> Histogram:
        drawn = _SCORE_OF_DRAWN(self.drawn_scores)
        row = _sum(drawn, self._row("scores", SCORE_BOUNDS))
        return Histogram(SCORE_BOUNDS, row, self.sums.get("scores", 0.0))

    def values(self, bounds: Bounds) -> Histogram:
        """Those of all good answers, between the route's own bounds."""
        row = _sum(self.drawn_values(bounds), self._row("values", bounds))
        return Histogram(bounds, row, self.sums.get("values", 0.0))

    def drawn_values(self, bounds: Bounds) -> list[int]:
        """The same of draws."""
        return self._row("drawn_values", bounds)

    @property
    def split(self) -> int:
        """Requests that the split brought here, draws or not, whose clients stayed."""
        ways = (Assignment.WEIGHTED, Assignment.STICKY)
        answered = sum(
            number
            for (way, code), number in self.answered.items()
            if way in ways and code != CLIENT_GONE
        )
        return answered + sum(self.fallbacks.values())

    @property
    def split_reasons(self) -> dict[str, int]:
        """Why any of those got no good answer, as far as one did."""
        every = {
            reason: self.bad_by.get(reason, 0) + self.failed_apart.get(reason, 0)
            for reason in {**self.bad_by, **self.failed_apart}
        }
        return {reason: number for reason, number in every.items() if number}

    def _row(self, name: str, bounds: Bounds) -> list[int]:
        return self.rows.get(name) or [0] * (len(bounds) + 1)


_LATENCY_OF_WORKED: Final = Coarsening(WORKED_GRID, LATENCY_BOUNDS)
_DURATION_OF_WORKED: Final = Coarsening(WORKED_GRID, DURATION_BOUNDS)
_SCORE_OF_DRAWN: Final = Coarsening(DRAWN_SCORE_BOUNDS, SCORE_BOUNDS)
_BY_WORD: Final = {
    *("errors", "fallbacks", "retries", "retries_refused", "missing", "drawn_missing", "bad_by"),
    "failed_apart",
}
_BY_LABEL: Final = {"labels", "drawn_labels"}
_ROWS: Final = {
    *("began", "waited", "worked", "scores", "values"),
    *("drawn_worked", "drawn_cut", "drawn_scores", "drawn_values"),
}
_PLAIN: Final = {"assigned", "bad", "gone"}


def versions_of(totals: Totals, vocabulary: Vocabulary) -> dict[Key, VersionTotals]:
    """The totals sorted by version, labels beyond the cap together under one name."""
    found: dict[Key, VersionTotals] = {}
    for name, row in totals.counts.items():
        if len(name) < 4:
            continue
        kind, key, rest = name[0], name[1:4], name[4:]
        counted = found.setdefault(key, VersionTotals())
        if kind == "requests":
            code, way, *instead = rest
            so_far = counted.answered.get((way, int(code)), 0)
            counted.answered[way, int(code)] = so_far + row[0]
            for version in instead:
                counted.stood_in[version, int(code)] = row[0]
        elif kind in _BY_WORD:
            getattr(counted, kind)[rest[0]] = row[0]
        elif kind in _BY_LABEL:
            by_label = getattr(counted, kind)
            label = vocabulary.spoken(key, rest[0])
            by_label[label] = by_label.get(label, 0) + row[0]
        elif kind in _ROWS:
            counted.rows[kind] = row
        elif kind in _PLAIN:
            setattr(counted, kind, row[0])
    for name, amount in totals.sums.items():
        if name[0] in OF_A_ROUTE:
            continue
        counted = found.setdefault(name[1:4], VersionTotals())
        counted.sums[name[0].removesuffix("_sum")] = amount
    return found


def _sum(one: list[int], other: list[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)]
