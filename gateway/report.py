"""Everything the admin port tells, gathered at one moment: values without where they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.archive import Archive, Epoch, Vocabulary
from gateway.counts import CLIENT_GONE, OF_A_ROUTE
from gateway.errors import REFUSED, Problem
from gateway.exemplars import Row
from gateway.gauges import DROPPED, Loss, Sink, ejected_name, in_flight_name, lines_lost, ready_name
from gateway.grid import (
    BEGINNING_BOUNDS,
    DRAWN_SCORE_BOUNDS,
    DURATION_BOUNDS,
    LATENCY_BOUNDS,
    OVERHEAD_BOUNDS,
    SCORE_BOUNDS,
    WORKED_GRID,
    Bounds,
    Coarsening,
)
from gateway.ledger import Totals
from gateway.model import Assignment, Endpoint
from gateway.table import Place

Key = tuple[str, ...]
"""Route, version, role."""


@dataclass(slots=True)
class ReloadStatus:
    """What became of the files seen so far. ``problems`` are those of the file as it stands,
    ``warnings`` name the keys of the one in force that nothing acts on, or can.
    """

    successful: bool = True
    taken: int = 0
    refused: int = 0
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Process:
    """One that serves clients, the ``number``-th place of them from 0. ``generation`` is None until
    it does.
    """

    number: int
    pid: int
    since: float  # Unix time
    restarts: int  # how often it has replaced one that ended
    answered: int
    generation: str | None


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """The certificate of a port, ``data`` or ``admin``."""

    port: str
    expires: float  # Unix time
    in_use: bool  # what stands in the files
    replaced: int
    refused: int


@dataclass(frozen=True, slots=True)
class State:
    """What is so besides the counts."""

    filename: str
    reloads: ReloadStatus
    draining: bool
    processes: tuple[Process, ...]
    restarts: int
    certificates: tuple[CertificateStatus, ...] = ()
    exemplars: Mapping[Key, Row] = field(default_factory=dict)


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
_ROWS: Final = {"began", "waited", "worked", "scores", "drawn_worked", "drawn_cut", "drawn_scores"}
_PLAIN: Final = {"assigned", "bad", "gone"}


@dataclass(frozen=True, slots=True)
class Report:
    """``versions`` holds every version of the file in force, in each role it has had; ``overhead``
    every route.
    """

    state: State
    epoch: Epoch
    versions: dict[Key, VersionTotals]
    overhead: dict[str, Histogram]
    refusals: dict[str, int]
    spans_dropped: int
    lines_dropped: dict[tuple[Sink, Loss], int]
    present: Totals  # under the epoch in force, gauges included
    history: tuple[tuple[Epoch, dict[Key, VersionTotals]], ...]  # the newest last
    since: float  # when the file in force was taken
    current: dict[Key, VersionTotals]  # what was counted under it

    def in_flight(self, place: Place, endpoint: Endpoint) -> int:
        """Requests at one endpoint, or waiting for a connection to it."""
        name = in_flight_name(place, endpoint)
        return self.present.gauges.get(name, 0)

    def ejected(self, place: Place, endpoint: Endpoint) -> int:
        """How many processes leave an endpoint out for a while."""
        return self.present.gauges.get(ejected_name(place, endpoint), 0)

    def ready(self, place: Place, endpoint: Endpoint) -> bool | None:
        """Whether every process that serves finds an endpoint ready; None: nobody asks."""
        if not place.route.version(place.version).readiness:
            return None
        serving = sum(process.generation is not None for process in self.state.processes)
        return self.present.gauges.get(ready_name(place, endpoint), 0) >= max(serving, 1)

    def all_in_flight(self, place: Place) -> int:
        """The same of all endpoints of a version."""
        endpoints = place.route.version(place.version).endpoints
        return sum(self.in_flight(place, endpoint) for endpoint in endpoints)

    def now(self, place: Place) -> VersionTotals:
        """What was counted under the generation in force."""
        return self.current.get(key_of(place)) or VersionTotals()


def gather(archive: Archive, state: State) -> Report:
    """The report of this moment. With no epoch in force there is none: IndexError."""
    epochs = archive.epochs
    totals = archive.total()
    current = epochs[-1].versions()
    since, under_it = archive.since_taken()
    every = versions_of(totals, archive.vocabulary)
    versions = {key: counted for key, counted in every.items() if key[:2] in current}
    refused = {name[1]: row[0] for name, row in totals.counts.items() if name[0] == "refused"}
    refusals = dict.fromkeys(REFUSED, 0) | refused
    overhead = {
        route.name: _overhead(totals, route.name) for route in epochs[-1].table.config.routes
    }
    history = tuple((epoch, versions_of(one, archive.vocabulary)) for epoch, one in archive.told())
    order = {key_of(place): place.index for place in epochs[-1].table.places}
    ordered = sorted(versions, key=lambda key: (order.get(key, len(order)), key))
    told = {key: versions[key] for key in ordered}
    now = versions_of(under_it, archive.vocabulary)
    present = archive.under(epochs[-1])
    (dropped,) = totals.counts.get(DROPPED, [0])
    shown = told, overhead, refusals, dropped, lines_lost(totals), present, history, since, now
    return Report(state, epochs[-1], *shown)


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


def _overhead(totals: Totals, route: str) -> Histogram:
    row = totals.counts.get((OF_A_ROUTE[0], route)) or [0] * (len(OVERHEAD_BOUNDS) + 1)
    return Histogram(OVERHEAD_BOUNDS, row, totals.sums.get((OF_A_ROUTE[1], route), 0.0))


def key_of(place: Place) -> Key:
    """How a place is named in the totals."""
    return place.route.name, place.version, place.role.value


def _sum(one: list[int], other: list[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)]
