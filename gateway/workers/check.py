"""Asks one endpoint whether it is ready, again and again, on connections of its own.

One check at a time: it is begun and given up by the sweeps, ends with what it was made for, and is
neither traffic nor evidence. While a connection is being opened nothing is called back, as a name
server cannot be: each ``DEADLINE`` that passes counts as a check without an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Final

from gateway.workers.backlog import Backlog
from gateway.workers.dial import CONNECT_TIMEOUT, Dial
from gateway.workers.gathering import Gathering
from gateway.workers.upstream import UpstreamConnection

if TYPE_CHECKING:
    from gateway.errors import Reason
    from gateway.http.headers import ReplyHead
    from gateway.model import Endpoint

# Seconds.
EVERY: Final = 1.0  # from the beginning of one to that of the next
DEADLINE: Final = 1.0  # Kubernetes' timeoutSeconds

Heard = Callable[[int | None], object]
"""Is told the status of an answer, or None if there was none."""


class Check:
    """Of one endpoint; ``delay`` seconds until the first one."""

    __slots__ = (
        *("_answer", "_connection", "_delay", "_dial", "_due", "_endpoint", "_ended"),
        *("_heard", "_request", "_task", "_until", "gathering", "read_at"),
    )

    clock = staticmethod(perf_counter)  # nobody asks how long it took

    def __init__(
        self, endpoint: Endpoint, path: str, dial: Dial, heard: Heard, delay: float = 0.0
    ) -> None:
        self._endpoint = endpoint
        self._request = request_of(endpoint, path)
        self._dial = dial
        self._heard = heard
        self._delay = delay
        # Of its own: an answer to a check does not wait for those of clients.
        self.gathering = Gathering(Backlog())
        self._due: float | None = None  # when the next one begins; not known before the first sweep
        self._until = self.read_at = 0.0
        self._ended = False
        self._task: asyncio.Task[None] | None = None
        self._connection: UpstreamConnection | None = None
        self._answer: asyncio.Future[int | None] | None = None

    def __repr__(self) -> str:
        state = "ended" if self._ended else "idle" if self._task is None else "under way"
        return f"<Check of {self._endpoint.url}, {state}>"

    @property
    def under_way(self) -> bool:
        """Whether an answer is awaited."""
        return self._task is not None

    def sweep(self, now: float) -> None:
        """Begin one if it is time, give up the one that takes too long."""
        if self._ended:
            return
        if self._due is None:
            self._due = now + self._delay
        if self._task is None:
            if now >= self._due:
                # Not from now on: all that had to wait for one slow sweep would go on together.
                self._due += EVERY * ((now - self._due) // EVERY + 1)
                self._until = now + DEADLINE
                self._task = asyncio.ensure_future(self._ask())
        elif now >= self._until:
            self._until = now + DEADLINE
            self._heard(None)
            if self._connection is not None:
                self._task.cancel()

    def end(self) -> None:
        """Not one more, and nothing is heard of the one under way."""
        self._ended = True
        if self._task is not None:
            self._task.cancel()

    async def _ask(self) -> None:
        connection, status = None, None
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                connection = await self._dial(lambda: UpstreamConnection(self), self._endpoint)
            if connection.usable:  # else accepted and closed at once
                self._connection = connection
                self._answer = asyncio.get_running_loop().create_future()
                connection.send(self, b"GET", self._request, whole=True)
                status = await self._answer
        except (OSError, UnicodeError):  # a host can be no name at all: "a..b"
            pass
        finally:
            self._task = self._connection = self._answer = None
            if connection is not None:
                connection.abandon()
                connection.close()
        self._heard(status)

    def _answered(self, status: int | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(status)

    # --- what the connection tells its receiver and its owner

    def on_reply(self, head: ReplyHead, body: bytes) -> None:
        self._answered(head.status)

    def on_stream(self, head: ReplyHead) -> None:
        self._answered(head.status)  # its end is not waited for

    def on_stream_data(self, chunk: bytes) -> None:
        pass

    def on_stream_end(self) -> None:
        pass

    def on_failure(self, reason: Reason, *, began: bool) -> None:
        self._answered(None)

    def on_upload_blocked(self, blocked: bool) -> None:
        pass

    def released(self, connection: UpstreamConnection, reusable: bool) -> None:
        pass

    def lost(self, connection: UpstreamConnection) -> None:
        pass


def request_of(endpoint: Endpoint, path: str) -> bytes:
    """A GET of this path, with the endpoint's own address as Host (RFC 9110, section 7.2)."""
    host = endpoint.url.partition("://")[2] or "localhost"
    lines = (f"GET {path} HTTP/1.1", f"Host: {host}", "User-Agent: canary-gateway-readiness")
    return "\r\n".join((*lines, "Accept: */*", "Connection: close", "\r\n")).encode()
