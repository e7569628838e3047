"""Clients that take their answers slower than they come: how long each may, and how much memory
they may hold together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

# Bytes of answers not taken yet, of all clients of a process. The rest of 256 MiB is for answers
# that are being put together (``gathering``), for those who are cut until they are gone, and for
# copies.
LIMIT: Final = 144 * 1024 * 1024
# Seconds in which a client must take something, looked at so often; nginx's send_timeout is 60.
STALL_TIMEOUT: Final = 30.0
TOTAL_TIMEOUT: Final = 600.0  # seconds to take what is there, however steadily


class Taker(Protocol):
    """A connection whose client takes an answer slowly. ``behind`` are the bytes that have not
    reached the client, those in the kernel included.
    """

    def behind(self) -> int: ...
    def give_up(self) -> None: ...


class Backlog:
    """The connections that are blocked at this moment.

    What one of them holds is what was behind when it was blocked: an answer is one piece of memory,
    which is given back when the last of it was sent. ``going`` are the bytes of those who were cut
    and whose connections are not gone yet; ``on_gone`` is called when all are.
    """

    __slots__ = (
        *("_cut_off", "_held", "_progress", "_since", "_total", "going", "limit", "on_gone"),
    )

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._since: dict[Taker, float] = {}
        self._held: dict[Taker, int] = {}  # bytes of memory
        self._progress: dict[Taker, tuple[int, float]] = {}  # bytes behind, and when
        self._total = 0
        self._cut_off: dict[Taker, int] = {}  # bytes of memory
        self.going = 0
        self.on_gone: Callable[[], object] = int

    def __len__(self) -> int:
        return len(self._since)

    def __repr__(self) -> str:
        return f"<Backlog of {len(self)}, {self._total} of {self.limit} bytes>"

    def add(self, taker: Taker, now: float) -> None:
        """It is blocked. Beyond the limit those are cut who hold the most for the longest."""
        self.discard(taker)
        size = taker.behind()
        self._since[taker] = now
        self._held[taker] = size
        self._progress[taker] = (size, now)
        self._total += size
        while self._total > self.limit:
            self._cut(max(self._held, key=lambda one: self._weight(one, now)))

    def discard(self, taker: Taker) -> None:
        """It is blocked no more, or gone."""
        if self._since.pop(taker, None) is not None:
            self._total -= self._held.pop(taker)
            del self._progress[taker]
        elif self._cut_off:
            self.going -= self._cut_off.pop(taker, 0)
            if not self._cut_off:
                self.on_gone()

    def sweep(self, now: float) -> None:
        """Cut who has taken nothing for too long, or takes too long altogether."""
        for taker, since in tuple(self._since.items()):
            before, seen = self._progress[taker]
            if now - since > TOTAL_TIMEOUT:
                self._cut(taker)
            elif now - seen > STALL_TIMEOUT:
                behind = taker.behind()
                self._progress[taker] = (behind, now)
                if behind >= before:
                    self._cut(taker)

    def _weight(self, taker: Taker, now: float) -> tuple[float, int]:
        size = self._held[taker]
        return size * (now - self._since[taker]), size

    def _cut(self, taker: Taker) -> None:
        size = self._held[taker]
        self.discard(taker)
        self._cut_off[taker] = size
        self.going += size
        taker.give_up()
