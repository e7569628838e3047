"""Large answers that are being put together: how much of them a process holds at once.

Beyond the limit workers are not read from, until other answers are whole or have failed. One of
each endpoint goes on all the same, the oldest, so nobody waits for another version's worker that
has stopped in the middle of its answers. Answers up to ``LARGE`` never wait.
"""

from __future__ import annotations

from typing import Final, Protocol

from gateway.workers.backlog import Backlog

LARGE: Final = 128 * 1024  # bytes of a body
LIMIT: Final = 32 * 1024 * 1024  # bytes, of all large answers of a process
PIECE: Final = 64  # bytes that each piece takes beside its content: its object, its place in a list
_READ: Final = 256 * 1024  # what is read at once, at most


class Gatherer(Protocol):
    """A connection that gathers an answer."""

    def pause(self, paused: bool) -> None: ...


class Gathering:
    """The large answers that are not whole, by the owner of their connection.

    What a client was cut for takes memory until its connection is gone (``backlog.going``): so long
    no other answer may take its place.
    """

    __slots__ = ("_backlog", "_held", "_paused", "_total", "limit")

    def __init__(self, backlog: Backlog, limit: int = LIMIT) -> None:
        self.limit = limit
        self._backlog = backlog
        backlog.on_gone = self.go_on
        self._held: dict[object, dict[Gatherer, int]] = {}
        self._paused: dict[Gatherer, object] = {}  # with the owner
        self._total = 0

    def __repr__(self) -> str:
        number = sum(len(held) for held in self._held.values())
        paused = len(self._paused)
        return f"<Gathering of {number}, {paused} paused, {self._total} of {self.limit} bytes>"

    @property
    def room(self) -> int:
        """Bytes that may still be gathered."""
        return self.limit - self._total - self._backlog.going

    def grow(self, owner: object, one: Gatherer, size: int) -> None:
        """It holds ``size`` bytes by now; without room it is paused."""
        held = self._held.setdefault(owner, {})
        self._total += size - held.get(one, 0)
        held[one] = size
        may_go_on = not self._backlog.going and one is next(iter(held))
        if self.room < 0 and not may_go_on and one not in self._paused:
            self._paused[one] = owner
            one.pause(True)

    def discard(self, owner: object, one: Gatherer) -> None:
        """It gathers no more."""
        held = self._held.get(owner, {})
        if one not in held:
            return
        self._total -= held.pop(one)
        if self._paused.pop(one, None) is not None:
            one.pause(False)
        if not held:
            del self._held[owner]
        self.go_on()

    def go_on(self) -> None:
        """Resume the oldest of each, and as many as there is room for."""
        if self._paused and not self._backlog.going:
            for held in self._held.values():
                oldest = next(iter(held))
                if oldest in self._paused:
                    self._resume(oldest)
        while self._paused and self.room >= _READ:
            self._resume(next(iter(self._paused)))

    def _resume(self, one: Gatherer) -> None:
        """What it will read first is counted until it says what it holds."""
        owner = self._paused.pop(one)
        self._held[owner][one] += _READ
        self._total += _READ
        one.pause(False)
