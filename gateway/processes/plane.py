"""The data plane as the rest of the gateway sees it, and the one that is a single process.

Whoever reloads, drains or tells of it knows only :class:`Plane`; ``group`` is the other kind.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from functools import partial
from random import random
from time import perf_counter, time
from typing import Final, Protocol

from gateway.clients.listener import Kind, Listener
from gateway.clients.live import Live
from gateway.counting.archive import Archive, Epoch
from gateway.counting.exemplars import Exemplars, Row
from gateway.counting.ledger import Ledger
from gateway.counting.report import Process
from gateway.machine.port import Address
from gateway.model import RoutingConfig
from gateway.routing.marks import Marks
from gateway.routing.run import Run
from gateway.routing.table import RoutingTable, compile_table
from gateway.security.tls import server_context
from gateway.traces.traced import TracedConnection
from gateway.traces.tracer import Tracer
from gateway.workers.dial import Dial, dial
from gateway.writing.records import Records

_OWNER: Final = 0  # of all ledgers, in a process of its own


class Plane(Protocol):
    """What answers clients: this process, or several."""

    archive: Archive
    restarts: int

    @property
    def generation(self) -> str: ...

    @property
    def draining(self) -> bool: ...

    def certify(self, pem: bytes) -> None:
        """Speak TLS, with this key and certificate, to whoever connects from now on."""

    async def start(self, wanted: Address) -> Address:
        """Listen, and return the address in use. Raises OSError."""

    async def swap(self, table: RoutingTable) -> None:
        """Put another file in force: when this returns, nobody serves the old one."""

    async def renew(self, due: Mapping[str, Run]) -> None:
        """Let the users of some routes count again, under the same file (see ``rounds``). Raises
        OSError if there is no memory for it.
        """

    async def drain(self, limit: float) -> int:
        """Let everything under way end; says how many connections had to be cut."""

    def refresh(self) -> None:
        """Write down what is so at this moment, for who is about to read."""

    def processes(self) -> tuple[Process, ...]: ...

    def exemplars(self) -> Mapping[tuple[str, ...], Row]:
        """By route, version and role; none of several processes: only counts can be added up."""


class Solo:
    """Everything in this process."""

    def __init__(
        self,
        config: RoutingConfig,
        *,
        dial: Dial = dial,
        clock: Callable[[], float] = perf_counter,
        draw: Callable[[], float] = random,
        wall_clock: Callable[[], float] = time,
        tracer: Tracer | None = None,
        records: Records | None = None,
    ) -> None:
        self.archive = Archive()
        self.restarts = 0
        self._wall_clock = wall_clock
        self._since = wall_clock()
        self._marks = Marks()
        self._exemplars = Exemplars(wall_clock)
        ledger = Ledger()
        epoch = self._prepare(compile_table(config))
        scribe = None if records is None else records.scribe
        self.live = Live(epoch.table, ledger, dial=dial, clock=clock, draw=draw, scribe=scribe)
        self._tracer, self._records = tracer, records
        kind: Kind = partial(TracedConnection, self._exemplars)
        if tracer is not None:
            kind = tracer.kind(self._exemplars)
        self.listener = Listener(self.live, self._swept, kind)
        self._enforced(epoch, ledger)

    @property
    def generation(self) -> str:
        return self.live.serving.generation

    @property
    def draining(self) -> bool:
        return self.live.draining

    def certify(self, pem: bytes) -> None:
        self.listener.certify(server_context(pem))

    def _swept(self) -> None:
        if self._tracer is not None:
            self._tracer.count(self.live.serving.ledger)
        if self._records is not None:
            self._records.sweep(self.live.serving.ledger)

    async def start(self, wanted: Address) -> Address:
        return Address(*await self.listener.start(wanted.host, wanted.port))

    async def swap(self, table: RoutingTable) -> None:
        self.put(table)

    def put(self, table: RoutingTable) -> None:
        """Serve another table from the next request on."""
        self._serve(self._prepare(table))

    async def renew(self, due: Mapping[str, Run]) -> None:
        table = compile_table(self.live.serving.table.config)
        epoch = self.archive.prepare_round(table, self._wall_clock(), due)
        if epoch is not None:
            self._serve(self._marking(epoch))

    def _serve(self, epoch: Epoch) -> None:
        ledger = Ledger()
        self.live.swap(epoch.table, ledger)
        self._enforced(epoch, ledger)

    def _prepare(self, table: RoutingTable) -> Epoch:
        return self._marking(self.archive.prepare(table, self._wall_clock()))

    def _marking(self, epoch: Epoch) -> Epoch:
        slots = self._marks.allot(epoch.runs)
        for route in epoch.table.routes:
            if route.sticky:
                name = route.rules.name
                route.mark(slots[name].cells, epoch.runs[name].spent)
        epoch.marked = slots
        return epoch

    def _enforced(self, epoch: Epoch, ledger: Ledger) -> None:
        self.archive.add(_OWNER, epoch, ledger)
        self.archive.enforce(epoch)
        self._exemplars.keep(epoch.table.places)
        self._marks.release(epoch.runs)
        self.live.on_settled(partial(self.archive.close, _OWNER, epoch.serial))

    async def drain(self, limit: float) -> int:
        cut = await self.listener.drain(limit)
        for pool in self.live.serving.pools:
            pool.close()
        await asyncio.sleep(0)
        if self._tracer is not None:
            await self._tracer.close()
        if self._records is not None:
            await self._records.close()
        return cut

    def refresh(self) -> None:
        self.live.serving.gauge()

    def processes(self) -> tuple[Process, ...]:
        answered = self.archive.answered(_OWNER)
        return (Process(0, os.getpid(), self._since, 0, answered, self.generation),)

    def exemplars(self) -> Mapping[tuple[str, ...], Row]:
        return self._exemplars.rows
