"""Cells that are counted in: named places in two rows of numbers, one ledger per generation.

Counting is ``ledger.counts[i] += 1`` and nothing else: who counts asks for the index once, when a
table is assembled (or at first sight, for what only traffic knows), and keeps it. Here the rows are
plain lists; in a group of processes they are shared memory (``segment``), and nobody who counts
sees the difference.

Nothing is ever copied from one ledger to another while it is written: what was counted altogether
is the sum over all ledgers, by name. A sum does not depend on how the increments were spread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar, overload

Name = tuple[str, ...]
"""What a cell counts: the kind of thing first, then what it is counted by."""

T = TypeVar("T", int, float)


class Cells(Protocol[T]):
    """A list or a part of shared memory."""

    @overload
    def __getitem__(self, index: int, /) -> T: ...
    @overload
    def __getitem__(self, index: slice, /) -> Iterable[T]: ...
    def __setitem__(self, index: int, value: T, /) -> None: ...
    def __len__(self) -> int: ...


class Kind(StrEnum):
    """What becomes of a cell when its ledger is closed."""

    COUNT = "c"  # an integer that only grows: kept for ever
    SUM = "s"  # a float that is added to: kept for ever
    GAUGE = "g"  # what is so at this moment: gone with who wrote it


class Entry(NamedTuple):
    """Where the cells of one name stand. ``size`` is more than 1 for the buckets of a histogram."""

    kind: Kind
    first: int
    size: int
    name: Name


class Ledger:
    """The cells of one generation in one process."""

    __slots__ = ("_entries", "counts", "sums")

    counts: Cells[int]
    sums: Cells[float]

    def __init__(self) -> None:
        self._entries: dict[Name, Entry] = {}
        self.counts = []
        self.sums = []

    def cell(self, *name: str) -> int:
        """The index in ``counts`` under this name; the same one each time."""
        return self._first(Kind.COUNT, 1, name)

    def row(self, size: int, *name: str) -> int:
        """The first of so many indexes side by side."""
        return self._first(Kind.COUNT, size, name)

    def gauge(self, *name: str) -> int:
        """The index in ``counts`` of a number that is set, not added to."""
        return self._first(Kind.GAUGE, 1, name)

    def sum(self, *name: str) -> int:
        """The index in ``sums`` under this name."""
        return self._first(Kind.SUM, 1, name)

    def entries(self) -> Iterable[Entry]:
        """All that is named, in the order it was first asked for. What is counted of one thing in
        two cells is read in this order, so the part is asked for before the whole: see ``counts``.
        """
        return self._entries.values()

    def _first(self, kind: Kind, size: int, name: Name) -> int:
        entry = self._entries.get(name)
        if entry is None:
            entry = self._entries[name] = self._allocate(kind, size, name)
        return entry.first

    def _allocate(self, kind: Kind, size: int, name: Name) -> Entry:
        cells: Cells[int] | Cells[float] = self.sums if kind is Kind.SUM else self.counts
        assert isinstance(cells, list)
        first = len(cells)
        cells.extend([0.0 if kind is Kind.SUM else 0] * size)
        return Entry(kind, first, size, name)


class Totals:
    """What was counted, by name, wherever it was counted."""

    __slots__ = ("counts", "gauges", "sums")

    def __init__(self) -> None:
        self.counts: dict[Name, list[int]] = {}
        self.sums: dict[Name, float] = {}
        self.gauges: dict[Name, int] = {}

    def add(self, ledger: Ledger) -> None:
        """What the ledger says at this moment, on top."""
        numbers, amounts = ledger.counts, ledger.sums
        for kind, first, size, name in ledger.entries():
            if kind is Kind.COUNT:
                self._count(name, list(numbers[first : first + size]))
            elif kind is Kind.SUM:
                self.sums[name] = self.sums.get(name, 0.0) + amounts[first]
            else:
                self.gauges[name] = self.gauges.get(name, 0) + numbers[first]

    def fold(self, ledger: Ledger) -> None:
        """What remains of a ledger nobody writes to any more, on top: everything but gauges."""
        gauges, self.gauges = self.gauges, {}
        self.add(ledger)
        self.gauges = gauges

    def merge(self, other: Totals) -> None:
        """Other totals, on top."""
        for name, row in other.counts.items():
            self._count(name, row)
        for name, amount in other.sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + amount
        for name, number in other.gauges.items():
            self.gauges[name] = self.gauges.get(name, 0) + number

    def forget(self, is_over: Callable[[Name], bool]) -> None:
        """What is named so was never counted."""
        for name in [name for name in (*self.counts, *self.sums) if is_over(name)]:
            self.counts.pop(name, None)
            self.sums.pop(name, None)

    def _count(self, name: Name, row: list[int]) -> None:
        before = self.counts.get(name)
        # A row is never changed in place: other totals may hold the same one.
        self.counts[name] = (
            row if before is None else [a + b for a, b in zip(before, row, strict=True)]
        )


def total(ledgers: Iterable[Ledger]) -> Totals:
    """The sum over some ledgers as they stand."""
    totals = Totals()
    for ledger in ledgers:
        totals.add(ledger)
    return totals
