"""The admin port as a server: uvicorn, with the limits it does not have.

uvicorn waits for ever for a head, a body, and for somebody to read an answer; and beyond its
``limit_concurrency`` it refuses everybody, which idle connections can bring about. Here each
connection has so long to ask and so long to take its answer, and where there are too many, the one
that has been waiting longest makes room for the newest.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any, Final, Literal

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Seconds.
REQUEST_LIMIT: Final = 10.0  # from the connection, or the last answer, to a whole request
ANSWER_LIMIT: Final = 30.0  # from there until the answer was taken; a reload may need some of it
_KEEP_ALIVE: Final = 5  # idle after an answer

_turns = count()  # the loop's clock has milliseconds, in which many may come

LARGEST_REQUEST: Final = 64 * 1024  # bytes, head and body: none here needs more than a few hundred
MOST_CONNECTIONS: Final = 256


class AdminServer(uvicorn.Server):
    """uvicorn without its signal handlers: signals are the gateway's, which drains first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class AdminConnection(HttpToolsProtocol):
    """A connection with a deadline at any time, and a size that no request has."""

    turn: int | None = None  # the smaller, the longer it waits; None while a request is answered
    answer_limit: float | None = None  # of its own; None: that of this module
    _received = 0
    _within_request = False
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > MOST_CONNECTIONS:
            _make_room([one for one in self.connections if isinstance(one, AdminConnection)])

    @property
    def between_requests(self) -> bool:
        """Whether the next byte begins a request, and nothing is being answered."""
        answered = self.cycle is None or self.cycle.response_complete
        return answered and not self._within_request

    def let_go(self) -> None:
        """The transport is somebody else's from now on."""
        self._unset_keepalive_if_required()
        self.connection_lost(ConnectionAbortedError())  # with an error it closes nothing

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > LARGEST_REQUEST:
            self.send_400_response(f"a request here is at most {LARGEST_REQUEST} bytes")
        elif not self.transport.is_closing():
            super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._within_request = True

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._within_request = False
        self._received = 0
        if not self.cycle.response_complete:  # some are refused before their body is here
            self.turn = None
            self._within(ANSWER_LIMIT if self.answer_limit is None else self.answer_limit)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        body = json.dumps({"error": msg, "reason": "bad_request"}).encode()
        head = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
        length = b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        self.transport.write(head + length + body)
        self.transport.close()

    def _wait(self) -> None:
        self.turn = next(_turns)
        self._within(REQUEST_LIMIT)

    def _within(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self.transport.abort)


def _make_room(connections: list[AdminConnection]) -> None:
    """End the one that has been waiting longest. Those being answered are not touched, so the
    newest one goes if all others are.
    """
    waiting = {
        one.turn: one
        for one in connections
        if one.turn is not None and not one.transport.is_closing()
    }
    if waiting:
        waiting[min(waiting)].transport.abort()


KEPT_NOWHERE: Final = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))


def admin_server(
    application: Any,
    wrap: Callable[[AdminConnection], asyncio.Protocol] | None = None,
    *,
    kind: type[AdminConnection] = AdminConnection,
    headers: Sequence[tuple[str, str]] = KEPT_NOWHERE,
    lifespan: Literal["on", "off"] = "off",
) -> AdminServer:
    """A server for sockets that are bound already. ``wrap`` puts another protocol between each
    connection, which is of this ``kind``, and the loop. Every answer has the ``headers``, and the
    application is told of begin and end if its ``lifespan`` is on.
    """

    def wrapped(**options: Any) -> asyncio.Protocol:
        """As uvicorn makes its connections."""
        plain = kind(**options)
        return plain if wrap is None else wrap(plain)

    factory: Any = wrapped  # uvicorn calls it, whatever its type says
    # Its warnings are what strangers send: each would be a line that they write.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    config = uvicorn.Config(
        application,
        http=factory,
        ws="none",
        lifespan=lifespan,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=1,
        headers=list(headers),
    )
    return AdminServer(config)
