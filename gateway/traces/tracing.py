"""Which trace a request is part of: `traceparent` and `tracestate` (W3C Trace Context, level 2).

    00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
    version, trace id, id of the span that asks, flags

Values in, values out.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

# Section 3.2: lower-case hexadecimal. Later versions may have more behind another dash.
_TRACEPARENT: Final = re.compile(
    rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL
)
_NO_TRACE: Final = b"0" * 32
_NO_SPAN: Final = b"0" * 16
# Section 3.3.1.3 (keys as in level 1, which are those that all accept).
_MEMBER: Final = re.compile(
    rb"([a-z][_0-9a-z*/-]{0,255}|[a-z0-9][_0-9a-z*/-]{0,240}@[a-z][_0-9a-z*/-]{0,13})"
    rb"=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
)
_MOST_MEMBERS: Final = 32
SAMPLED: Final = 0x01
_KNOWN_FLAGS: Final = 0x03  # sampled, and that the trace id is random; others are to be 0


class Trace(NamedTuple):
    """A valid `traceparent`: ``id`` and ``span`` (of who asks) in hexadecimal, and the flags."""

    id: str
    span: str
    flags: int

    @property
    def sampled(self) -> bool:
        """Whether who asks keeps this trace: what is told of another leads nowhere."""
        return self.flags & SAMPLED == SAMPLED

    def render(self) -> bytes:
        """The field's value, in version 00."""
        return f"00-{self.id}-{self.span}-{self.flags & _KNOWN_FLAGS:02x}".encode()


def read_traceparent(value: bytes) -> Trace | None:
    """What a `traceparent` says; None if it is not valid (section 3.2.2): then there is no trace,
    and a `tracestate` beside it means nothing.
    """
    found = _TRACEPARENT.fullmatch(value)
    if found is None:
        return None
    version, trace, span, flags, more = found.groups()
    if version == b"ff" or (more is not None and version == b"00"):
        return None
    if trace == _NO_TRACE or span == _NO_SPAN:
        return None
    return Trace(trace.decode(), span.decode(), int(flags, 16))


def read_tracestate(value: bytes) -> dict[str, str]:
    """What a `tracestate` lists (section 3.3.1), its fields joined by commas; nothing if any part
    of it is not valid.
    """
    members = [one.strip(b" \t") for one in value.split(b",")]
    found: dict[str, str] = {}
    for member in filter(None, members):
        match = _MEMBER.fullmatch(member)
        if match is None or match[1].decode() in found:
            return {}
        found[match[1].decode()] = match[2].decode()
    return found if len(found) <= _MOST_MEMBERS else {}
