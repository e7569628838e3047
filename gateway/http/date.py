"""The Date of answers the gateway makes itself (RFC 9110, section 6.6.1)."""

from __future__ import annotations

from functools import lru_cache
from time import gmtime, time
from typing import Final

# Not strftime's: those are in the language of whoever started the process.
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


def date_line() -> bytes:
    """``Date: Sun, 06 Nov 1994 08:49:37 GMT`` with its line end, for this moment."""
    return _line(int(time()))


@lru_cache(maxsize=1)
def _line(second: int) -> bytes:
    now = gmtime(second)
    day, month = _DAYS[now.tm_wday], _MONTHS[now.tm_mon - 1]
    clock = f"{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02}"
    return f"Date: {day}, {now.tm_mday:02} {month} {now.tm_year} {clock} GMT\r\n".encode()
