"""Chunked bodies, beside the parser: lines it lets through that are not to the letter, and where
the message ends (RFC 9112, section 7.1).
"""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED: Final = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
# Space around ";" and "=", which no sender may write (RFC 9112, section 7.1.1), is refused by the
# parser already.
_LINE: Final = re.compile(
    rb"([0-9A-Fa-f]+)(?:;%b(?:=(?:%b|%b))?)*\r\n" % (_TOKEN, _TOKEN, _QUOTED), re.DOTALL
)

_EVER: Final = 1 << 62  # bytes


class ChunkedBody:
    """What of one message has gone by. ``limit`` is how many bytes a line may have."""

    __slots__ = ("_good", "_left", "_limit", "_line", "_taken", "_trailers")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._good = 0  # lines of chunks that are as they must be; after a bad one none is read
        self._taken = 0  # lines that the parser has read
        self._line = b""  # the beginning of the one that is not here whole
        self._left = 0  # bytes of the present chunk, with its end
        self._trailers = False  # the last chunk was there

    def pass_over(self, data: bytes, at: int = 0) -> int:
        """Look at what has come, from ``at`` on. Returns where in it the message ends; if it does
        not, how long it is.
        """
        size = len(data)
        while at < size:
            if self._left:
                step = min(self._left, size - at)
                self._left -= step
                at += step
                continue
            end = data.find(b"\n", at) + 1 or size
            self._line += data[at:end]
            at = end
            if self._line[-1] != 0x0A:
                break
            line, self._line = self._line, b""
            if self._trailers:
                if line == b"\r\n":
                    return at
                continue
            found = _LINE.fullmatch(line)
            if found is None or len(line) > self._limit:
                self._left = _EVER
                return size
            self._good += 1
            length = int(found[1], 16)
            self._left = length + 2 if length else 0
            self._trailers = not length
        return at

    def take(self) -> bool:
        """The parser has read one more line; whether it is as it must be."""
        self._taken += 1
        return self._taken <= self._good
