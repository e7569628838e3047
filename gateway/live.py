"""What is being served now: one reference, swapped whole.

A :class:`Serving` is a compiled table with the pools and counters of its versions. A request takes
the one in force when it starts and keeps it; a new file makes a new one. Pools and cumulative
counts outlive a swap for versions that stay, evidence begins anew with each generation.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from random import random
from secrets import token_hex
from time import perf_counter, time
from typing import Final

from gateway.counts import Evidence, VersionCounts
from gateway.errors import Refusal
from gateway.model import Role, RoutingConfig
from gateway.observe import Outcome
from gateway.pool import Dial, Pool, dial
from gateway.table import DEFAULT_BODY_LIMIT, Fields, Place, RoutingTable, compile_table

KEPT_GENERATIONS: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class Serving:
    """One generation in force. The tuples are indexed by ``Decision.index``."""

    table: RoutingTable
    pools: tuple[Pool, ...]
    counts: tuple[VersionCounts, ...]
    evidence: tuple[Evidence, ...]
    since: float  # Unix time

    @property
    def generation(self) -> str:
        return self.table.config.generation

    def observe(self, outcome: Outcome) -> None:
        """The one place an outcome is told: counted under this generation."""
        index = outcome.decision.index
        self.counts[index].record(outcome, self.evidence[index])

    def __repr__(self) -> str:
        return f"<Serving {self.generation}, {len(self.table.routes)} routes>"


class Live:
    """The present :class:`Serving`, and what every connection shares."""

    def __init__(
        self,
        config: RoutingConfig,
        *,
        dial: Dial = dial,
        clock: Callable[[], float] = perf_counter,
        draw: Callable[[], float] = random,
        wall_clock: Callable[[], float] = time,
    ) -> None:
        self.clock = clock
        self.draw = draw
        self.draining = False
        self.refusals: Counter[str] = Counter()
        self.past: deque[Serving] = deque(maxlen=KEPT_GENERATIONS)
        self._dial = dial
        self._wall_clock = wall_clock
        self._counts: dict[tuple[str, str, Role], VersionCounts] = {}
        self._prefix = token_hex(6).encode()
        self._serial = count(1)
        self.serving = self._assemble(compile_table(config), {})
        self.body_floor = self.serving.table.body_floor

    def new_id(self) -> bytes:
        """An id no other request of this or another process has."""
        return b"%b-%x" % (self._prefix, next(self._serial))

    def body_limit(self, path: bytes, fields: Fields) -> int:
        """The largest body the route of a request takes, in bytes. Without a route there is a
        limit as well: the body is read, so that the connection goes on after the 404.
        """
        try:
            return self.serving.table.match(path, fields).rules.limits.body
        except Refusal:
            return DEFAULT_BODY_LIMIT

    def refused(self, reason: str) -> None:
        """Count a request that was refused before any version was asked."""
        self.refusals[reason] += 1

    def swap(self, table: RoutingTable) -> None:
        """Serve another table from the next request on; what is under way ends as it began."""
        old = self.serving
        reusable = {
            (place.route.name, place.version): pool
            for place, pool in zip(old.table.places, old.pools, strict=True)
        }
        self.serving = self._assemble(table, reusable)
        self.body_floor = table.body_floor
        self.past.append(old)
        for pool in set(old.pools) - set(self.serving.pools):
            pool.close()

    def all_counts(self) -> tuple[VersionCounts, ...]:
        """Cumulative counts of every version of the present file, in each role it has had."""
        return tuple(self._counts.values())

    def _assemble(self, table: RoutingTable, reusable: dict[tuple[str, str], Pool]) -> Serving:
        present = {(place.route.name, place.version) for place in table.places}
        self._counts = {key: kept for key, kept in self._counts.items() if key[:2] in present}
        return Serving(
            table,
            tuple(self._pool(place, reusable) for place in table.places),
            tuple(self._counts_of(place) for place in table.places),
            tuple(Evidence() for _ in table.places),
            self._wall_clock(),
        )

    def _pool(self, place: Place, reusable: dict[tuple[str, str], Pool]) -> Pool:
        endpoints = place.route.version(place.version).endpoints
        pool = reusable.get((place.route.name, place.version))
        if pool is None or pool.endpoints != endpoints:
            return Pool(endpoints, place.route.limits.in_flight, self._dial)
        pool.limit = place.route.limits.in_flight
        return pool

    def _counts_of(self, place: Place) -> VersionCounts:
        key = (place.route.name, place.version, place.role)
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = VersionCounts(place.route, place.version, place.role)
        else:
            counts.configure(place.route)
        return counts
