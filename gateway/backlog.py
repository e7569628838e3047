"""Clients that take their answers slower than they come: how long each may, and how much memory
they may hold together.
"""

from __future__ import annotations

from typing import Final, Protocol

LIMIT: Final = 256 * 1024 * 1024  # bytes of answers not taken yet, of all clients of a process
STALL_TIMEOUT: Final = 30.0  # seconds in which a client must take something; nginx's is 60
TOTAL_TIMEOUT: Final = 600.0  # seconds to take what is there, however steadily


class Taker(Protocol):
    """A connection whose client takes an answer slowly."""

    def unsent(self) -> int: ...
    def give_up(self) -> None: ...


class Backlog:
    """The connections that are blocked at this moment.

    What is held is what was held when they were last looked at: it can only have become less, but
    for the few pieces of a stream that were on their way.
    """

    __slots__ = ("_seen", "_since", "_total", "limit")

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._since: dict[Taker, float] = {}
        self._seen: dict[Taker, tuple[int, float]] = {}  # bytes not taken, and when
        self._total = 0

    def __len__(self) -> int:
        return len(self._since)

    def __repr__(self) -> str:
        return f"<Backlog of {len(self)}, {self._total} of {self.limit} bytes>"

    def add(self, taker: Taker, now: float) -> None:
        """It is blocked. Beyond the limit those are cut who hold the most for the longest."""
        self.discard(taker)
        size = taker.unsent()
        self._since[taker] = now
        self._seen[taker] = (size, now)
        self._total += size
        if self._total > self.limit:
            self._relieve(now)

    def discard(self, taker: Taker) -> None:
        """It is blocked no more, or gone."""
        if self._since.pop(taker, None) is not None:
            size, _ = self._seen.pop(taker)
            self._total -= size

    def sweep(self, now: float) -> None:
        """Cut who has taken nothing for too long, or takes too long altogether."""
        for taker, since in tuple(self._since.items()):
            size, seen = self._seen[taker]
            if now - since > TOTAL_TIMEOUT:
                self._cut(taker)
            elif now - seen > STALL_TIMEOUT:
                left = taker.unsent()
                if left >= size:
                    self._cut(taker)
                else:
                    self._note(taker, left, now)

    def _relieve(self, now: float) -> None:
        for taker, (_, seen) in tuple(self._seen.items()):
            self._note(taker, taker.unsent(), seen)
        while self._total > self.limit:
            self._cut(max(self._seen, key=lambda one: self._weight(one, now)))

    def _weight(self, taker: Taker, now: float) -> tuple[float, int]:
        size = self._seen[taker][0]
        return size * (now - self._since[taker]), size

    def _note(self, taker: Taker, size: int, now: float) -> None:
        self._total += size - self._seen[taker][0]
        self._seen[taker] = (size, now)

    def _cut(self, taker: Taker) -> None:
        self.discard(taker)
        taker.give_up()
