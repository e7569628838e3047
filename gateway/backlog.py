"""Clients that take their answers slower than they come: how long each may, and how much memory
they may hold together.
"""

from __future__ import annotations

from typing import Final, Protocol

LIMIT: Final = 256 * 1024 * 1024  # bytes of answers not taken yet, of all clients of a process
# Seconds in which a client must take something, looked at so often; nginx's send_timeout is 60.
STALL_TIMEOUT: Final = 30.0
TOTAL_TIMEOUT: Final = 600.0  # seconds to take what is there, however steadily


class Taker(Protocol):
    """A connection whose client takes an answer slowly. ``unsent`` are bytes in our memory,
    ``behind`` those that have not reached the client, wherever they are.
    """

    def unsent(self) -> int: ...
    def behind(self) -> int: ...
    def give_up(self) -> None: ...


class Backlog:
    """The connections that are blocked at this moment.

    What is held is what was held when they were last looked at: it can only have become less, but
    for the few pieces of a stream that were on their way.
    """

    __slots__ = ("_progress", "_seen", "_since", "_total", "limit")

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._since: dict[Taker, float] = {}
        self._seen: dict[Taker, int] = {}  # bytes unsent
        self._progress: dict[Taker, tuple[int, float]] = {}  # bytes behind, and when
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
        self._seen[taker] = size
        self._progress[taker] = (taker.behind(), now)
        self._total += size
        if self._total > self.limit:
            self._relieve(now)

    def discard(self, taker: Taker) -> None:
        """It is blocked no more, or gone."""
        if self._since.pop(taker, None) is not None:
            self._total -= self._seen.pop(taker)
            del self._progress[taker]

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

    def _relieve(self, now: float) -> None:
        self._seen = {taker: taker.unsent() for taker in self._seen}
        self._total = sum(self._seen.values())
        while self._total > self.limit:
            self._cut(max(self._seen, key=lambda one: self._weight(one, now)))

    def _weight(self, taker: Taker, now: float) -> tuple[float, int]:
        size = self._seen[taker]
        return size * (now - self._since[taker]), size

    def _cut(self, taker: Taker) -> None:
        self.discard(taker)
        taker.give_up()
