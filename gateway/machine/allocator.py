"""The C library's allocator: what is given back to it goes back to the system.

glibc keeps it otherwise, and what a burst of large answers or uploads needed once counts as the
process's for good. Where a call is not known (musl, macOS), or a number, nothing is done.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar, Final

# Bytes. A block of its own for each read (256 KiB), and a heap that shrinks after each answer, as
# glibc's first values have it, would double the cost of answers from 100 kB on.
LARGE: Final = 1024 * 1024
FREE_AT_END: Final = 16 * 1024 * 1024
LOOK_EVERY: Final = 4.0  # seconds
SLACK: Final = 4 * 1024 * 1024  # bytes that are not worth the time

_M_TRIM_THRESHOLD: Final = -1  # malloc.h
_M_MMAP_THRESHOLD: Final = -3


def keep_apart() -> None:
    """Keep large blocks out of the heap. After the first one of 8 MiB that was freed glibc would
    take the next ones from there (mallopt(3): M_MMAP_THRESHOLD is dynamic until it is set), where a
    small one that lives longer keeps those around it from going back.
    """
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, LARGE)
        mallopt(_M_TRIM_THRESHOLD, FREE_AT_END)


class _Info(ctypes.Structure):
    """struct mallinfo2 (mallinfo(3))."""

    _fields_: ClassVar = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def unused() -> int:
    """Bytes of the heap that are free, whether the system has them back or not; 0 if nobody says
    (glibc 2.33 and newer do).
    """
    with suppress(AttributeError, OSError):
        mallinfo = ctypes.CDLL(None).mallinfo2
        mallinfo.restype = _Info
        return int(mallinfo().fordblks)
    return 0


def trim() -> None:
    """Give back what is free in the middle of the heap (malloc_trim(3)); it takes milliseconds."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


class Trimmer:
    """Trims when much was given back since the last time."""

    def __init__(
        self, unused: Callable[[], int] = unused, trim: Callable[[], object] = trim
    ) -> None:
        self._unused = unused
        self._trim = trim
        self._due = 0.0
        self._level = 0  # bytes unused after the last time, or the fewest since then

    def look(self, now: float) -> None:
        """To be called every so often."""
        if now < self._due:
            return
        self._due = now + LOOK_EVERY
        size = self._unused()
        if size > self._level + SLACK:
            self._trim()
            self._level = self._unused()
        else:
            self._level = min(self._level, size)
