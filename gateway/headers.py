"""Message heads, rebuilt from the parsed list and never copied: framing is always our own.

A request that reaches a worker carries only end-to-end fields, one Content-Length or one
Transfer-Encoding, and forwarding fields that tell the truth; an answer that reaches a client says
who gave it. All functions here turn values into values.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

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
    """What is needed of a request's header fields.

    ``fields`` maps lower-case names to values (the last one, lists joined); ``lines`` are the
    end-to-end lines to pass on; ``hosts`` counts Host fields.
    """

    __slots__ = ("fields", "hosts", "lines")

    def __init__(self, parsed: FieldList) -> None:
        fields: dict[bytes, bytes] = {}
        lines: list[bytes] = []
        hosts = 0
        for name, value in parsed:
            lower = name.lower()
            if lower not in _REQUEST_OWN and not lower.startswith(_REQUEST_OWN_FAMILIES):
                lines.append(b"%b: %b\r\n" % (name, value))
            elif lower == b"host":
                hosts += 1
            fields[lower] = _joined(fields, lower, value) if lower in fields else value
        named = _nominated(fields)
        if named:
            lines = [line for line in lines if line.partition(b":")[0].lower() not in named]
        self.fields = fields
        self.lines = lines
        self.hosts = hosts

    def forwarded(self, peer: bytes, scheme: bytes) -> bytes:
        """Host and forwarding lines; X-Forwarded-For ends in the address we saw."""
        host = self.fields.get(b"host", b"")
        chain = self.fields.get(b"x-forwarded-for")
        seen = b"%b, %b" % (chain, peer) if chain else peer
        return (
            b"Host: %b\r\nX-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\n"
            % (host, seen, scheme, host)
        )


class ReplyHead:
    """What is needed of an answer's status and header fields.

    ``length`` is the declared Content-Length (None without one); ``framed`` says whether the end of
    the body can be told without the end of the connection; ``coded`` that it is in a transfer
    coding we do not undo; ``endless`` marks an event stream.
    """

    __slots__ = ("coded", "endless", "framed", "length", "lines", "status")

    def __init__(self, status: int, parsed: FieldList) -> None:
        lines: list[bytes] = []
        fields: dict[bytes, bytes] = {}
        for name, value in parsed:
            lower = name.lower()
            fields[lower] = _joined(fields, lower, value) if lower in fields else value
            if lower not in _REPLY_OWN:
                lines.append(b"%b: %b\r\n" % (name, value))
        named = _nominated(fields)
        if named:
            lines = [line for line in lines if line.partition(b":")[0].lower() not in named]
        declared = fields.get(b"content-length")
        self.status = status
        self.lines = lines
        self.length = int(declared) if declared is not None else None
        coding = fields.get(b"transfer-encoding")
        self.framed = declared is not None or coding is not None
        self.coded = coding is not None and coding.lower() != b"chunked"
        media_type = fields.get(b"content-type", b"").partition(b";")[0]
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


def _nominated(fields: dict[bytes, bytes]) -> frozenset[bytes]:
    """The fields that Connection declares to be hop-by-hop as well."""
    connection = fields.get(b"connection")
    if connection is None or connection.lower() in (b"keep-alive", b"close"):
        return frozenset()
    return frozenset(token.strip().lower() for token in connection.split(b","))
