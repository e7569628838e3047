"""Compressed answers, decompressed within bounds: gzip (RFC 1952) and zlib (RFC 1950), which is
what HTTP calls deflate (RFC 9110, section 8.4.1).
"""

from __future__ import annotations

import zlib
from typing import Final

_GZIP: Final = zlib.MAX_WBITS | 16
_ZLIB: Final = zlib.MAX_WBITS
_KINDS: Final = {b"gzip": _GZIP, b"x-gzip": _GZIP, b"deflate": _ZLIB}
_BEGINNING_OF_GZIP: Final = b"\x1f\x8b"
_DEFLATE: Final = 8  # of zlib: the method, and a head that is a multiple of 31
# Members of a gzip body that are looked at in one piece: each costs as much as a kilobyte.
_MEMBERS: Final = 64


class TooLarge(ValueError):
    """More bytes than may be decoded, once they are not compressed any more."""


class Inflation:
    """One compressed body, which may come in pieces. ``whole``: it may end here."""

    __slots__ = ("_kind", "_stream")

    def __init__(self, kind: int) -> None:
        self._kind = kind
        self._stream = zlib.decompressobj(kind)

    @property
    def whole(self) -> bool:
        return self._stream.eof

    def feed(self, data: bytes, most: int) -> bytes:
        """What the next bytes stand for, as far as that is known yet. Raises :class:`TooLarge`
        beyond ``most`` bytes, ValueError for what is not compressed like this; nothing can be fed
        then any more.
        """
        plain = b""
        for _ in range(_MEMBERS):
            if not data:
                return plain
            if self._stream.eof:  # a gzip body is one or more members, each compressed by itself
                if self._kind != _GZIP:
                    raise ValueError("the compressed answer goes on behind its end")
                self._stream = zlib.decompressobj(self._kind)
            try:
                plain += self._stream.decompress(data, most + 1 - len(plain))
            except zlib.error as error:
                raise ValueError(str(error)) from error
            if len(plain) > most:
                raise TooLarge
            data = self._stream.unused_data
        if data:
            raise TooLarge
        return plain


def inflation_of(coding: bytes) -> Inflation | None:
    """What decompresses a body of this content coding; None if it is none of those known here."""
    kind = _KINDS.get(coding)
    return None if kind is None else Inflation(kind)


def plain_of(body: bytes, most: int) -> bytes | None:
    """A whole body decompressed; None if it does not begin as anything compressed does. Raises
    :class:`TooLarge` beyond ``most`` bytes, ValueError for what is cut off or broken.
    """
    if body.startswith(_BEGINNING_OF_GZIP):
        inflation = Inflation(_GZIP)
    elif body[:1] and body[0] & 15 == _DEFLATE and int.from_bytes(body[:2], "big") % 31 == 0:
        inflation = Inflation(_ZLIB)
    else:
        return None
    plain = inflation.feed(body, most)
    if not inflation.whole:
        raise ValueError("the compressed answer ends too early")
    return plain
