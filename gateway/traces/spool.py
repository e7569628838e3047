"""What is to be exported, on its way from the loop to a thread: nobody ever waits for it.

``put`` appends, or counts what finds no room. The thread takes a few at a time; what cannot be
exported is lost, and counted as well.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

from gateway.traces.span import Visit

ROOM: Final = 2048  # requests that wait
BATCH: Final = 64  # that are exported at once: encoding them takes 5 ms
EVERY: Final = 1.0  # seconds, if there are fewer

Export = Callable[[Sequence[Visit]], bool]
"""Whether they arrived; may take its time."""


class Spool:
    """``dropped`` is how many spans were lost so far."""

    def __init__(self, export: Export, *, room: int = ROOM, every: float = EVERY) -> None:
        self._export = export
        self._room = room
        self._every = every
        self._waiting: deque[Visit] = deque()
        self._overflown = 0  # spans; only who puts writes to this one
        self._failed = 0  # spans; only the thread writes to this one
        self._wake = threading.Event()
        self._ending = False
        # Not waited for at the end of the process, should it hang in an export.
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        return self._overflown + self._failed

    def put(self, visit: Visit) -> None:
        """From one thread only."""
        waiting = self._waiting
        if len(waiting) >= self._room:
            self._overflown += _spans_in(visit)
            return
        waiting.append(visit)
        if len(waiting) == BATCH:
            self._wake.set()

    def close(self, limit: float) -> int:
        """Export what waits, for so many seconds at most; how many spans did not make it."""
        deadline = monotonic() + limit
        self._ending = True
        self._wake.set()
        self._thread.join(max(0.0, deadline - monotonic()))
        return sum(map(_spans_in, tuple(self._waiting)))

    def _run(self) -> None:
        while not self._ending:
            self._wake.wait(self._every)
            self._wake.clear()
            self._take()
            while len(self._waiting) >= BATCH:  # a few alone would cost as much as many
                self._take()
        while self._waiting:
            self._take()

    def _take(self) -> None:
        """Export a few."""
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        if not batch:
            return
        try:
            arrived = self._export(batch)
        except Exception:  # whatever it is, the next ones may fare better
            arrived = False
        if not arrived:
            self._failed += sum(map(_spans_in, batch))


def _spans_in(visit: Visit) -> int:
    return 1 + len(visit.attempts)
