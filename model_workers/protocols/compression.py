"""Bodies that a client has compressed (RFC 9110, section 8.4.1), up to a size."""

from __future__ import annotations

import zlib
from typing import Final

_GZIP: Final = 16 + zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS
CODINGS: Final = ("gzip", "deflate")
_MEMBERS: Final = 100  # each makes a copy of what is left: thousands of empty ones would take hours


class Unsupported(Exception):
    """The body is compressed in a way nobody here knows: status 415."""


class Broken(Exception):
    """The body is not what its coding says: status 400."""


class TooLarge(Exception):
    """What was compressed is larger than allowed: status 413. No more than that was unpacked."""


def unpack(body: bytes, coding: str, limit: int) -> bytes:
    """The body as it was before; ``coding`` is the value of Content-Encoding, empty for none."""
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return body
    if coding in ("gzip", "x-gzip"):
        return _unpacked(body, _GZIP, limit)
    if coding == "deflate":
        return _unpacked(body, zlib.MAX_WBITS if _has_zlib_head(body) else _RAW, limit)
    raise Unsupported(
        f"Content-Encoding {coding[:40]!r} is not supported; send {' or '.join(CODINGS)}, or none"
    )


def _has_zlib_head(body: bytes) -> bool:
    """Deflate means zlib (RFC 1950); some senders leave its head away, as if it meant RFC 1951."""
    return len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0


def _unpacked(body: bytes, window: int, limit: int) -> bytes:
    found = bytearray()
    for _ in range(_MEMBERS):
        member = zlib.decompressobj(window)
        try:
            found += member.decompress(body, limit + 1 - len(found))
        except zlib.error as error:
            raise Broken(f"the body is not compressed as Content-Encoding says: {error}") from None
        if len(found) > limit:
            raise TooLarge
        if not member.eof:
            raise Broken("the compressed body ends too early; send it whole")
        if not member.unused_data:
            return bytes(found)
        if window != _GZIP:
            raise Broken("there is more after the end of the compressed body")
        body = member.unused_data  # a gzip file may have several members (RFC 1952, section 2.2)
    raise Broken(f"the compressed body has more than {_MEMBERS} parts; send it as one")
