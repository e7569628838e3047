"""What the file said: each text that a page was made from, by its generation, as long as there is
room.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Final

from gateway.model import generation_of

ROOM: Final = 8 * 1024 * 1024  # bytes


class Texts:
    """The newest asked for, up to so many bytes together. For several threads."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._used = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def keep(self, content: bytes) -> str:
        """Remember a text; gives its generation."""
        generation = generation_of(content)
        with self._lock:
            if generation not in self._kept:
                self._kept[generation] = content
                self._used += len(content)
            self._kept.move_to_end(generation)
            while self._used > self._room and self._kept:
                _, forgotten = self._kept.popitem(last=False)
                self._used -= len(forgotten)
        return generation

    def get(self, generation: str) -> bytes | None:
        """None if it was never seen, or is forgotten."""
        with self._lock:
            return self._kept.get(generation)
