"""Everything the admin port tells, gathered at one moment: values without where they came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gateway.archive import Archive, Epoch, Vocabulary
from gateway.counts import DURATION_BOUNDS, SCORE_BOUNDS
from gateway.errors import Problem
from gateway.ledger import Name, Totals
from gateway.model import Endpoint
from gateway.table import Place

Key = tuple[str, ...]
"""Route, version, role."""


@dataclass(slots=True)
class ReloadStatus:
    """What became of the files seen so far. ``problems`` are those of the file as it stands,
    ``warnings`` name the keys of the one in force that are not acted on yet.
    """

    successful: bool = True
    taken: int = 0
    refused: int = 0
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Process:
    """One that serves clients. ``generation`` is None until it does."""

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


@dataclass(slots=True)
class Histogram:
    """Counts per bucket (the last one has no upper bound) and the sum."""

    bounds: tuple[float, ...]
    buckets: list[int]
    sum: float = 0.0


@dataclass(slots=True)
class VersionTotals:
    """Everything counted for one version in one role, by what the cells are named after."""

    answered: dict[tuple[str, int], int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    fallbacks: dict[str, int] = field(default_factory=dict)
    retries: dict[str, int] = field(default_factory=dict)
    retries_refused: dict[str, int] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    drawn_labels: dict[str, int] = field(default_factory=dict)
    bad_by: dict[str, int] = field(default_factory=dict)
    assigned: int = 0
    bad: int = 0
    waited: Histogram = field(default_factory=lambda: _empty(DURATION_BOUNDS))
    worked: Histogram = field(default_factory=lambda: _empty(DURATION_BOUNDS))
    scores: Histogram = field(default_factory=lambda: _empty(SCORE_BOUNDS))

    @property
    def reasons(self) -> dict[str, int]:
        """Why requests assigned by a draw got no good answer, as far as any did."""
        return {reason: number for reason, number in self.bad_by.items() if number}


_BY_WORD: Final = {"errors", "fallbacks", "retries", "retries_refused", "missing", "bad_by"}
_BY_LABEL: Final = {"labels", "drawn_labels"}
_HISTOGRAMS: Final = {"waited", "worked", "scores"}
_PLAIN: Final = {"assigned", "bad"}


@dataclass(frozen=True, slots=True)
class Report:
    """``versions`` holds every version of the file in force, in each role it has had."""

    state: State
    epoch: Epoch
    versions: dict[Key, VersionTotals]
    refusals: dict[str, int]
    present: Totals  # under the epoch in force, gauges included
    history: tuple[tuple[Epoch, dict[Key, VersionTotals]], ...]  # the newest last

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
        return self.history[-1][1].get(key_of(place)) or VersionTotals()


def gather(archive: Archive, state: State) -> Report:
    """The report of this moment. With no epoch in force there is none: IndexError."""
    epochs = archive.epochs
    under = [archive.under(epoch) for epoch in epochs]
    totals = archive.total()
    current = epochs[-1].versions()
    versions = {
        key: counted
        for key, counted in versions_of(totals, archive.vocabulary).items()
        if key[:2] in current
    }
    refusals = {name[1]: row[0] for name, row in totals.counts.items() if name[0] == "refused"}
    history = tuple(
        (epoch, versions_of(one, archive.vocabulary))
        for epoch, one in zip(epochs, under, strict=True)
    )
    order = {key_of(place): place.index for place in epochs[-1].table.places}
    ordered = sorted(versions, key=lambda key: (order.get(key, len(order)), key))
    told = {key: versions[key] for key in ordered}
    return Report(state, epochs[-1], told, refusals, under[-1], history)


def versions_of(totals: Totals, vocabulary: Vocabulary) -> dict[Key, VersionTotals]:
    """The totals sorted by version, labels beyond the cap together under one name."""
    found: dict[Key, VersionTotals] = {}
    for name, row in totals.counts.items():
        if len(name) < 4:
            continue
        kind, key, rest = name[0], name[1:4], name[4:]
        counted = found.setdefault(key, VersionTotals())
        if kind == "requests":
            counted.answered[rest[1], int(rest[0])] = row[0]
        elif kind in _BY_WORD:
            getattr(counted, kind)[rest[0]] = row[0]
        elif kind in _BY_LABEL:
            by_label = getattr(counted, kind)
            label = vocabulary.spoken(key, rest[0])
            by_label[label] = by_label.get(label, 0) + row[0]
        elif kind in _HISTOGRAMS:
            getattr(counted, kind).buckets = row
        elif kind in _PLAIN:
            setattr(counted, kind, row[0])
    for name, amount in totals.sums.items():
        counted = found.setdefault(name[1:4], VersionTotals())
        getattr(counted, name[0].removesuffix("_sum")).sum = amount
    return found


def key_of(place: Place) -> Key:
    """How a place is named in the totals."""
    return place.route.name, place.version, place.role.value


def in_flight_name(place: Place, endpoint: Endpoint) -> Name:
    """How the gauge of an endpoint is named in a ledger."""
    return "in_flight", place.route.name, place.version, endpoint.url


def ejected_name(place: Place, endpoint: Endpoint) -> Name:
    """How the gauge that an endpoint is left out is named in a ledger."""
    return "ejected", place.route.name, place.version, endpoint.url


def ready_name(place: Place, endpoint: Endpoint) -> Name:
    """How the gauge that an endpoint is ready is named in a ledger."""
    return "ready", place.route.name, place.version, endpoint.url


def _empty(bounds: tuple[float, ...]) -> Histogram:
    return Histogram(bounds, [0] * (len(bounds) + 1))
