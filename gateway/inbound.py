"""One client connection: bytes to requests, answers to bytes, in the order they were asked.

It knows bytes and limits, not routes: each whole request becomes an :class:`Exchange`, one at a
time. Requests sent ahead (pipelining) wait their turn; beyond ``MAX_AHEAD`` nothing more is read.
A message that cannot be understood is answered once, after everything before it, and ends the
connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, cast

import httptools

from gateway.errors import Refusal
from gateway.exchange import Exchange
from gateway.headers import RequestHead
from gateway.replies import error_reply
from gateway.request import (
    MAX_HEAD,
    UPLOAD_BUFFER,
    Request,
    check_head,
    origin_form,
    request_id,
)

if TYPE_CHECKING:
    from gateway.live import Live

MAX_AHEAD: Final = 16  # whole requests that may wait behind the one being answered

# Seconds a client may take; enforced by the listener's sweep. 10 and 20 are what HAProxy and Envoy
# are commonly set to, 75 is nginx's keepalive_timeout.
HEAD_TIMEOUT: Final = 10.0
BODY_TIMEOUT: Final = 20.0
IDLE_TIMEOUT: Final = 75.0


class InboundConnection(asyncio.Protocol):
    """``connections`` is the listener's set; this connection is in it for as long as it is open."""

    __slots__ = (
        "_blocked",
        "_connections",
        "_ending",
        "_exchange",
        "_head_bytes",
        "_headers",
        "_held",
        "_live",
        "_parser",
        "_peer",
        "_queue",
        "_request",
        "_serial",
        "_target",
        "_transport",
        "_waiting",
    )

    def __init__(self, live: Live, connections: set[InboundConnection]) -> None:
        self._live = live
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._peer = b""
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._request: Request | None = None  # the one whose body is being read
        self._exchange: Exchange | None = None  # the one being answered
        self._queue: deque[Request] = deque()
        self._ending = False  # nothing more is read; the connection ends with the last answer
        self._blocked = False  # the client does not take our bytes
        self._held = False  # a worker does not take the client's
        self._serial = 0  # counts messages begun and ended, so that a sweep sees progress
        self._waiting = (0, 0.0)  # the serial the last sweep saw, and since when

    def __repr__(self) -> str:
        state = "answering" if self._exchange else "reading" if self._target else "idle"
        return f"<InboundConnection {self._peer.decode()} {state}, {len(self._queue)} ahead>"

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]).encode() if isinstance(peer, tuple) else b"unknown"

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._ending = True
        self._queue.clear()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon()

    def data_received(self, data: bytes) -> None:
        if self._ending:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._ending = True  # what follows is not HTTP; the request itself is served as it is
        except httptools.HttpParserCallbackError:
            self.abort()
            raise  # a mistake of ours, not the client's: let the loop log it
        except httptools.HttpParserError as error:
            self._misunderstood(error)
        if self._request is None and self._target:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD:
                self._refuse_head(Refusal(431, "head_too_large", f"head over {MAX_HEAD} bytes"))

    def pause_writing(self) -> None:
        self._blocked = True
        if self._exchange is not None:
            self._exchange.on_client_blocked(True)

    def resume_writing(self) -> None:
        self._blocked = False
        if self._exchange is not None:
            self._exchange.on_client_blocked(False)
        else:
            self._next()

    # --- httptools callbacks: one request

    def on_message_begin(self) -> None:
        self._serial += 1
        self._target = b""
        self._headers = []
        self._head_bytes = 0

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._ending:
            return
        headers, live = self._headers, self._live
        head = RequestHead(headers)
        request = Request(self._parser.get_method(), self._target, head, self._peer)
        request.id = request_id(head.fields.get(b"x-request-id"), live.new_id)
        version = self._parser.get_http_version()
        request.http10 = version == "1.0"
        self._request = request
        try:
            check_head(request.method, self._target, version, head, len(headers))
            request.target = origin_form(self._target)
            request.limit = live.body_limit(request.path, head.fields)
            if (request.declared or 0) > request.limit:
                raise _too_large(request.limit)
        except Refusal as refusal:
            self._refuse_rest(request, refusal)
            return
        if b"expect" in head.fields and self._exchange is None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, chunk: bytes) -> None:
        request = self._request
        if request is None or self._ending:
            return
        request.chunks.append(chunk)
        request.size += len(chunk)
        if request.size > request.limit:
            self._refuse_rest(request, _too_large(request.limit))
        elif request.streamed:
            self._pass_on(request)
        elif request.size > UPLOAD_BUFFER:
            if self._exchange is None and not self._queue:
                request.streamed = True
                self._begin(request)
            else:
                self._hold(True)  # its turn has not come: read on when it has

    def on_message_complete(self) -> None:
        request, self._request = self._request, None
        self._serial += 1
        self._target = b""
        if request is None or request.refusal is not None or self._ending:
            return
        request.whole = True
        request.keep_alive = self._parser.should_keep_alive()
        if request.streamed:
            self._pass_on(request)
        elif self._exchange is None and not self._queue and not self._blocked:
            self._begin(request)
        else:
            self._queue.append(request)
            if len(self._queue) >= MAX_AHEAD:
                self._hold(True)

    # --- exchanges, one at a time

    def _begin(self, request: Request) -> None:
        """Resolve, forward, reply, observe: see :class:`Exchange`."""
        self._exchange = Exchange(self, request, self._live)
        self._exchange.start()

    def _next(self) -> None:
        while self._queue and self._exchange is None and not self._blocked:
            request = self._queue.popleft()
            if request.refusal is not None:
                self.refuse(request, request.refusal)
            else:
                self._begin(request)
        if self._held and self._exchange is None and len(self._queue) < MAX_AHEAD:
            self._hold(False)

    def write(self, data: bytes) -> None:
        """Bytes of the present answer."""
        self._transport.write(data)

    def done(self, *, keep_alive: bool) -> None:
        """The present answer is written."""
        self._exchange = None
        if not keep_alive:
            self._end()
        elif self._queue or self._held:
            self._next()
        elif self._ending:
            self._end()

    def abort(self) -> None:
        """Cut the connection, so that half an answer cannot be taken for a whole one."""
        self._ending = True
        self._transport.abort()

    def refuse(self, request: Request, refusal: Refusal) -> None:
        """Answer a request that no version is asked about."""
        self._live.refused(refusal.reason)
        keep_alive = request.whole and request.keep_alive and not self._live.draining
        self._transport.write(
            error_reply(
                refusal.status,
                refusal.reason,
                refusal.sentence,
                request.id,
                keep_alive=keep_alive,
                head_only=request.method == b"HEAD",
            )
        )
        self.done(keep_alive=keep_alive)

    # --- what cannot be served

    def _refuse_rest(self, request: Request, refusal: Refusal) -> None:
        """Refuse this request, and read nothing that follows it."""
        self._ending = True
        request.refusal = refusal
        request.chunks.clear()
        request.whole = False
        if request.streamed and self._exchange is not None:
            self._exchange.abandon()
            self._exchange = None
        if self._exchange is None and not self._queue:
            self.refuse(request, refusal)
        else:
            self._queue.append(request)

    def _refuse_head(self, refusal: Refusal) -> None:
        """Refuse a message whose head is not understood."""
        request = Request(b"GET", self._target, RequestHead([]), self._peer)
        request.id = self._live.new_id().encode()
        self._refuse_rest(request, refusal)

    def _misunderstood(self, error: Exception) -> None:
        if self._ending:
            return
        refusal = Refusal(400, "bad_request", f"this is not HTTP/1.1 as RFC 9112 has it: {error}")
        if self._request is None:
            self._refuse_head(refusal)
        else:
            self._refuse_rest(self._request, refusal)

    def _end(self) -> None:
        self._ending = True
        self._queue.clear()
        self._transport.close()

    # --- flow and time

    def _pass_on(self, request: Request) -> None:
        if self._exchange is not None:
            self._exchange.upload()

    def hold_upload(self, held: bool) -> None:
        """A worker does not take the body as fast as it comes."""
        self._hold(held)

    def _hold(self, held: bool) -> None:
        if held != self._held and not self._transport.is_closing():
            self._held = held
            if held:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def sweep(self, now: float) -> None:
        """What the clock ends: an exchange past its deadline, a slow head or body, an idle wait."""
        if self._exchange is not None:
            self._exchange.sweep(now)
            self._waiting = (self._serial, now)
            return
        serial, since = self._waiting
        if serial != self._serial:
            self._waiting = (self._serial, now)
        elif self._request is not None:
            if now - since > BODY_TIMEOUT:
                self._refuse_rest(
                    self._request, Refusal(408, "timeout", "the body came too slowly")
                )
        elif self._serial % 2:
            if now - since > HEAD_TIMEOUT:
                self._refuse_head(Refusal(408, "timeout", "the head came too slowly"))
        elif now - since > IDLE_TIMEOUT:
            self._end()

    def drain(self) -> None:
        """No new requests: end at once when idle, else with the present answer."""
        if self._exchange is None and self._request is None and not self._target:
            self._end()


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "body_too_large", f"the body is over the limit of {limit} bytes")
