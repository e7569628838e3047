"""The data port: accepts clients, sweeps what took too long, drains on the way out."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, cast

from gateway.clients.inbound import InboundConnection
from gateway.clients.live import Live
from gateway.http.replies import connection_line, error_reply
from gateway.machine.allocator import Trimmer
from gateway.machine.descriptors import room_for_clients
from gateway.security.tls import TlsConnection

if TYPE_CHECKING:
    from ssl import SSLContext

SWEEP_EVERY: Final = 0.1  # seconds: how late a deadline may be noticed
BACKLOG: Final = 2048
DRAIN_LIMIT: Final = 30.0  # seconds; what Kubernetes grants before it kills
# Seconds for which an idle connection is kept when draining: a request that is on its way at that
# moment is answered (and told `Connection: close`), where closing would lose it. nginx has
# keepalive_min_timeout for the same reason.
IDLE_GRACE: Final = 1.0
MAX_SHAKING: Final = 1024  # handshakes that have not ended: at 2,000 a second, half a second each

Kind = Callable[[Live, set[InboundConnection]], InboundConnection]


class Turned(asyncio.Protocol):
    """A client for whom there is no descriptor left that workers may not need."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._live.refused("shed")
        sentence = "as many clients as this gateway may serve at once are connected; try again"
        made = self._live.new_id()
        answer = error_reply(503, "shed", sentence, made, connection=connection_line(False, False))
        wire = cast("asyncio.Transport", transport)
        wire.write(answer)
        wire.close()


class Listener:
    """``start`` or ``start_on``, and ``drain`` at the end; each sweep calls ``on_sweep``, and
    ``kind`` makes the connection of a client.

    ``room`` is how many clients may be connected at once, ``shaking_room`` how many of them may be
    within their TLS handshake; beyond it the oldest handshake ends.
    """

    def __init__(
        self,
        live: Live,
        on_sweep: Callable[[], None] | None = None,
        kind: Kind = InboundConnection,
    ) -> None:
        self._live = live
        self._on_sweep = on_sweep
        self._kind = kind
        self._connections: set[InboundConnection] = set()
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.Task[None] | None = None
        self._context: SSLContext | None = None
        # Hands, the oldest first; they are not among the connections yet.
        self._shaking: dict[TlsConnection, None] = {}
        self._trimmer = Trimmer()
        self.room = room_for_clients()
        self.shaking_room = min(MAX_SHAKING, self.room // 2)

    def certify(self, context: SSLContext) -> None:
        """Speak TLS, with this certificate, to whoever connects from now on."""
        self._context = context

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen, and return the address in use (port 0 asks for a free one). Raises OSError."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._accept, host, port, backlog=BACKLOG)
        self._servers.append(server)
        self._sweeper = loop.create_task(self._sweep())
        bound = server.sockets[0].getsockname()
        return str(bound[0]), int(bound[1])

    async def start_on(self, sockets: Iterable[socket.socket]) -> None:
        """Listen on bound sockets. Raises OSError."""
        loop = asyncio.get_running_loop()
        for one in sockets:
            server = await loop.create_server(self._accept, sock=one, backlog=BACKLOG)
            self._servers.append(server)
        self._sweeper = loop.create_task(self._sweep())

    def _accept(self) -> asyncio.Protocol:
        connection: asyncio.Protocol
        if len(self._connections) + len(self._shaking) >= self.room:
            connection = Turned(self._live)
        else:
            connection = self._kind(self._live, self._connections)
        return connection if self._context is None else self._secured(connection, self._context)

    def _secured(self, connection: asyncio.Protocol, context: SSLContext) -> TlsConnection:
        secured = TlsConnection(connection, context, lambda _: self._shaking.pop(secured, None))
        self._shaking[secured] = None
        if len(self._shaking) > self.shaking_room:
            asyncio.get_running_loop().call_soon(self._end_oldest)  # the loop is in an accept
        return secured

    def _end_oldest(self) -> None:
        """The newest handshake would be that of somebody who has done nothing wrong yet."""
        if len(self._shaking) > self.shaking_room:
            oldest = next(iter(self._shaking))
            del self._shaking[oldest]
            oldest.abort()

    async def drain(self, limit: float) -> int:
        """Stop accepting, let everything under way end, wait ``limit`` seconds at most.

        Returns how many connections had to be cut.
        """
        self._live.draining = True
        now = self._live.clock()
        deadline, grace = now + limit, now + min(IDLE_GRACE, limit / 2)
        for _ in range(BACKLOG):
            await asyncio.sleep(0)  # libuv accepts one in each turn of the loop
            if not self._somebody_waits():
                break
        for server in self._servers:
            server.close()
        while now < deadline:
            await asyncio.sleep(SWEEP_EVERY / 2)  # who was accepted just now is among them then
            now = self._live.clock()
            if now >= grace:
                for shaking in tuple(self._shaking):
                    shaking.close()
                for connection in tuple(self._connections):
                    connection.drain()
            if not (self._connections or self._shaking):
                break
        cut = len(self._connections)
        for connection in tuple(self._connections):
            connection.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
        return cut

    def _somebody_waits(self) -> bool:
        """Whether somebody has connected and is not accepted yet: closing would be a reset."""
        waiting = select.poll()
        for server in self._servers:
            for one in server.sockets:
                waiting.register(one.fileno(), select.POLLIN)
        return bool(waiting.poll(0))

    @property
    def connections(self) -> int:
        """Open client connections."""
        return len(self._connections)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            try:
                if self._on_sweep is not None:
                    self._on_sweep()
                self._look(self._live.clock())
                self._trimmer.look(self._live.clock())
            except Exception as error:  # deadlines must go on, whatever it was
                told = {"message": "sweep", "exception": error}
                asyncio.get_running_loop().call_exception_handler(told)

    def _look(self, now: float) -> None:
        """A function of its own, so that no connection is held on to until the next time."""
        self._live.sweep(now)
        self._live.backlog.sweep(now)
        for connection in tuple(self._connections):
            try:
                connection.sweep(now)
            except Exception as error:  # a mistake with one must not end the time of all
                told = {"message": f"sweep of {connection!r}", "exception": error}
                asyncio.get_running_loop().call_exception_handler(told)
                connection.abort()
