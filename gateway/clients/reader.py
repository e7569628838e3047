"""Bytes from a client to requests: the parser, its callbacks, and the limits on what it is fed.

Told to a *sink*, in the order of the bytes: the body as it grows, the whole request, or the one
refusal after which nothing more is read.
"""

from __future__ import annotations

import re
from typing import Final

import httptools

from gateway.clients.gate import Gate, Sink
from gateway.errors import Refusal
from gateway.http.chunks import ChunkedBody
from gateway.http.headers import RequestHead
from gateway.http.heads import Heads, head_of
from gateway.http.request import MAX_HEAD, UPLOAD_BUFFER, Request, check_head

_EMPTY_LINES: Final = re.compile(rb"\A(?:\r\n)+")

known: Final[Heads[RequestHead]] = Heads()  # shared by all connections


class RequestReader:
    """One per connection. ``progress`` grows with each message begun and ended."""

    __slots__ = (
        "_at",
        "_chunked",
        "_gate",
        "_headers",
        "_last",
        "_memorable",
        "_origin",
        "_parser",
        "_return",
        "_sink",
        "_target",
        "_text",
        "_untold",
        "_without_upgrade",
        "ended",
        "progress",
        "request",
    )

    def __init__(self, sink: Sink, gate: Gate, origin: bytes) -> None:
        self._sink = sink
        self._gate = gate
        self._origin = origin
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._untold = 0  # bytes since anything was told: of a head, or of trailers, without an end
        self._text = b""  # the present feed, behind what those before it had of the present head
        self._at = 0  # where in it the last message ends: the next head begins there
        self._return = False  # half an empty line has come, before a head
        self._chunked = ChunkedBody(MAX_HEAD)  # the body being read, if it comes in chunks
        self._without_upgrade = b""  # a head that is read again
        self._memorable: RequestHead | None = None  # of the last message, if it can be remembered
        self._last: RequestHead | None = None  # that of the last request, if it was remembered
        self.request: Request | None = None  # the one whose body is being read
        self.ended = False
        self.progress = 0

    @property
    def in_message(self) -> bool:
        """Whether a message has begun that is not here whole."""
        return self.progress % 2 == 1

    @property
    def in_head(self) -> bool:
        """Whether a message has begun whose head is not here yet."""
        return self.in_message and self.request is None

    def feed(self, data: bytes) -> None:
        """Parse; everything told is told before this returns."""
        if self.ended:
            return
        begun = self.progress
        raw = b""
        if begun % 2 == 0:
            # A whole request whose head was read before is taken without reading it again.
            head = self._last
            if head is None or not data.startswith(head.raw):
                raw = head_of(data)
                self._last = head = known.get(raw)
            start = 0 if head is None else len(head.raw)
            if head is not None and len(data) - start == head.size <= self._gate.body_floor:
                self.progress = begun + 2
                request = Request(head, self._origin, head.id or self._gate.new_id())
                request.chunks.append(data[start:])
                request.size = head.size
                request.whole = True
                self._sink.on_request(request)
                return
        self._untold += len(data)
        self._text = text = self._text + data
        coming = self.request
        if coming is not None:
            declared = coming.head.declared
            rest = self._chunked.pass_over(data) if declared is None else declared - coming.size
            self._at = rest
        self._parse(data)
        if coming is not None or self.request is not None:
            self._weigh()
        if self.request is not None or self._at == len(text):
            self._text, self._at = b"", 0
        else:
            self._keep()
        if self._untold > MAX_HEAD:
            self.refuse(_head_too_large())
        elif self._memorable is not None:
            head, self._memorable = self._memorable, None
            # One message in one piece, and the first empty line is the end of its head.
            if raw and self.progress == begun + 2 and len(raw) + head.size == len(data):
                known.remember(raw, head)

    def _weigh(self) -> None:
        """Count what is here of a body that did not come in one piece."""
        request = self.request
        if request is None or request.streamed:  # by then it is the worker's connection that holds
            self._gate.uploads.discard(self)
        else:
            self._gate.uploads.hold(self, request.size, len(request.chunks))

    def _parse(self, data: bytes) -> None:
        rest: bytes | memoryview = data
        while rest and not self.ended:
            try:
                self._parser.feed_data(rest)
                break
            except httptools.HttpParserUpgrade as upgrade:
                rest = memoryview(rest)[upgrade.args[0] :]
                self._parser = httptools.HttpRequestParser(self)
                self._parse(self._without_upgrade)  # what its other fields say may be refused
            except httptools.HttpParserCallbackError:
                self.ended = True
                raise  # a mistake of ours, not the client's
            except httptools.HttpParserError as error:
                sentence = f"this is not HTTP/1.1 (RFC 9112): {error}"
                self.refuse(Refusal(400, "bad_request", sentence))

    def _keep(self) -> None:
        """The beginning of the next message: of its head, or of an empty line before it."""
        self._text = text = _EMPTY_LINES.sub(b"", self._text[self._at :])
        self._at = 0
        if self._return != (text != b"") and (self._return or not self.in_message):
            self._return = not self._return
            self.progress += 1  # with half an empty line, a message has begun
        if text.startswith((b"\r", b"\n")) and text != b"\r":
            self.refuse(_no_request_line())

    def end(self) -> None:
        """Nothing more comes. What is here of a body goes now: whoever is part of a cycle of
        references, as this reader and its parser are, would keep it until those are looked for.
        """
        self.ended = True
        self._gate.uploads.discard(self)
        if self.request is not None:
            self.request.chunks.clear()

    def turn_away(self, refusal: Refusal) -> None:
        """There is no room for the body that is being read."""
        self.refuse(refusal)

    def refuse(self, refusal: Refusal) -> None:
        """Refuse the message being read, and read nothing that follows it."""
        if self.ended:
            return
        self.ended = True
        self._text = b""
        self._gate.uploads.discard(self)
        request = self.request
        if request is None:
            request = Request(RequestHead([]), self._origin, self._gate.new_id())
        self.request = None
        request.refusal = refusal
        request.chunks.clear()
        self._sink.on_refusal(request)

    # --- httptools callbacks

    def on_message_begin(self) -> None:
        if self._return:
            self._return = False
        else:
            self.progress += 1
        self._headers = []

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.request is None:  # else it is a trailer, and ends here
            self._headers.append((name, value.rstrip()))

    def on_headers_complete(self) -> None:
        if self.ended:
            return
        self._untold = 0
        method = self._parser.get_method()
        if self._parser.should_upgrade() and method != b"CONNECT":
            self._ignore_upgrade(method)
            return
        target, version = self._target, self._parser.get_http_version()
        head = RequestHead(self._headers, method, target, version)
        request = Request(head, self._origin, head.id or self._gate.new_id())
        self.request = request
        try:
            text, at = self._text, self._at
            while text[at] == 0x0D and text[at + 1] == 0x0A:
                at += 2  # an empty line (RFC 9112, section 2.2)
            if text[at] < 0x20:  # half of one
                raise _no_request_line()
            end = text.find(b"\r\n\r\n", at) + 4
            if end - at > MAX_HEAD:
                raise _head_too_large()
            check_head(head)
            # The parser passes over repeated spaces, CR and LF, and knows other protocols.
            if end < at or not text.startswith(b"%b %b HTTP/" % (method, target), at):
                raise _no_request_line()
            request.limit = self._gate.body_limit(head.path, head.fields)
            if head.declared is not None and head.declared > request.limit:
                raise _too_large(request.limit)
            if head.framed and head.declared is None:
                self._chunked = ChunkedBody(MAX_HEAD)
                end = self._chunked.pass_over(text, end)
            self._at = end + head.size
        except Refusal as refusal:
            self.refuse(refusal)
            return
        if b"expect" in head.fields and not head.http10:
            self._sink.on_expect(request)

    def on_chunk_header(self) -> None:
        if not self._chunked.take():
            sentence = 'a chunk is its size, and ;name, ;name=value, ;name="value" behind it'
            self.refuse(Refusal(400, "bad_request", f"{sentence} (RFC 9112, 7.1.1)"))

    def on_body(self, chunk: bytes) -> None:
        self._untold = 0
        request = self.request
        if request is None:
            return
        request.chunks.append(chunk)
        request.size = size = request.size + len(chunk)
        if size > request.limit:
            self.refuse(_too_large(request.limit))
        elif request.streamed or size > UPLOAD_BUFFER:
            self._sink.on_body(request)

    def on_message_complete(self) -> None:
        request, self.request = self.request, None
        self.progress += 1
        self._untold = 0
        self._target = b""
        if request is not None:
            request.whole = True
            request.keep_alive = request.keep_alive and self._parser.should_keep_alive()
            head = request.head
            if request.keep_alive and (head.declared is not None or not head.framed):
                self._memorable = None if b"expect" in head.fields else head
            self._sink.on_request(request)

    def _ignore_upgrade(self, method: bytes) -> None:
        """No protocol is ever changed here (RFC 9110, section 7.8), so the request is an ordinary
        one. The parser believes that it ends with its head: another one reads it again, without the
        field.
        """
        lines = [
            b"%b %b HTTP/%b\r\n" % (method, self._target, self._parser.get_http_version().encode())
        ]
        lines += [b"%b: %b\r\n" % pair for pair in self._headers if pair[0].lower() != b"upgrade"]
        self._without_upgrade = b"".join(lines) + b"\r\n"


def _no_request_line() -> Refusal:
    sentence = "a request line is method, target and HTTP version, with one space between"
    return Refusal(400, "bad_request", f"{sentence}, and only empty lines before it (RFC 9112, 3)")


def _head_too_large() -> Refusal:
    return Refusal(431, "head_too_large", f"the head, or the trailers, are over {MAX_HEAD} bytes")


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "body_too_large", f"the body is over the limit of {limit} bytes")
