"""How much memory a ledger can ever need, whatever clients send and models answer."""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.answers.predictions import MAX_LABEL, Missing
from gateway.counting.counts import LEARNED_LABELS, NOT_RETRIED, RETRIED
from gateway.counting.grid import (
    BEGINNING_BOUNDS,
    DRAWN_SCORE_BOUNDS,
    DURATION_BOUNDS,
    LATENCY_BOUNDS,
    OVERHEAD_BOUNDS,
    SCORE_BOUNDS,
    WORKED_GRID,
)
from gateway.errors import Reason
from gateway.model import Assignment
from gateway.routing.table import RoutingTable

# Status codes there can be, reasons of a refusal, and what a name of cells holds besides the names
# of the file and a label. Room that nothing is written to takes no memory.
_CODES: Final = 1000
_REFUSALS: Final = 64
_NAME_BYTES: Final = 80
_SUMS: Final = 6
_ROWS: Final = tuple(
    len(bounds) + 1
    for bounds in (
        *(DURATION_BOUNDS, DURATION_BOUNDS, WORKED_GRID, LATENCY_BOUNDS),
        *(SCORE_BOUNDS, DRAWN_SCORE_BOUNDS, OVERHEAD_BOUNDS, BEGINNING_BOUNDS),
    )
)


class Room(NamedTuple):
    """What a ledger needs at most: cells of both kinds, the bytes of its directory besides what an
    entry always takes, the number of entries, and the cells of the largest row.
    """

    counts: int
    sums: int
    names: int
    entries: int
    widest: int


def room_for(table: RoutingTable) -> Room:
    """The most that can ever be named under one table, whatever clients send and models answer."""
    counts = names = entries = _REFUSALS
    names *= _NAME_BYTES
    for place in table.places:
        route = place.route
        urls = [endpoint.url.encode() for endpoint in route.version(place.version).endpoints]
        labels = LEARNED_LABELS + 2 + (len(route.prediction.labels) if route.prediction else 0)
        ways = len(Assignment) + len(route.candidates)  # stable answers in place of each
        single = ways * _CODES + 4 * len(Reason) + 2 * len(Missing) + 3
        single += len(RETRIED) + len(NOT_RETRIED) + 2 * labels + 3 * len(urls)
        values = len(route.prediction.bounds) + 1 if route.prediction else 0
        counts += single + sum(_ROWS) + 2 * values
        rows = len(_ROWS) + 2
        entries += single + rows + _SUMS
        names += (single + rows + _SUMS) * (_NAME_BYTES + len(route.name) + len(place.version))
        names += _CODES * sum(len(version.name) for version in route.candidates)
        names += 2 * labels * 4 * MAX_LABEL + 3 * sum(map(len, urls))
    return Room(counts, _SUMS * len(table.places), names, entries, max(_ROWS))
