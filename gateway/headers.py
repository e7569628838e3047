"""Message heads, rebuilt from the parsed list and never copied: framing is always our own.

A request that reaches a worker carries only end-to-end fields, one Content-Length or one
Transfer-Encoding, and forwarding fields that tell the truth; an answer that reaches a client says
who gave it. All functions here turn values into values.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from gateway.target import authority_of, path_of, without_authority

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
}

MAX_REQUEST_ID: Final = 128

# Repeated lines of these are one list (RFC 9110, section 5.3); of all others the last line counts.
_JOINED: Final = {
    b"connection": b", ",
    b"cookie": b"; ",
    b"transfer-encoding": b", ",
    b"x-forwarded-for": b", ",
}

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class RequestHead:
    """What a request's head says: a function of its bytes, so one value serves all requests that
    begin with them.

    ``fields`` maps lower-case names to values (the last one, lists joined); ``lines`` are the
    end-to-end lines to pass on; ``hosts`` counts Host fields and ``count`` all of them; ``id`` is
    the client's own X-Request-Id if it can stand in a header and a log line, else empty;
    ``declared`` is Content-Length (None without one), ``size`` the same as a number; ``framed``
    says that there is a body at all, even an empty one (RFC 9112, section 6.3); ``start`` is how a
    worker is told, up to the address of the client, which the connection knows; ``raw`` are its
    bytes, if it is remembered.
    """

    __slots__ = (
        *("count", "declared", "fields", "framed", "hosts", "http10", "id", "lines", "method"),
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
        lines: list[bytes] = []
        hosts = 0
        self.raw = b""
        for pair in parsed:
            name, value = pair
            lower, passed = _request_field(name)
            if passed:
                lines.append(b"%b: %b\r\n" % pair)
            elif lower == b"host":
                hosts += 1
            fields[lower] = _joined(fields, lower, value) if lower in fields else value
        if b"connection" in fields:
            lines = _without_nominated(lines, fields[b"connection"])
        authority = authority_of(target)
        if authority is not None:
            fields[b"host"] = authority
        declared = fields.get(b"content-length")
        self.method = method
        self.target = target
        self.path = path_of(target)
        self.version = version
        self.http10 = version == "1.0"
        self.fields = fields
        self.lines = lines
        self.hosts = hosts
        self.count = len(parsed)
        self.id = _acceptable_id(fields.get(b"x-request-id", b""))
        self.declared = int(declared) if declared is not None else None
        self.size = self.declared or 0
        self.framed = declared is not None or b"transfer-encoding" in fields
        self.start = self._start()

    def _start(self) -> bytes:
        """Request line, end-to-end fields, framing where the head fixes it, and forwarding fields;
        X-Forwarded-For, the last, still lacks the address we saw.
        """
        host = self.fields.get(b"host", b"")
        chain = self.fields.get(b"x-forwarded-for")
        target = self.target if self.target[:1] == b"/" else without_authority(self.target) or b""
        return (
            b"%b %b HTTP/1.1\r\nHost: %b\r\n%b%bX-Forwarded-Host: %b\r\nX-Forwarded-For: %b"
        ) % (
            self.method,
            target,
            host,
            b"".join(self.lines),
            b"" if self.declared is None else b"Content-Length: %d\r\n" % self.declared,
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
        self.raw = b""
        lines: list[bytes] = []
        fields: dict[bytes, bytes] = {}
        for pair in parsed:
            name, value = pair
            lower, passed = _reply_field(name)
            fields[lower] = _joined(fields, lower, value) if lower in fields else value
            if passed:
                lines.append(b"%b: %b\r\n" % pair)
        if b"connection" in fields:
            lines = _without_nominated(lines, fields[b"connection"])
        declared = fields.get(b"content-length")
        coding = fields.get(b"transfer-encoding")
        media_type = fields.get(b"content-type", b"").partition(b";")[0]
        self.status = status
        self.bare = has_no_body(status, b"")
        self.start = status_line(status) + b"".join(lines)
        self.length = int(declared) if declared is not None else None
        self.framed = declared is not None or coding is not None
        self.coded = coding is not None and coding.lower() != b"chunked"
        self.endless = media_type.rstrip().lower() == b"text/event-stream"


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


def has_no_body(status: int, method: bytes) -> bool:
    """Whether an answer never has a body (RFC 9112, section 6.3), whatever its fields declare."""
    return method == b"HEAD" or status in (204, 304) or 100 <= status < 200


def _joined(fields: dict[bytes, bytes], name: bytes, value: bytes) -> bytes:
    """What counts of a field that stands there once more."""
    separator = _JOINED.get(name)
    return value if separator is None else fields[name] + separator + value


def _without_nominated(lines: list[bytes], connection: bytes) -> list[bytes]:
    """Without the fields that Connection declares to be hop-by-hop as well."""
    if connection.lower() in (b"keep-alive", b"close"):
        return lines
    named = {token.strip().lower() for token in connection.split(b",")}
    return [line for line in lines if line.partition(b":")[0].lower() not in named]


def _acceptable_id(given: bytes) -> bytes:
    """The client's own request id, or nothing."""
    acceptable = len(given) <= MAX_REQUEST_ID and given.isascii() and given.decode().isprintable()
    return given if acceptable else b""


# The same few names come with every head: a remembered answer costs 0.06 us, working it out again
# three times that. What is remembered is bounded.


@lru_cache(maxsize=1024)
def _request_field(name: bytes) -> tuple[bytes, bool]:
    """The name in lower case, and whether the field is passed on to a worker."""
    lower = name.lower()
    return lower, lower not in _REQUEST_OWN and not lower.startswith(_REQUEST_OWN_FAMILIES)


@lru_cache(maxsize=1024)
def _reply_field(name: bytes) -> tuple[bytes, bool]:
    """The name in lower case, and whether the field is passed on to a client."""
    lower = name.lower()
    return lower, lower not in _REPLY_OWN
