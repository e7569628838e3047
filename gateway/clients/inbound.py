"""One client connection: requests to exchanges, one at a time, and answers in their order.

It knows order and time, not routes. Requests sent ahead (pipelining) wait their turn; beyond
``MAX_AHEAD`` of them, or a mebibyte, nothing more is read. What cannot be understood is answered
once, after everything before it, and ends the connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from gateway.clients.exchange import Exchange
from gateway.clients.reader import RequestReader
from gateway.errors import Refusal
from gateway.http.replies import connection_line, error_reply
from gateway.http.request import UPLOAD_BUFFER, Request
from gateway.machine.connections import resets_at_end, waiting_in

if TYPE_CHECKING:
    from gateway.clients.live import Live

MAX_AHEAD: Final = 16  # whole requests that may wait behind the one being answered

# Seconds a client may take, enforced by the listener's sweep. 10 and 20 are what HAProxy and Envoy
# are commonly set to, 75 is nginx's keepalive_timeout.
HEAD_TIMEOUT: Final = 10.0
BODY_TIMEOUT: Final = 20.0
IDLE_TIMEOUT: Final = 75.0
LINGER_TIMEOUT: Final = 30.0  # for a client that was told to stop sending; nginx's lingering_time


class InboundConnection(asyncio.Protocol):
    """``connections`` is the listener's set; this connection is in it for as long as it is open."""

    __slots__ = (
        *("_advancing", "_connections", "_exchange", "_held", "_lingers", "_live", "_queue"),
        *("_reader", "_seen", "_transport", "blocked", "read_at", "write"),
    )

    _reader: RequestReader
    _transport: asyncio.Transport
    write: Callable[[bytes], None]

    def __init__(self, live: Live, connections: set[InboundConnection]) -> None:
        self._live = live
        self._connections = connections
        self._exchange: Exchange | None = None  # the one being answered
        self._queue: deque[Request] = deque()
        self._advancing = False  # in the loop of `_next`
        self.blocked = self._held = False  # the client does not take our bytes; we do not read its
        self._lingers = False  # answered for good, and read only to throw it away
        self._seen = (0, 0.0)  # the reader's progress, and since when it has been that

    def __repr__(self) -> str:
        state = "answering" if self._exchange else "reading" if self._reader.request else "idle"
        return f"<InboundConnection {state}, {len(self._queue)} ahead>"

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.write = self._transport.write  # bytes of the present answer
        self._connections.add(self)
        self._seen = (0, self._live.clock())
        peer = transport.get_extra_info("peername")
        address = str(peer[0]).encode() if isinstance(peer, tuple) else b"unknown"
        secured = transport.get_extra_info("ssl_object") is not None
        origin = b"%b\r\nX-Forwarded-Proto: %b" % (address, b"https" if secured else b"http")
        self._reader = RequestReader(self, self._live, origin)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._live.backlog.discard(self)
        self._live.uploads.discard(self)
        self._reader.end()
        self._queue.clear()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon()

    def data_received(self, data: bytes) -> None:
        self.read_at = self._live.clock()
        self._reader.feed(data)

    def pause_writing(self) -> None:
        self.blocked = True
        self._live.backlog.add(self, self._live.clock())
        if self._exchange is not None:
            self._exchange.on_client_blocked(True)

    def resume_writing(self) -> None:
        self.blocked = False
        self._live.backlog.discard(self)
        if self._exchange is not None:
            self._exchange.on_client_blocked(False)
        else:
            self._next()

    # --- requests, from the reader

    def on_expect(self, request: Request) -> None:
        """The client waits for a word before it sends the body (RFC 9110, 10.1.1)."""
        if self._exchange is None and not self._queue:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        else:
            request.expects = True  # until its turn comes

    def on_body(self, request: Request) -> None:
        """The body has grown; a long one is passed on as it comes."""
        if request.streamed:
            if self._exchange is not None:
                self._exchange.upload()
        elif request.size > UPLOAD_BUFFER:
            if self._exchange is None and not self._queue and not self.blocked:
                request.streamed = True
                self._begin(request)
            else:
                self.hold(True)  # its turn has not come: read on when it has

    def on_request(self, request: Request) -> None:
        """The request is whole."""
        if request.streamed:
            if self._exchange is not None:
                self._exchange.upload()
        elif self._exchange is None and not self._queue and not self.blocked:
            self._begin(request)
        else:
            self._queue.append(request)
            ahead = sum(one.size for one in self._queue)
            self._live.uploads.hold(self, ahead, 0)
            if len(self._queue) >= MAX_AHEAD or ahead > UPLOAD_BUFFER:
                self.hold(True)

    def on_refusal(self, request: Request) -> None:
        """A request that is not served; the reader reads no further."""
        if request.streamed and self._exchange is not None:
            exchange, self._exchange = self._exchange, None
            if exchange.abandon():
                self.abort()
                return
        if self._exchange is None and not self._queue:
            self._answer_refused(request)
        else:
            self._queue.append(request)

    def turn_away(self, refusal: Refusal) -> None:
        """There is no room for the requests that wait; each is told so when its turn comes."""
        for request in self._queue:
            request.refusal = request.refusal or refusal
            request.chunks.clear()
            request.size = 0

    # --- exchanges, one at a time

    def _begin(self, request: Request) -> None:
        """Resolve, forward, reply, observe: see :class:`Exchange`."""
        self._exchange = Exchange(self, request, self._live)
        self._exchange.start()

    def _next(self) -> None:
        if self._advancing:
            return  # an answer given at once: the loop below goes on
        self._advancing = True
        while self._queue and self._exchange is None and not self.blocked:
            request = self._queue.popleft()
            if request.refusal is not None:
                self._answer_refused(request)
            else:
                self.read_at = self._live.clock()  # until now it waited for the answers before it
                self._begin(request)
        self._advancing = False
        if self._queue:
            return
        self._live.uploads.discard(self)
        if self._exchange is not None or self._reader.ended:
            return
        self.hold(False)
        coming = self._reader.request
        if coming is not None and coming.expects:
            coming.expects = False
            self.on_expect(coming)

    def done(self, *, keep_alive: bool) -> None:
        """The present answer is written."""
        self._exchange = None
        if not keep_alive:
            self._end()
        elif self._queue or self._held or self._reader.request is not None:
            self._next()
        elif self._reader.ended:
            self._end()

    def abort(self) -> None:
        """Cut the connection, so that half an answer cannot be taken for a whole one."""
        self._reader.ended = True
        if self in self._connections and self.unsent():  # of an answer that may seem whole without
            self.unfinished(True)
        self._transport.abort()

    def cut(self) -> None:
        """The exchange has failed in the middle of its answer."""
        self._exchange = None
        self.abort()

    def refuse(self, request: Request, refusal: Refusal) -> None:
        """The exchange found that no version can be asked."""
        request.refusal = refusal
        self._answer_refused(request)

    def hold(self, held: bool) -> None:
        """Read nothing more for now; or read on."""
        if held != self._held and not self._transport.is_closing():
            self._held = held
            (self._transport.pause_reading if held else self._transport.resume_reading)()

    def unfinished(self, now: bool) -> None:
        """The end of the connection would be taken for that of the answer; or may be by now."""
        resets_at_end(self._transport, now)

    # --- small parts

    def _answer_refused(self, request: Request) -> None:
        if (refusal := request.refusal) is None:
            return
        self._live.refused(refusal.reason, request)
        keep_alive = request.whole and request.keep_alive and not self._live.draining
        reply = error_reply(
            refusal.status,
            refusal.reason,
            refusal.sentence,
            request.id,
            connection=connection_line(keep_alive, request.head.http10),
            head_only=request.head.method == b"HEAD",
        )
        self._transport.write(reply)
        self.done(keep_alive=keep_alive)

    def _end(self) -> None:
        """No more requests. A client in the middle of sending one is still listened to for a while:
        closing on it would reset the connection, and what it was told be lost with it.
        """
        self._queue.clear()
        self._reader.ended = True
        if self._reader.in_message and not self._lingers:
            self._lingers = True
            self.hold(False)
            self._transport.write_eof()
        else:
            self._transport.close()

    # --- time

    def sweep(self, now: float) -> None:
        """What the clock ends: an exchange past its deadline, a slow head or body, an idle wait."""
        reader = self._reader
        if self._exchange is not None:
            self._exchange.sweep(now)
            self._seen = (reader.progress, now)
            return
        progress, since = self._seen
        waited = now - since
        if progress != reader.progress:
            self._seen = (reader.progress, now)
        elif reader.ended and waited > LINGER_TIMEOUT and self._lingers:
            self.abort()
        elif reader.request is not None and waited > BODY_TIMEOUT:
            self._time_out("the body came too slowly")
        elif reader.in_head and waited > HEAD_TIMEOUT:
            self._time_out("the head came too slowly")
        elif waited > IDLE_TIMEOUT:
            if self.unsent() == 0:
                self._end()
            elif not self.blocked:  # else it is the backlog's concern
                self.abort()

    def _time_out(self, sentence: str) -> None:
        """The client sends nothing, so there is nothing to linger for."""
        self._reader.refuse(Refusal(408, "timeout", sentence))
        self._transport.close()

    def unsent(self) -> int:
        """Bytes of answers that the client has not taken."""
        return self._transport.get_write_buffer_size()

    def behind(self) -> int:
        """The same, with those that wait in the kernel."""
        return self.unsent() + waiting_in(self._transport)

    def give_up(self) -> None:
        """The client is too slow: cut it, though not from within a write."""
        asyncio.get_running_loop().call_soon(self.abort)

    def drain(self) -> None:
        """No new requests: end at once when idle, else with the present answer."""
        if self._exchange is None and (self._reader.ended or not self._reader.in_message):
            self._end()
