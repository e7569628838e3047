"""A blind relay: bytes from client to worker and back, nothing read. The floor of any Python proxy
over uvloop, and the steadiest reference, as it needs no foreign program.

``python -m benchmarks.relay PORT WORKER_PORT...``; connections take turns over the workers.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import cycle
from typing import cast

import uvloop


class Side(asyncio.Protocol):
    """One end; what it reads is written to the other."""

    __slots__ = ("other", "transport", "waiting")

    def __init__(self, other: Side | None = None) -> None:
        self.other = other
        self.waiting: list[bytes] = []
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        for data in self.waiting:
            self.transport.write(data)

    def write(self, data: bytes) -> None:
        if self.transport is None:
            self.waiting.append(data)
        else:
            self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


async def relay(port: int, workers: list[int]) -> None:
    loop = asyncio.get_running_loop()
    turns = cycle(workers)
    dials: set[asyncio.Task[object]] = set()

    def accept() -> Side:
        client = Side()
        client.other = worker = Side(client)
        dialled = loop.create_connection(lambda: worker, "127.0.0.1", next(turns))
        task: asyncio.Task[object] = loop.create_task(dialled)
        dials.add(task)
        task.add_done_callback(dials.discard)
        return client

    server = await loop.create_server(accept, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(relay(int(sys.argv[1]), [int(word) for word in sys.argv[2:]]))
