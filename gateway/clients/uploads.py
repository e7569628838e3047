"""Request bodies that are not here whole, and whole ones that wait behind another request: how much
memory they may hold together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from gateway.errors import Refusal

LIMIT: Final = 128 * 1024 * 1024  # bytes, of all clients of a process
PIECE: Final = 64  # bytes that each piece takes beside its content: its object, its place in a list


class Sender(Protocol):
    """Who sends bodies."""

    def turn_away(self, refusal: Refusal) -> None:
        """Refuse what was counted, and forget it."""


class Uploads:
    """What is here of bodies nobody can be asked about yet.

    Beyond the limit those are turned away who hold the most for the longest: a body on a good line
    is whole within milliseconds, so it is the slow ones who make room.
    """

    __slots__ = ("_clock", "_held", "_total", "limit")

    def __init__(self, clock: Callable[[], float], limit: int = LIMIT) -> None:
        self.limit = limit
        self._clock = clock
        self._held: dict[Sender, tuple[int, float]] = {}  # bytes, and since when
        self._total = 0

    def __len__(self) -> int:
        return len(self._held)

    def __repr__(self) -> str:
        return f"<Uploads of {len(self)}, {self._total} of {self.limit} bytes>"

    def hold(self, sender: Sender, size: int, pieces: int) -> None:
        """The sender holds so many bytes by now, in so many pieces."""
        before, since = self._held.get(sender, (0, 0.0))
        size += pieces * PIECE
        self._held[sender] = size, since if before else self._clock()
        self._total += size - before
        if self._total > self.limit:
            self._make_room()

    def discard(self, sender: Sender) -> None:
        """It holds nothing any more."""
        size, _ = self._held.pop(sender, (0, 0.0))
        self._total -= size

    def _make_room(self) -> None:
        """For a while: an eighth, so that looking through all of them is rare."""
        now = self._clock()

        def weight(sender: Sender) -> tuple[float, int]:
            size, since = self._held[sender]
            return size * (now - since), size

        sentence = "as much of unfinished requests as this gateway may hold is here; try again"
        for sender in sorted(self._held, key=weight, reverse=True):
            if self._total <= self.limit - self.limit // 8:
                break
            self.discard(sender)
            sender.turn_away(Refusal(503, "shed", sentence))
