"""Counts over time in a fixed amount of memory: so many slots of so many seconds, the newest in
place of the oldest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Counts: TypeAlias = NDArray[np.int64]
"""``(n, width)``: rows of slots, oldest first."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """``slots`` of ``step`` seconds each."""

    step: int
    slots: int

    @property
    def seconds(self) -> int:
        """How far back it goes."""
        return self.step * self.slots


RESOLUTIONS: Final = (
    Resolution(1, 600),  # ten minutes
    Resolution(10, 1440),  # four hours
    Resolution(60, 1440),  # a day
)


class Ring:
    """Rows of ``width`` counts. A moment is in whole seconds; its slot is ``moment // step``."""

    def __init__(self, resolution: Resolution, width: int) -> None:
        self.resolution = resolution
        self._rows = np.zeros((resolution.slots, width), dtype=np.uint32)
        self._newest = -1  # the number of the newest slot; what is before it is within the ring

    def add(self, first: int, rows: Counts) -> None:
        """``rows`` of the seconds from ``first`` on, one each; onto what is there. Seconds that are
        older than the ring is long are passed over.
        """
        if not len(rows):
            return
        step, slots = self.resolution.step, self.resolution.slots
        numbers = np.arange(first, first + len(rows)) // step
        self._advance(int(numbers[-1]))
        kept = numbers > self._newest - slots
        np.add.at(self._rows, numbers[kept] % slots, rows[kept].astype(np.uint32))

    def rows(self, end: int, count: int) -> Counts:
        """The ``count`` slots up to the one that holds the second ``end``; zeros where there is
        nothing.
        """
        slots = self.resolution.slots
        numbers = end // self.resolution.step - np.arange(count - 1, -1, -1)
        found = self._rows[numbers % slots].astype(np.int64)
        found[(numbers > self._newest) | (numbers <= self._newest - slots) | (numbers < 0)] = 0
        return found

    @property
    def nbytes(self) -> int:
        """The memory it takes."""
        return self._rows.nbytes

    def _advance(self, newest: int) -> None:
        """Empty the slots between the newest so far and this one."""
        slots = self.resolution.slots
        if self._newest < 0 or newest - self._newest >= slots:
            self._rows[:] = 0
        else:
            self._rows[np.arange(self._newest + 1, newest + 1) % slots] = 0
        self._newest = max(self._newest, newest)
