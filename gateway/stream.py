"""An answer that is passed on as it comes: how its body is framed for the client."""

from __future__ import annotations

from gateway.headers import ReplyHead


class StreamedReply:
    """What is on its way to a client, from its head on. Nobody else can answer any more.

    ``chunked``: its body goes out in chunks, as its length is not known; to HTTP/1.0, which has no
    chunks, it ends with the connection (``ends_connection``). ``overhead`` is that of the request
    until the head was passed on, in seconds; ``begins``: nothing of the body was yet.
    """

    __slots__ = ("begins", "chunked", "ends_connection", "head", "overhead")

    def __init__(self, head: ReplyHead, *, http10: bool) -> None:
        self.head = head
        self.overhead = 0.0
        self.begins = True
        self.chunked = head.length is None and not http10
        self.ends_connection = head.length is None and http10

    def piece(self, data: bytes) -> bytes:
        """A piece of the body as it goes out."""
        return b"%x\r\n%b\r\n" % (len(data), data) if self.chunked else data

    @property
    def end(self) -> bytes:
        """What follows the last piece."""
        return b"0\r\n\r\n" if self.chunked else b""
