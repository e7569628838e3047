"""The connections to the endpoints of one version: idle ones, those being opened, and who waits.

One pool per version, so that a sick version cannot starve a healthy one. ``forward`` is its door;
no task and no Future per request (a task per *opened connection* only).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import Final, Protocol, cast

from gateway.errors import Reason
from gateway.model import Endpoint
from gateway.workers.backlog import Backlog
from gateway.workers.budget import RetryBudget
from gateway.workers.check import Check
from gateway.workers.dial import CONNECT_TIMEOUT, Dial, dial
from gateway.workers.gathering import Gathering
from gateway.workers.readiness import Readiness
from gateway.workers.receiver import Receiver
from gateway.workers.upstream import UpstreamConnection

# Looks, one a second, at which a connection was idle all the time before it is closed: within 3 to
# 4 seconds. uvicorn, hypercorn and Node close idle connections after 5; who closes first never
# sends a request into a connection that the other side is just closing. Peers that keep them for a
# minute (nginx, Envoy) retry such requests instead, which a prediction that must not be asked twice
# cannot be. What a quiet route pays for it is a connection per request.
IDLE_LOOKS: Final = 4


class Forwardable(Receiver, Protocol):
    """A request on its way through the pool."""

    endpoint_pool: EndpointPool | None

    def send_on(self, connection: UpstreamConnection) -> None: ...
    def outdated(self) -> bool: ...
    def start(self) -> None: ...


class EndpointPool:
    """One endpoint: its idle connections, the requests under way and those that wait for one."""

    __slots__ = (
        *("_closed", "_dial", "_idle", "_opening", "_seen", "_waiting"),
        *("check", "endpoint", "gathering", "in_flight", "readiness"),
    )

    def __init__(self, endpoint: Endpoint, dial: Dial, gathering: Gathering) -> None:
        self.endpoint = endpoint
        self.gathering = gathering
        self.in_flight = 0
        self._dial = dial
        self._idle: list[UpstreamConnection] = []
        self._waiting: deque[Forwardable] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._closed = False
        # Idle connections, how much each had served, and at how many looks it was found like that.
        self._seen: dict[UpstreamConnection, tuple[int, int]] = {}
        self.check: Check | None = None  # without, nobody asks whether it is ready
        self.readiness = Readiness()

    def __repr__(self) -> str:
        idle, waiting = len(self._idle), len(self._waiting)
        busy = f"{self.in_flight} in flight, {idle} idle, {waiting} waiting"
        return f"<EndpointPool {self.endpoint.url}: {busy}>"

    def take(self, exchange: Forwardable, *, fresh: bool) -> None:
        """Send on the connection used last (it is the least likely to be stale), or on a new
        one.
        """
        self.in_flight += 1
        exchange.endpoint_pool = self
        while self._idle and not fresh:
            connection = self._idle.pop()
            if connection.usable:
                exchange.send_on(connection)
                return
        self._waiting.append(exchange)
        # Attempts outlive the requests that gave up: whoever comes then waits for theirs.
        if len(self._opening) < len(self._waiting):
            self._opening.add(asyncio.ensure_future(self._open()))

    def give_up(self, exchange: Forwardable) -> None:
        """The exchange does not wait any longer."""
        self._waiting.remove(exchange)
        self.in_flight -= 1

    def close(self) -> None:
        """Idle connections end now, busy ones with their answer; whoever waits is still served."""
        self._closed = True
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        if self.check is not None:
            self.check.end()

    def watch(self, path: str, delay: float) -> None:
        """From now on ask there whether it is ready, the first time in ``delay`` seconds; an empty
        path: do not ask. What it has said before is forgotten.
        """
        if self.check is not None:
            self.check.end()
        self.readiness = Readiness()
        self.check = Check(self.endpoint, path, self._dial, self.heard, delay) if path else None

    def heard(self, status: int | None) -> None:
        """It was asked whether it is ready; None: and gave no answer."""
        self.readiness.heard(status, serving=True)

    def look(self) -> None:
        """Close what nobody has used for long: so a crowd's connections go after it, too. What was
        used last is used next, so those nobody needs stay idle.
        """
        before, self._seen = self._seen, {}
        idle, self._idle = self._idle, []
        for connection in idle:
            served, looks = before.get(connection, (connection.served, 0))
            looks = looks + 1 if served == connection.served else 1
            if looks >= IDLE_LOOKS:
                connection.close()
            else:
                self._idle.append(connection)
                self._seen[connection] = connection.served, looks

    def failed(self, now: float, *, sent: bool, stale: bool = False) -> None:
        """A request that went here got no good answer; ``sent``: on a connection, which was
        ``stale``. Matters only where there are several endpoints, as does ``left``.
        """

    def left(self) -> None:
        """A client gave up a request that was sent here."""

    async def _open(self) -> None:
        connection = None
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                connection = await self._dial(lambda: UpstreamConnection(self), self.endpoint)
        except (OSError, UnicodeError):  # a host can be no name at all: "a..b"
            pass
        finally:
            self._opening.discard(cast("asyncio.Task[None]", asyncio.current_task()))
        if connection is not None and connection.usable:
            self._ready(connection)
        else:  # refused, or accepted and closed at once
            self._refused()

    def _ready(self, connection: UpstreamConnection) -> None:
        """Give a free connection to the next who waits and still wants to come here."""
        while self._waiting:
            exchange = self._waiting.popleft()
            if not exchange.outdated():
                exchange.send_on(connection)
                return
            self.in_flight -= 1
            exchange.start()
        if self._closed:
            connection.close()
        else:
            self._idle.append(connection)

    def _refused(self) -> None:
        if self._waiting:
            exchange = self._waiting.popleft()
            self.in_flight -= 1
            exchange.on_failure(Reason.CONNECT, began=False)

    def lost(self, connection: UpstreamConnection) -> None:
        """It was closed, usually by a worker that keeps idle connections only for so long."""
        if connection in self._idle:
            self._idle.remove(connection)

    def released(self, connection: UpstreamConnection, reusable: bool) -> None:
        """A request on it has ended."""
        self.in_flight -= 1
        if reusable and not (self._waiting or self._closed):
            self._idle.append(connection)
        elif reusable:
            self._ready(connection)
        elif not connection.closed:
            connection.close()


class Pool:
    """All endpoints of one version (here: the one), and the limit on requests at once."""

    __slots__ = ("_readiness", "budget", "endpoints", "limit", "members")

    def __init__(
        self,
        endpoints: tuple[Endpoint, ...],
        limit: int,
        dial: Dial = dial,
        gathering: Gathering | None = None,
    ) -> None:
        """``gathering`` is what all pools of a process share; None: it is alone."""
        self.endpoints = endpoints
        self.limit = limit
        gathering = gathering or Gathering(Backlog())
        self.members = [EndpointPool(endpoint, dial, gathering) for endpoint in endpoints]
        self.budget = RetryBudget()
        self._readiness = ""

    @property
    def in_flight(self) -> int:
        return sum(member.in_flight for member in self.members)

    @property
    def ejected(self) -> list[EndpointPool]:
        """Endpoints that are left out for a while."""
        return []

    def forward(
        self, exchange: Forwardable, *, fresh: bool = False, avoid: EndpointPool | None = None
    ) -> None:
        """Send to an endpoint, or refuse at once when the version has no room.

        ``fresh`` asks for a new connection; ``avoid`` names an endpoint that has just failed.
        """
        member = self.members[0]
        if member.in_flight >= self.limit:
            exchange.on_failure(Reason.SHED, began=False)
            return
        member.take(exchange, fresh=fresh)

    def watch(self, path: str, delays: Iterator[float]) -> None:
        """Ask all endpoints at this path whether they are ready, if that is not so already; see
        :meth:`EndpointPool.watch`.
        """
        if path != self._readiness:
            self._readiness = path
            for member in self.members:
                member.watch(path, next(delays))

    def look(self, now: float) -> None:
        """Once a second: see to what only time changes."""
        for member in self.members:
            member.look()

    def close(self) -> None:
        """No more idle connections are kept; see :meth:`EndpointPool.close`."""
        for member in self.members:
            member.close()
