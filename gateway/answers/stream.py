"""An answer that is passed on as it comes: how its body is framed for the client, and what it says
on its way.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.answers.events import EventReader
from gateway.answers.predictions import Reading
from gateway.errors import Reason
from gateway.http.headers import ReplyHead


class StreamedReply:
    """What is on its way to a client, from its head on. Nobody else can answer any more.

    ``chunked``: its body goes out in chunks, as its length is not known; to HTTP/1.0, which has no
    chunks, it ends with the connection (``ends_connection``). ``overhead`` is that of the request
    until the head was passed on, in seconds; ``begins``: nothing of the body was yet. ``events``
    makes what reads a stream of good events, told its content coding.
    """

    __slots__ = ("_events", "begins", "chunked", "ends_connection", "head", "overhead")

    def __init__(
        self,
        head: ReplyHead,
        *,
        http10: bool,
        events: Callable[[bytes], EventReader],
    ) -> None:
        self.head = head
        self.overhead = 0.0
        self.begins = True
        self.chunked = head.length is None and not http10
        self.ends_connection = head.length is None and http10
        good = head.endless and 200 <= head.status < 300
        self._events = events(head.encoding) if good else None

    def piece(self, data: bytes) -> bytes:
        """A piece of the body as it goes out."""
        if self._events is not None:
            self._events.feed(data)
        return b"%x\r\n%b\r\n" % (len(data), data) if self.chunked else data

    @property
    def end(self) -> bytes:
        """What follows the last piece."""
        return b"0\r\n\r\n" if self.chunked else b""

    @property
    def failed(self) -> Reason | None:
        """Why it is no good answer. An error told in an event would have been a 5xx, had the head
        not been sent already.
        """
        broke = self._events is not None and self._events.failed
        return Reason.UPSTREAM_5XX if broke else Reason.of_status(self.head.status)

    @property
    def left(self) -> tuple[int, Reason | None]:
        """Status and failure where the client leaves now: none of both, unless it has all of it or
        has seen the failure. Clients of a chat leave with its last event, which comes before the
        end of the body.
        """
        failed = self.failed
        over = failed is not None or (self._events is not None and self._events.over)
        return (self.head.status, failed) if over else (0, None)

    @property
    def told(self) -> tuple[float, Reading | None]:
        """The overhead, and the prediction as far as it has come; None where nobody looks for
        one.
        """
        return self.overhead, None if self._events is None else self._events.reading
