"""One request by name for each bucket of a histogram: the trace in which it can be looked at.

The last sampled one of each bucket of what clients waited, by version and role. There are as many
places as buckets in the file in force, and what a file no longer names is gone with it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from gateway.counting.grid import DURATION_BOUNDS
from gateway.routing.decision import Decision
from gateway.routing.table import Place


class Exemplar(NamedTuple):
    """A request: its trace, the seconds its client waited, and when it ended (Unix time)."""

    trace: str
    seconds: float
    at: float


Row = list[Exemplar | None]
"""By bucket of DURATION_BOUNDS; the last one has no upper bound."""


class Exemplars:
    """Those of one process. ``clock`` says Unix time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rows: dict[tuple[str, ...], Row] = {}

    @property
    def rows(self) -> Mapping[tuple[str, ...], Row]:
        """By route, version and role."""
        return self._rows

    def keep(self, places: Iterable[Place]) -> None:
        """Forget all but these."""
        keys = [(place.route.name, place.version, place.role.value) for place in places]
        empty = len(DURATION_BOUNDS) + 1
        self._rows = {key: self._rows.get(key) or [None] * empty for key in keys}

    def note(self, decision: Decision, seconds: float, trace: str) -> None:
        """The last one of its bucket. Nothing is noted of a version that is gone meanwhile."""
        row = self._rows.get((decision.route.name, decision.version, decision.role))
        if row is not None:
            row[bisect_left(DURATION_BOUNDS, seconds)] = Exemplar(trace, seconds, self._clock())
