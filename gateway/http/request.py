"""One request under way: its head, what of the body is here, and how a worker is told."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from gateway.errors import Reason, Refusal
from gateway.http.headers import RequestHead
from gateway.http.target import check_path, origin_form

MAX_TARGET: Final = 8 * 1024  # bytes; nginx and Apache refuse beyond the same size
MAX_FIELDS: Final = 100
MAX_HEAD: Final = 32 * 1024  # bytes of request line and fields
# A body up to here is whole before a worker is asked, so a slow client holds no worker and a failed
# attempt can be repeated; a longer one (where `limits.body` allows it) is passed on as it comes.
UPLOAD_BUFFER: Final = 1024 * 1024

# A name or an address, and a port (RFC 3986, section 3.2); what else a Host holds is there to fool.
_HOST: Final = re.compile(
    rb"((?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*"
    rb"|\[(?=.*:)(?!.*(?::::|::.*::))[0-9A-Fa-f:.]{2,45}\])(:[0-9]{0,5})?"
)


class Request:
    """``origin`` is the address of the client with what else its connection knows of it, as a
    worker is told; ``chunks`` is the part of the body not yet passed on, ``size`` all of it so far;
    ``whole`` says that it ended; ``streamed`` that it is passed on as it comes (and so cannot be
    sent again); ``expects`` that the client still waits for a word before it sends the body.
    ``cause`` is why another version was asked before; it is there only if one was, and only where
    that is written down (see ``scribe``).
    """

    __slots__ = (
        *("cause", "chunks", "expects", "head", "id", "keep_alive", "limit", "origin", "refusal"),
        *("size", "streamed", "whole"),
    )

    cause: Reason | None

    def __init__(self, head: RequestHead, origin: bytes, id: bytes = b"") -> None:
        self.head = head
        self.origin = origin
        self.id = id
        self.keep_alive = True
        self.expects = False
        self.limit = 0
        self.chunks: list[bytes] = []
        self.size = 0
        self.whole = False
        self.streamed = False
        self.refusal: Refusal | None = None

    def __repr__(self) -> str:
        head = self.head
        return f"<Request {head.method.decode()} {head.path.decode('latin-1')} {self.size} bytes>"

    def render(self) -> bytes:
        """The request as a worker gets it, with all of the body that is here."""
        head = self.head
        framing = b""  # stands in the start
        if head.declared is None and head.framed:
            chunked = b"Transfer-Encoding: chunked\r\n"
            framing = chunked if self.streamed else b"Content-Length: %d\r\n" % self.size
        chunks = self.chunks
        if self.streamed:
            body = self.render_more()
        else:
            body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        # One format: parts and a join cost 0.7 us more.
        return b"%b%b\r\nX-Request-Id: %b\r\n%b\r\n%b" % (
            head.start,
            self.origin,
            self.id,
            framing,
            body,
        )

    def render_more(self) -> bytes:
        """What of a streamed body has come since the last time; it is not kept."""
        data = b"".join(self.chunks)
        self.chunks.clear()
        if self.head.declared is not None:
            return data
        framed = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        return framed + b"0\r\n\r\n" if self.whole else framed


@lru_cache(maxsize=1024)
def _is_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None


def check_head(head: RequestHead) -> None:
    """What the parser lets through and we do not. Raises :class:`Refusal`."""
    fields = head.fields
    if head.version not in ("1.1", "1.0"):
        raise Refusal(505, "bad_request", "only HTTP/1.1 and HTTP/1.0 are spoken here")
    if len(head.target) > MAX_TARGET:
        raise Refusal(414, "target_too_long", f"the request target is over {MAX_TARGET} bytes")
    if head.count > MAX_FIELDS:
        raise Refusal(431, "head_too_large", f"over {MAX_FIELDS} header fields")
    if head.hosts > 1 or (head.hosts == 0 and not head.http10):
        raise Refusal(400, "bad_request", "exactly one Host field is needed (RFC 9112, 3.2)")
    if not _is_host(fields.get(b"host", b"")):
        raise Refusal(400, "bad_request", "the Host field is not a host and a port")
    if head.method == b"CONNECT":
        raise Refusal(405, "bad_request", "this is no proxy: CONNECT is not allowed")
    coding = fields.get(b"transfer-encoding")
    if coding is not None:
        if head.http10:
            raise Refusal(400, "bad_request", "HTTP/1.0 has no transfer codings (RFC 9112, 6.1)")
        if coding.lower() != b"chunked":
            raise Refusal(501, "bad_request", "the only transfer coding understood is chunked")
    expect = fields.get(b"expect")
    if expect is not None and expect.lower() != b"100-continue":
        raise Refusal(417, "bad_request", "the only expectation understood is 100-continue")
    origin_form(head.target)
    path = head.path
    if b"%" in path or b"/." in path:
        check_path(path)
