"""One connection to one worker: writes requests, reads answers, says whether it may be used again.

It knows bytes, not routes. What comes of a request is told to its *receiver* by callbacks. Rules:

1. An ordinary answer is told whole. An event stream, or a body beyond ``REPLY_BUFFER``, is told
   piece by piece, and the receiver may pause the reading.
2. A connection is reusable only if the request went out whole (the next one would be read as the
   rest of it), and the answer ended exactly where its framing said and nothing came after it
   (surplus bytes would be read as the answer to the next request).
3. Interim answers (1xx) are skipped; 101 was never asked for and is no answer.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

import httptools

from gateway.errors import Reason
from gateway.http.chunks import ChunkedBody
from gateway.http.headers import ReplyHead
from gateway.http.heads import Heads, end_of_head, head_of
from gateway.workers.gathering import LARGE, PIECE
from gateway.workers.receiver import Owner, Receiver

REPLY_BUFFER: Final = 8 * 1024 * 1024  # bytes of a body told whole
MAX_HEAD: Final = 64 * 1024  # bytes in a row that are no body: a head, trailers, chunk extensions

known: Final[Heads[ReplyHead]] = Heads()  # shared by all connections


class UpstreamConnection(asyncio.Protocol):
    """The owner's ``released`` is called exactly once per request, before its end is told."""

    __slots__ = (
        *("_at", "_bare_bytes", "_began", "_chunked", "_chunks", "_complete", "_head", "_headers"),
        *("_last", "_method", "_moved", "_owner", "_parser", "_receiver", "_reusable", "_sent"),
        *("_size", "_streaming", "_surplus", "_text", "_transport", "closed", "served"),
    )

    _text: bytes  # all of the answer, until its head is whole
    _at: int  # where in it an interim answer ends, and the next head begins
    _head: ReplyHead | None
    _chunked: ChunkedBody | None
    _chunks: list[bytes]
    _size: int  # bytes of the body so far
    _moved: int  # the same, when it last grew
    _bare_bytes: int  # that have come since then
    _began: bool
    _complete: bool
    _reusable: bool
    _surplus: bool
    _streaming: bool

    def __init__(self, owner: Owner[UpstreamConnection]) -> None:
        self._owner = owner
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.closed = False
        self.served = 0  # answers so far: a used connection may be reset just for being idle
        self._receiver: Receiver | None = None
        self._last: ReplyHead | None = None  # that of the last answer, if it was remembered
        self._headers: list[tuple[bytes, bytes]] = []
        self._reset()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "busy" if self._receiver else "idle"
        return f"<UpstreamConnection {state}, {self.served} served>"

    # --- towards the pool and the exchange

    @property
    def usable(self) -> bool:
        """Whether a request may be sent: an idle connection may be about to be lost."""
        return not (self.closed or self._transport.is_closing())

    @property
    def caught_up(self) -> bool:
        """Whether the worker's side has taken all that was sent."""
        return self._transport.get_write_buffer_size() == 0

    def send(self, receiver: Receiver, method: bytes, data: bytes, *, whole: bool) -> None:
        """Write a request's first bytes (usually all: ``whole``); tell ``receiver`` the rest."""
        self._receiver = receiver
        self._sent = whole
        self._method = method
        self._transport.write(data)

    def upload(self, data: bytes, *, whole: bool) -> None:
        """Write more of a streamed request body; ``whole``: this was the last of it."""
        self._sent = whole
        self._transport.write(data)

    def pause(self, paused: bool) -> None:
        """Back-pressure: stop or go on reading the answer."""
        if self.usable:
            (self._transport.pause_reading if paused else self._transport.resume_reading)()

    def abandon(self) -> None:
        """Nobody wants the answer any more: end the request at the worker by closing."""
        if self._receiver is not None:
            self._receiver = None
            self.close()
            self._owner.gathering.discard(self._owner, self)
            self._owner.released(self, False)

    def close(self) -> None:
        self.closed = True
        self._transport.abort()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._receiver is None:
            self._owner.lost(self)
        elif exc is None and self._head is not None and not self._head.framed:
            self._receiver.read_at = self._receiver.clock()
            self._finish(False)  # RFC 9112, section 6.3: a body without framing ends here
        else:
            self._fail(Reason.RESET)

    def data_received(self, data: bytes) -> None:
        receiver = self._receiver
        if receiver is None:
            self.close()  # rule 2: nobody asked
            return
        receiver.read_at = receiver.clock()
        raw = b""
        if not self._began:
            # A whole answer whose head was read before is taken without reading it again.
            head = self._last
            if head is None or not data.startswith(head.raw):
                raw = head_of(data)
                self._last = head = known.get(raw)
            start = 0 if head is None else len(head.raw)
            if head is not None and head.length == len(data) - start and self._method != b"HEAD":
                self._receiver = None
                self.served += 1
                self._owner.released(self, self._sent and not self.closed)
                receiver.on_reply(head, data[start:])
                return
            self._began = True
        if self._head is None:
            self._text += data
        elif self._chunked is not None:
            self._chunked.pass_over(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError:
            self._fail(Reason.BAD_RESPONSE)
            raise  # a mistake of ours, not the worker's: let the loop log it
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._surplus = True
            if not self._complete:
                self._fail(Reason.BAD_RESPONSE)
        if self._complete:
            if raw and len(raw) + self._size == len(data):
                self._remember(raw)
            self._finish(self._reusable and self._sent and not self._surplus)
        elif self._size > self._moved:
            self._moved = self._size
            self._bare_bytes = 0
        else:
            self._bare_bytes += len(data)
            if self._bare_bytes > MAX_HEAD:
                self._fail(Reason.BAD_RESPONSE)

    def _remember(self, raw: bytes) -> None:
        """Take note of an ordinary answer, all in one piece, that leaves the connection open."""
        head, odd = self._head, self._surplus or self._streaming or self._method == b"HEAD"
        if self._reusable and not odd and head is not None and head.length == self._size:
            known.remember(raw, head)

    def pause_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.on_upload_blocked(True)

    def resume_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.on_upload_blocked(False)

    # --- httptools callbacks: after a whole answer it goes on with whatever is left (rule 2)

    def on_message_begin(self) -> None:
        if self._complete:
            self._surplus = True
        else:
            self._headers.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value.rstrip()))

    def on_headers_complete(self) -> None:
        if self._complete:
            return
        text = self._text
        self._at = end = end_of_head(text, self._at)
        if not 0 < end <= MAX_HEAD:
            self._fail(Reason.BAD_RESPONSE)
            return
        status = self._parser.get_status_code()
        if status < 200:
            if ReplyHead(status, self._headers).framed:
                # An interim answer has no body (RFC 9110, section 15.2): the parser would read one,
                # and it would stand before that of the answer.
                self._fail(Reason.BAD_RESPONSE)
            return
        self._head = head = ReplyHead(status, self._headers)
        if head.coded:
            self._fail(Reason.BAD_RESPONSE)
        elif self._method == b"HEAD" and not head.bare:
            # The parser would wait for the body the head declares; this connection ends here.
            self._complete = True
        elif head.bare:
            return  # whatever its fields say: the parser ends it here
        elif head.endless or (head.length is not None and head.length > REPLY_BUFFER):
            self._stream(head)
        if head.framed and head.length is None and not self._complete:
            self._chunked = ChunkedBody(MAX_HEAD)
            self._chunked.pass_over(text, end)
        self._text = b""

    def on_chunk_header(self) -> None:
        if self._chunked is not None and not (self._complete or self._chunked.take()):
            self._fail(Reason.BAD_RESPONSE)

    def on_body(self, chunk: bytes) -> None:
        if self._complete:
            return
        self._size += len(chunk)
        if self._streaming:
            if self._receiver is not None:
                self._receiver.on_stream_data(chunk)
            return
        self._chunks.append(chunk)
        if self._size > REPLY_BUFFER and self._receiver is not None and self._head is not None:
            self._stream(self._head)
        elif self._size > LARGE and self._receiver is not None:
            held = self._size + PIECE * len(self._chunks)
            self._owner.gathering.grow(self._owner, self, held)

    def on_message_complete(self) -> None:
        if self._head is not None and not self._complete:
            self._complete = True
            self._reusable = self._parser.should_keep_alive()

    # --- ends

    def _stream(self, head: ReplyHead) -> None:
        self._streaming = True
        self._owner.gathering.discard(self._owner, self)
        chunks, self._chunks = self._chunks, []
        if self._receiver is not None:
            self._receiver.on_stream(head)
        for chunk in chunks:
            if self._receiver is not None:
                self._receiver.on_stream_data(chunk)

    def _finish(self, reusable: bool) -> None:
        receiver, head, chunks, streamed = self._receiver, self._head, self._chunks, self._streaming
        if self._size > LARGE:
            self._owner.gathering.discard(self._owner, self)
            chunks = [b"".join(chunks)]  # and no more in memory twice
        self._receiver = None
        self._reset()
        if receiver is None or head is None:
            return  # abandoned while its last bytes were read
        self.served += 1
        if streamed and reusable:
            self.pause(False)  # its receiver may have been slow to the very end
        self._owner.released(self, reusable and not self.closed)
        if streamed:
            receiver.on_stream_end()
        else:
            receiver.on_reply(head, chunks[0] if len(chunks) == 1 else b"".join(chunks))

    def _reset(self) -> None:
        """Nothing is known of the next answer yet."""
        self._text, self._at = b"", 0
        self._head = self._chunked = None
        self._chunks = []
        self._size = self._moved = self._bare_bytes = 0
        self._began = self._complete = self._reusable = self._surplus = self._streaming = False

    def _fail(self, reason: Reason) -> None:
        receiver = self._receiver
        if receiver is None:
            return
        self._receiver = None
        self._chunks = []
        self.close()
        self._owner.gathering.discard(self._owner, self)
        self._owner.released(self, False)
        receiver.on_failure(reason, began=self._began)
