"""The data port: accepts clients, sweeps what took too long, drains on the way out."""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.inbound import InboundConnection
from gateway.live import Live

SWEEP_EVERY: Final = 0.1  # seconds: how late a deadline may be noticed
BACKLOG: Final = 2048


class Listener:
    """``start``, then ``close`` (no new clients) and ``drained``."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._connections: set[InboundConnection] = set()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen, and return the address in use (port 0 asks for a free one). Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: InboundConnection(self._live, self._connections), host, port, backlog=BACKLOG
        )
        self._sweeper = loop.create_task(self._sweep())
        bound = self._server.sockets[0].getsockname()
        return str(bound[0]), int(bound[1])

    async def drain(self, limit: float) -> int:
        """Stop accepting, let everything under way end, wait ``limit`` seconds at most.

        Returns how many connections had to be cut.
        """
        self._live.draining = True
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.drain()
        deadline = self._live.clock() + limit
        while self._connections and self._live.clock() < deadline:
            await asyncio.sleep(SWEEP_EVERY / 2)
            for connection in tuple(self._connections):
                connection.drain()
        cut = len(self._connections)
        for connection in tuple(self._connections):
            connection.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
        return cut

    @property
    def connections(self) -> int:
        """Open client connections."""
        return len(self._connections)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            now = self._live.clock()
            for connection in tuple(self._connections):
                try:
                    connection.sweep(now)
                except Exception as error:  # a mistake with one must not end the time of all
                    told = {"message": f"sweep of {connection!r}", "exception": error}
                    asyncio.get_running_loop().call_exception_handler(told)
                    connection.abort()
