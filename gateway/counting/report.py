"""Everything the admin port tells, gathered at one moment: values without where they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.counting.archive import Archive, Epoch
from gateway.counting.counts import OF_A_ROUTE
from gateway.counting.exemplars import Row
from gateway.counting.gauges import (
    DROPPED,
    Loss,
    Sink,
    ejected_name,
    in_flight_name,
    lines_lost,
    ready_name,
)
from gateway.counting.grid import OVERHEAD_BOUNDS
from gateway.counting.ledger import Totals
from gateway.counting.totals import Histogram, Key, VersionTotals, versions_of
from gateway.errors import REFUSED, Problem
from gateway.model import Endpoint
from gateway.routing.table import Place


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


def _overhead(totals: Totals, route: str) -> Histogram:
    row = totals.counts.get((OF_A_ROUTE[0], route)) or [0] * (len(OVERHEAD_BOUNDS) + 1)
    return Histogram(OVERHEAD_BOUNDS, row, totals.sums.get((OF_A_ROUTE[1], route), 0.0))


def key_of(place: Place) -> Key:
    """How a place is named in the totals."""
    return place.route.name, place.version, place.role.value
