"""What is being served now: one reference, swapped whole.

A :class:`Serving` is a compiled table with the pools and counters of its versions. A request takes
the one in force when it starts and keeps it; a new file makes a new one. Pools outlive a swap for
versions that stay; counting begins anew, in a ledger of each generation's own.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count, cycle
from random import random
from secrets import token_hex
from time import perf_counter
from typing import Final

from gateway.clients.uploads import Uploads
from gateway.counting.counts import VersionCounts
from gateway.counting.gauges import ejected_name, in_flight_name, ready_name
from gateway.counting.ledger import Ledger
from gateway.counting.report import key_of
from gateway.errors import Refusal
from gateway.http.headers import RequestHead, set_cookie
from gateway.http.request import Request
from gateway.routing.compiled import Fields
from gateway.routing.decision import Decision
from gateway.routing.table import DEFAULT_BODY_LIMIT, Place, RoutingTable
from gateway.workers.backlog import Backlog
from gateway.workers.balance import BalancedPool
from gateway.workers.check import Check
from gateway.workers.dial import Dial, dial
from gateway.workers.gathering import Gathering
from gateway.workers.pool import Pool
from gateway.writing.scribe import Scribe

LOOK_EVERY: Final = 1.0  # seconds, at the connections to workers
# Of twelve hexadecimal digits, as the last group of a UUID has, and for long to come.
_FIRST: Final = 1 << 44
# Seconds until the first check of an endpoint: many are spread over the time between two checks.
_DELAYS: Final = tuple(number / 10 for number in range(10))


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Serving:
    """One generation in force. The tuples are indexed by ``Decision.index``."""

    table: RoutingTable
    pools: tuple[Pool, ...]
    counts: tuple[VersionCounts, ...]
    ledger: Ledger

    @property
    def generation(self) -> str:
        return self.table.config.generation

    def gauge(self) -> None:
        """Write down what is in flight, and which endpoint is left out or ready, at this moment."""
        ledger = self.ledger
        for place, pool in zip(self.table.places, self.pools, strict=True):
            ejected = pool.ejected
            for member in pool.members:
                cell = ledger.gauge(*in_flight_name(place, member.endpoint))
                ledger.counts[cell] = member.in_flight
                if len(pool.members) > 1:
                    cell = ledger.gauge(*ejected_name(place, member.endpoint))
                    ledger.counts[cell] = int(member in ejected)
                if member.check is not None:
                    cell = ledger.gauge(*ready_name(place, member.endpoint))
                    ledger.counts[cell] = int(member.readiness.ready)

    def __repr__(self) -> str:
        return f"<Serving {self.generation}, {len(self.table.routes)} routes>"


class Live:
    """The present :class:`Serving`, and what every connection shares."""

    def __init__(
        self,
        table: RoutingTable,
        ledger: Ledger,
        *,
        dial: Dial = dial,
        clock: Callable[[], float] = perf_counter,
        draw: Callable[[], float] = random,
        scribe: Scribe | None = None,
    ) -> None:
        self.clock = clock
        self.draw = draw
        self.draining = False
        self.backlog = Backlog()
        self.gathering = Gathering(self.backlog)
        self.uploads = Uploads(clock)
        self._dial = dial
        self._scribe = scribe
        self._prefix = _first_of_an_id()
        self._serial = count(_FIRST)
        self._looked = clock()
        self._delays = cycle(_DELAYS)
        self._checks: tuple[Check, ...] = ()
        self.body_floor = table.body_floor
        self.serving = self._assemble(table, ledger, {}, {})

    def new_id(self) -> bytes:
        """An id no other request of this or another process has, in the form of a UUID."""
        return b"%b%x" % (self._prefix, next(self._serial))

    def resolve(self, head: RequestHead) -> tuple[Decision, bytes]:
        """Where a request goes, and the line that gives a new client its sticky key (or nothing).
        Raises :class:`Refusal`.
        """
        fields, cookie = head.fields, b""
        route = self.serving.table.match(head.path, fields)
        key = None
        if route.sticky:
            key = route.key(fields)
            if key is None and route.sticky_cookie is not None:
                key = self.new_id()
                cookie = set_cookie(route.sticky_cookie, key)
        return route.assign(fields, key, self.draw), cookie

    def body_limit(self, path: bytes, fields: Fields) -> int:
        """The largest body the route of a request takes, in bytes. Without a route there is a
        limit as well: the body is read, so that the connection goes on after the 404.
        """
        try:
            return self.serving.table.match(path, fields).rules.limits.body
        except Refusal:
            return DEFAULT_BODY_LIMIT

    def refused(self, reason: str, request: Request | None = None) -> None:
        """Count what was refused before any version was asked; None: no request was read."""
        ledger = self.serving.ledger
        ledger.counts[ledger.cell("refused", reason)] += 1
        if self._scribe is not None and request is not None:
            self._scribe.refused(request)

    def sweep(self, now: float) -> None:
        """See to what only time changes at the workers' side; to be called every so often."""
        if now - self._looked >= LOOK_EVERY:
            self._looked = now
            for pool in self.serving.pools:
                pool.look(now)
        for check in self._checks:
            check.sweep(now)

    def swap(self, table: RoutingTable, ledger: Ledger) -> None:
        """Serve another table from the next request on; what is under way ends as it began, and is
        counted in the ledger it began with.
        """
        old = self.serving
        reusable = {
            (place.route.name, place.version): pool
            for place, pool in zip(old.table.places, old.pools, strict=True)
        }
        known = {
            key_of(place): counts.labels
            for place, counts in zip(old.table.places, old.counts, strict=True)
        }
        self.body_floor = table.body_floor
        self.serving = self._assemble(table, ledger, reusable, known)
        for pool in set(old.pools) - set(self.serving.pools):
            pool.close()

    def on_settled(self, settled: Callable[[], object]) -> None:
        """Call ``settled`` when nothing can count under the present generation any more: every
        exchange holds on to the generation it began with, and when it has let go, nobody does.
        """
        weakref.finalize(self.serving, settled).atexit = False

    def _assemble(
        self,
        table: RoutingTable,
        ledger: Ledger,
        reusable: Mapping[tuple[str, str], Pool],
        known: Mapping[tuple[str, ...], tuple[str, ...]],
    ) -> Serving:
        counts = tuple(
            self._counts(ledger, table, place, known.get(key_of(place), ()))
            for place in table.places
        )
        pools = tuple(self._pool(place, reusable) for place in table.places)
        members = [member for pool in pools for member in pool.members]
        self._checks = tuple(one.check for one in members if one.check is not None)
        serving = Serving(table, pools, counts, ledger)
        serving.gauge()
        return serving

    def _counts(
        self, ledger: Ledger, table: RoutingTable, place: Place, known: tuple[str, ...]
    ) -> VersionCounts:
        if self._scribe is not None:
            return self._scribe.counts(ledger, table, place, known)
        return VersionCounts(ledger, place.route, place.version, place.role, known)

    def _pool(self, place: Place, reusable: Mapping[tuple[str, str], Pool]) -> Pool:
        version = place.route.version(place.version)
        endpoints, limit = version.endpoints, place.route.limits.in_flight
        pool = reusable.get((place.route.name, place.version))
        if pool is None or pool.endpoints != endpoints:
            kind = BalancedPool if len(endpoints) > 1 else Pool
            pool = kind(endpoints, limit, self._dial, self.gathering)
        pool.limit = limit
        pool.watch(version.readiness, self._delays)
        return pool


def _first_of_an_id() -> bytes:
    """All groups of a UUID but the last: 72 bits by chance, and version 4.

    There are model servers that refuse a request whose X-Request-Id is no such UUID
    (starlette-context in its ordinary setting, which llama-cpp-python's server has).
    """
    made = token_hex(9)
    return f"{made[:8]}-{made[8:12]}-4{made[12:15]}-8{made[15:]}-".encode()
