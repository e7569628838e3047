"""One parsed request: what was asked, what of the body is here, and how a worker is told.

The head that goes to the worker is written anew: our own framing, our own forwarding fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from gateway.errors import Refusal
from gateway.headers import RequestHead

MAX_TARGET: Final = 8 * 1024  # bytes; nginx and Apache refuse beyond the same size
MAX_FIELDS: Final = 100
MAX_HEAD: Final = 32 * 1024  # bytes of request line and fields
MAX_REQUEST_ID: Final = 128
# A body up to here is whole before a worker is asked, so a slow client holds no worker and a failed
# attempt can be repeated; a longer one (where `limits.body` allows it) is passed on as it comes.
UPLOAD_BUFFER: Final = 1024 * 1024

# A name or an address, and a port (RFC 3986, section 3.2); what else a Host holds is there to fool.
_HOST: Final = re.compile(rb"([A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?")


class Request:
    """``chunks`` is the part of the body not yet passed on, ``size`` all of it so far; ``whole``
    says that it ended; ``streamed`` that it is passed on as it comes (and so cannot be sent again);
    ``expects`` that the client still waits for a word before it sends the body.
    """

    __slots__ = (
        "chunks",
        "expects",
        "head",
        "http10",
        "id",
        "keep_alive",
        "limit",
        "method",
        "path",
        "peer",
        "refusal",
        "size",
        "streamed",
        "target",
        "whole",
    )

    def __init__(
        self,
        method: bytes,
        target: bytes,
        head: RequestHead,
        peer: bytes,
        *,
        http10: bool = False,
    ) -> None:
        self.method = method
        self.target = target
        self.path = path_of(target)
        self.head = head
        self.peer = peer
        self.id = b""
        self.http10 = http10
        self.keep_alive = True
        self.expects = False
        self.limit = 0
        self.chunks: list[bytes] = []
        self.size = 0
        self.whole = False
        self.streamed = False
        self.refusal: Refusal | None = None

    def __repr__(self) -> str:
        return f"<Request {self.method.decode()} {self.path.decode('latin-1')} {self.size} bytes>"

    @property
    def declared(self) -> int | None:
        """Content-Length; the parser has made sure that it is one decimal number."""
        value = self.head.fields.get(b"content-length")
        return int(value) if value is not None else None

    @property
    def has_body(self) -> bool:
        """Whether the message has a body at all, even an empty one (RFC 9112, section 6.3)."""
        fields = self.head.fields
        return b"content-length" in fields or b"transfer-encoding" in fields

    def render(self) -> bytes:
        """The request as a worker gets it, with all of the body that is here."""
        parts = [b"%b %b HTTP/1.1\r\n" % (self.method, self.target)]
        parts += self.head.lines
        parts.append(self.head.forwarded(self.peer, b"http"))
        parts.append(b"X-Request-Id: %b\r\n" % self.id)
        if self.streamed:
            declared = self.declared
            chunked = b"Transfer-Encoding: chunked\r\n\r\n"
            parts.append(chunked if declared is None else b"Content-Length: %d\r\n\r\n" % declared)
            parts.append(self.render_more())
        else:
            parts.append(b"Content-Length: %d\r\n\r\n" % self.size if self.has_body else b"\r\n")
            parts += self.chunks
        return b"".join(parts)

    def render_more(self) -> bytes:
        """What of a streamed body has come since the last time; it is not kept."""
        data = b"".join(self.chunks)
        self.chunks.clear()
        if self.declared is not None:
            return data
        framed = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        return framed + b"0\r\n\r\n" if self.whole else framed


def path_of(target: bytes) -> bytes:
    """The path of a request target, without the query; absolute form included (RFC 9112, 3.2)."""
    if not target.startswith(b"/"):
        target = _without_authority(target) or target
    return target.partition(b"?")[0]


def authority_of(target: bytes) -> bytes | None:
    """The host and port of an absolute-form target, which stand above the Host field (RFC 9112,
    section 3.2.2); None for a path.
    """
    _, separator, rest = target.partition(b"://")
    if target.startswith(b"/") or not separator:
        return None
    return re.split(rb"[/?#]", rest, maxsplit=1)[0]


def origin_form(target: bytes) -> bytes:
    """The target a worker gets: path and query. Raises :class:`Refusal` for anything else."""
    if b"#" in target:
        raise Refusal(400, "bad_request", "a request target has no fragment (RFC 9112, 3.2)")
    if target.startswith(b"/"):
        return target
    bare = _without_authority(target)
    if bare is None:
        sentence = "the request target must be a path that begins with a slash"
        raise Refusal(400, "bad_request", sentence)
    return bare


def _without_authority(target: bytes) -> bytes | None:
    """Path and query of ``http://host/path?query``; None for anything else."""
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        return None
    end = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
    bare = rest[end:]
    return bare if bare.startswith(b"/") else b"/" + bare


def request_id(given: bytes | None, make: Callable[[], str]) -> bytes:
    """The client's own id if it can stand in a header and a log line, else one made for it."""
    if given and len(given) <= MAX_REQUEST_ID and given.isascii() and given.decode().isprintable():
        return given
    return make().encode()


@lru_cache(maxsize=1024)
def _is_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None


def check_head(method: bytes, target: bytes, version: str, head: RequestHead, fields: int) -> None:
    """What the parser lets through and we do not. Raises :class:`Refusal`."""
    if version not in ("1.1", "1.0"):
        raise Refusal(505, "bad_request", "only HTTP/1.1 and HTTP/1.0 are spoken here")
    if len(target) > MAX_TARGET:
        raise Refusal(414, "target_too_long", f"the request target is over {MAX_TARGET} bytes")
    if fields > MAX_FIELDS:
        raise Refusal(431, "head_too_large", f"over {MAX_FIELDS} header fields")
    if head.hosts > 1 or (head.hosts == 0 and version == "1.1"):
        raise Refusal(400, "bad_request", "exactly one Host field is needed (RFC 9112, 3.2)")
    if not _is_host(head.fields.get(b"host", b"")):
        raise Refusal(400, "bad_request", "the Host field is not a host and a port")
    if method == b"CONNECT":
        raise Refusal(405, "bad_request", "this is no proxy: CONNECT is not allowed")
    coding = head.fields.get(b"transfer-encoding")
    if coding is not None and version == "1.0":
        raise Refusal(400, "bad_request", "HTTP/1.0 has no transfer codings (RFC 9112, 6.1)")
    if coding is not None and coding.lower() != b"chunked":
        raise Refusal(501, "bad_request", "the only transfer coding understood is chunked")
    expect = head.fields.get(b"expect")
    if expect is not None and expect.lower() != b"100-continue":
        raise Refusal(417, "bad_request", "the only expectation understood is 100-continue")
