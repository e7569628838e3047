"""Message heads, rebuilt from the parsed list and never copied: framing is always our own.

A request that reaches a worker carries only end-to-end fields, one Content-Length or one
Transfer-Encoding, and forwarding fields that tell the truth; an answer that reaches a client says
who gave it. All functions here turn values into values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from gateway.http.target import authority_of, path_of, without_authority
from gateway.protocols import in_container

FieldList = Sequence[tuple[bytes, bytes]]

# RFC 9110, section 7.6.1, with the de-facto ones. They end at each hop.
HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    }
)

# What the gateway writes itself, so the client's own is not passed on: framing, expectations it has
# answered, forwarding claims nobody checked.
_REQUEST_OWN: Final = HOP_BY_HOP | {
    b"host",
    b"content-length",
    b"expect",
    b"x-request-id",
    b"forwarded",
    b"proxy",
    b"x-real-ip",
}
_REQUEST_OWN_FAMILIES: Final = (b"x-forwarded-", b"proxy-")

_REPLY_OWN: Final = HOP_BY_HOP | {
    b"content-length",
    b"x-model-version",
    b"x-model-route",
    b"x-assignment",
    b"x-request-id",
    b"x-amzn-invoked-production-variant",
}

MAX_REQUEST_ID: Final = 128

# Repeated lines of these are one list (RFC 9110, section 5.3); of all others the last line counts.
_JOINED: Final = {
    b"connection": b", ",
    b"cookie": b"; ",
    b"expect": b", ",
    b"traceparent": b", ",  # so that two of them are none, which they are to be
    b"tracestate": b",",
    b"transfer-encoding": b", ",
    b"x-forwarded-for": b", ",
}

# Answers that never have a body, whatever their fields declare (RFC 9112, section 6.3); to HEAD
# none does.
_WITHOUT_BODY: Final = frozenset({204, 304, *range(100, 200)})

_CONTENT_ENCODING: Final = re.compile(rb"\r\ncontent-encoding: ([^\r]*)", re.IGNORECASE)

_REMEMBERED_NAMES: Final = 1024

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class RequestHead:
    """What a request's head says: a function of its bytes, so one value serves all requests that
    begin with them.

    ``fields`` maps lower-case names to values (the last one, lists joined); ``hosts`` counts Host
    fields and ``count`` all of them; ``id`` is the client's own X-Request-Id (or SageMaker's word
    for it) if it can stand in a header and a log line, else empty; ``declared`` is Content-Length
    (None without one), ``size`` the same as a number; ``framed`` says that there is a body at all,
    even an empty one (RFC 9112, section 6.3); ``start`` is how a worker is told, up to the address
    of the client, which the connection knows; ``raw`` are its bytes, if it is remembered.
    """

    __slots__ = (
        *("count", "declared", "fields", "framed", "hosts", "http10", "id", "method"),
        *("path", "raw", "size", "start", "target", "version"),
    )

    def __init__(
        self,
        parsed: FieldList,
        method: bytes = b"GET",
        target: bytes = b"/",
        version: str = "1.1",
    ) -> None:
        fields: dict[bytes, bytes] = {}
        parts: list[bytes] = []
        hosts = 0
        for name, value in parsed:
            lower, passed = _REQUEST_NAMES[name]
            if passed:
                parts += name, b": ", value, b"\r\n"
            elif lower == b"host":
                hosts += 1
            fields[lower] = _joined(fields, lower, value) if lower in fields else value
        if b"connection" in fields:
            parts = _without_nominated(parts, fields[b"connection"])
        declared = fields.get(b"content-length")
        given_id = fields.get(b"x-request-id") or fields.get(b"x-amzn-sagemaker-inference-id")
        self.method = method
        self.target = passed_target = target
        self.version = version
        self.http10 = version == "1.0"
        self.fields = fields
        self.hosts = hosts
        self.count = len(parsed)
        self.id = _acceptable_id(given_id) if given_id else b""
        self.declared = int(declared) if declared is not None else None
        self.size = self.declared or 0
        self.framed = declared is not None or b"transfer-encoding" in fields
        self.raw = b""
        if target[:1] == b"/":
            self.path = target.partition(b"?")[0]
        else:
            self.path = path_of(target)
            passed_target = without_authority(target) or b""
            authority = authority_of(target)
            if authority is not None:
                fields[b"host"] = authority
        host = fields.get(b"host", b"")
        chain = fields.get(b"x-forwarded-for")
        # One format; what the connection knows, and changes, is added by the request.
        self.start = (
            b"%b %b HTTP/1.1\r\nHost: %b\r\n%b%bX-Forwarded-Host: %b\r\nX-Forwarded-For: %b"
        ) % (
            method,
            passed_target,
            host,
            b"".join(parts),
            b"" if declared is None else b"Content-Length: %d\r\n" % self.size,
            host,
            b"%b, " % chain if chain else b"",
        )


class ReplyHead:
    """What an answer's head says, also a function of its bytes.

    ``length`` is the declared Content-Length (None without one); ``framed`` says whether the end of
    the body can be told without the end of the connection; ``coded`` that it is in a transfer
    coding we do not undo; ``endless`` marks an event stream; ``bare`` that there never is a body,
    whatever the fields declare; ``start`` is the status line and what is passed on to the client;
    ``raw`` are its bytes, if it is remembered.
    """

    __slots__ = ("bare", "coded", "endless", "framed", "length", "raw", "start", "status")

    def __init__(self, status: int, parsed: FieldList) -> None:
        fields: dict[bytes, bytes] = {}
        parts = [status_line(status)]
        for name, value in parsed:
            lower, passed = _REPLY_NAMES[name]
            if passed:
                parts += name, b": ", value, b"\r\n"
            fields[lower] = _joined(fields, lower, value) if lower in fields else value
        if b"connection" in fields:
            parts[1:] = _without_nominated(parts[1:], fields[b"connection"])
        declared = fields.get(b"content-length")
        coding = fields.get(b"transfer-encoding")
        content_type = fields.get(b"content-type")
        self.status = status
        self.bare = status in _WITHOUT_BODY
        self.start = b"".join(parts)
        self.length = int(declared) if declared is not None else None
        self.framed = declared is not None or coding is not None
        self.coded = coding is not None and coding.lower() != b"chunked"
        self.endless = content_type is not None and _is_event_stream(content_type)
        self.raw = b""

    @property
    def encoding(self) -> bytes:
        """The content coding, lower-case; empty if there is none. Looked up where it matters."""
        found = _CONTENT_ENCODING.search(self.start)
        return found[1].strip().lower() if found else b""


def status_line(status: int) -> bytes:
    """``HTTP/1.1 200 OK`` with its line end."""
    line = _STATUS_LINES.get(status)
    return line if line is not None else b"HTTP/1.1 %d Unknown\r\n" % status


def set_cookie(name: bytes, value: bytes) -> bytes:
    """The line that gives a client its sticky key, for a year, out of reach of scripts."""
    return b"Set-Cookie: %b=%b; Max-Age=31536000; Path=/; HttpOnly; SameSite=Lax\r\n" % (
        name,
        value,
    )


def cookie(header: bytes, name: bytes) -> bytes | None:
    """The value of one cookie of a Cookie header (RFC 6265, section 4.2)."""
    for pair in header.split(b";"):
        key, separator, value = pair.strip().partition(b"=")
        if separator and key == name:
            return value.strip(b'"')
    return None


def host_of(fields: Mapping[bytes, bytes]) -> bytes:
    """The host the client asked for, lower-case, without the port."""
    host = fields.get(b"host", b"").lower()
    if host.startswith(b"["):
        return host.partition(b"]")[0] + b"]"
    return host.partition(b":")[0]


def to_container(request: bytes) -> bytes:
    """A request as a SageMaker container has it (see ``protocols``)."""
    method, target, rest = request.split(b" ", 2)
    known = in_container(target)
    return request if known == target else b"%b %b %b" % (method, known, rest)


def _joined(fields: dict[bytes, bytes], name: bytes, value: bytes) -> bytes:
    """What counts of a field that stands there once more."""
    separator = _JOINED.get(name)
    return value if separator is None else fields[name] + separator + value


def _without_nominated(parts: list[bytes], connection: bytes) -> list[bytes]:
    """Without the fields that Connection declares to be hop-by-hop as well. Each field is four
    parts: name, colon, value, line end.
    """
    if connection.lower() in (b"keep-alive", b"close"):
        return parts
    named = {token.strip().lower() for token in connection.split(b",")}
    return [part for i, part in enumerate(parts) if parts[i - i % 4].lower() not in named]


def _acceptable_id(given: bytes) -> bytes:
    """The client's own request id, or nothing."""
    acceptable = len(given) <= MAX_REQUEST_ID and given.isascii() and given.decode().isprintable()
    return given if acceptable else b""


@lru_cache(maxsize=256)
def _is_event_stream(content_type: bytes) -> bool:
    return content_type.partition(b";")[0].rstrip().lower() == b"text/event-stream"


class _Names(dict[bytes, tuple[bytes, bool]]):
    """Names of fields as they are written, to lower case, and whether the field is passed on. The
    same few come with every head; what is remembered is bounded, as they come from strangers.

    Workers behind CGI or WSGI cannot tell ``Content_Length`` from ``Content-Length``, so what is
    ours is ours with underscores as well.
    """

    def __init__(self, own: frozenset[bytes], families: tuple[bytes, ...] = ()) -> None:
        super().__init__()
        self._own = own
        self._families = families

    def __missing__(self, name: bytes) -> tuple[bytes, bool]:
        lower = name.lower()
        read = lower.replace(b"_", b"-")
        found = lower, read not in self._own and not read.startswith(self._families)
        if len(self) >= _REMEMBERED_NAMES:
            self.clear()
        self[name] = found
        return found


_REQUEST_NAMES: Final = _Names(_REQUEST_OWN, _REQUEST_OWN_FAMILIES)
_REPLY_NAMES: Final = _Names(_REPLY_OWN)
