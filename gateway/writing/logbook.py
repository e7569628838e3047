"""Lines on their way from the loop to their files: nobody ever waits for a disk.

Lines are put together to pages, which a thread writes. If more than ``ROOM`` bytes wait, as the
disk is slower than the lines come, the newest are dropped; what cannot be written is lost as well.
Both are counted, and told of when it begins and when it is over.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from itertools import product
from typing import Final, NamedTuple

from gateway.counting.gauges import Loss, Sink, lost_name
from gateway.counting.ledger import Ledger
from gateway.logs import Log
from gateway.writing.scribe import Book

ROOM: Final = 4 * 1024 * 1024  # bytes of lines that wait
PAGE: Final = 64 * 1024  # bytes that are handed over before the next sweep does
FLUSH_LIMIT: Final = 2.0  # seconds at the end; a supervisor grants its members more

LOST: Final = "log lines are lost"
FOUND: Final = "log lines are written again"

log = Log()


class Lost(NamedTuple):
    """How many lines of a page could not be written, and why (empty: none)."""

    lines: int = 0
    why: str = ""


Write = Callable[[Book, bytes], Lost]
"""Writes whole lines; may take its time."""


class Logbook:
    """One per serving process; its thread begins with the first page."""

    def __init__(self, write: Write, *, room: int = ROOM, page: int = PAGE) -> None:
        self._write = write
        self._room = room
        self._page = page
        self._open: dict[Book, bytearray] = {}  # pages that are being filled
        self._waiting: deque[tuple[Book, bytearray]] = deque()
        self._taken = self._written = 0  # bytes: the loop counts the first, the thread the second
        # Only the thread counts what is lost by writing, only the loop all else.
        self._losses = dict.fromkeys(product(Sink, Loss), 0)
        self._counted = dict(self._losses)
        # Lines that were lost since it was told: that there is no room, that it cannot be written.
        self._overflown: dict[Sink, int] = {}
        self._troubled: dict[Book, int] = {}
        self._wake = threading.Event()
        self._ending = False
        self._thread: threading.Thread | None = None

    def put(self, book: Book, line: bytes) -> None:
        """From one thread only."""
        size = len(line)
        if self._taken - self._written + size > self._room:
            self._losses[book.sink, Loss.FULL] += 1
            return
        self._taken += size
        page = self._open.get(book)
        if page is None:
            page = self._open[book] = bytearray()
        page += line
        if len(page) >= self._page:
            self._hand_over()

    def lose(self, sink: Sink) -> None:
        """A line could not even be made."""
        self._losses[sink, Loss.ERROR] += 1

    def sweep(self, ledger: Ledger) -> None:
        """Have written what has come, and count what was lost since the last time."""
        if self._open:
            self._hand_over()
        if self._overflown or self._losses != self._counted:
            self._count(ledger)

    async def close(self, limit: float = FLUSH_LIMIT) -> None:
        """Write what waits, for so many seconds at most."""
        self._hand_over()
        if self._thread is None:
            return
        self._ending = True
        self._wake.set()
        await asyncio.to_thread(self._thread.join, limit)
        if self._taken > self._written:
            lines = sum(page.count(b"\n") for _, page in tuple(self._waiting))
            log.error("log lines lost at the end", lines=lines, limit_seconds=limit)

    # --- the loop's

    def _hand_over(self) -> None:
        pages, self._open = self._open, {}
        self._waiting.extend(pages.items())
        if self._thread is None and pages:
            # Not waited for at the end of the process, should it hang in a write.
            self._thread = threading.Thread(target=self._run, name="logbook", daemon=True)
            self._thread.start()
        self._wake.set()

    def _count(self, ledger: Ledger) -> None:
        losses = dict(self._losses)
        for (sink, loss), so_far in losses.items():
            lines = so_far - self._counted[sink, loss]
            if lines:
                ledger.counts[ledger.cell(*lost_name(sink, loss))] += lines
            if loss is Loss.FULL:
                self._tell_of_room(sink, lines)
        self._counted = losses

    def _tell_of_room(self, sink: Sink, lines: int) -> None:
        if lines:
            if sink not in self._overflown:
                why = f"{self._room} bytes of lines wait already, as writing is slower"
                log.error(LOST, sink=sink, why=why)
            self._overflown[sink] = self._overflown.get(sink, 0) + lines
        elif sink in self._overflown and self._taken - self._written <= self._room // 2:
            log.info(FOUND, sink=sink, lost=self._overflown.pop(sink))

    # --- the thread's

    def _run(self) -> None:
        while not self._ending:
            self._wake.wait()
            self._wake.clear()
            self._write_all()
        self._write_all()

    def _write_all(self) -> None:
        while self._waiting:
            book, page = self._waiting[0]
            try:
                lost = self._write(book, bytes(page))
            except Exception as error:  # whatever it is, the next page may fare better
                lost = Lost(page.count(b"\n"), f"{type(error).__name__}: {error}")
            self._losses[book.sink, Loss.WRITE] += lost.lines
            self._tell_of_trouble(book, lost)
            self._written += len(page)
            self._waiting.popleft()

    def _tell_of_trouble(self, book: Book, lost: Lost) -> None:
        if lost.lines:
            if book not in self._troubled:
                log.error(LOST, sink=book.sink, path=book.path, why=lost.why)
            self._troubled[book] = self._troubled.get(book, 0) + lost.lines
        elif book in self._troubled:
            log.info(FOUND, sink=book.sink, path=book.path, lost=self._troubled.pop(book))
