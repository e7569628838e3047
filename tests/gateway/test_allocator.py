"""When memory is given back, by numbers alone, and that asking for it is harmless."""

from __future__ import annotations

from gateway.machine.allocator import LOOK_EVERY, SLACK, Trimmer, trim, unused


class Heap:
    """What is free in it stays free when it is given back."""

    def __init__(self) -> None:
        self.free = 0
        self.trims = 0
        self.now = 0.0
        self.trimmer = Trimmer(lambda: self.free, self.trim)

    def trim(self) -> None:
        self.trims += 1

    def look(self, free: int) -> int:
        """How often it was trimmed by then."""
        self.free = free
        self.now += LOOK_EVERY
        self.trimmer.look(self.now)
        return self.trims


def test_what_a_burst_leaves_is_given_back_once() -> None:
    heap = Heap()

    assert heap.look(SLACK) == 0
    assert [heap.look(10 * SLACK) for _ in range(5)] == [1] * 5


def test_what_was_taken_again_and_given_back_again_is_trimmed_again() -> None:
    heap = Heap()

    assert heap.look(10 * SLACK) == 1
    assert heap.look(SLACK) == 1
    assert heap.look(10 * SLACK) == 2


def test_it_looks_no_oftener_than_it_says() -> None:
    heap = Heap()
    heap.look(0)
    heap.free = 10 * SLACK
    heap.trimmer.look(heap.now + LOOK_EVERY / 2)

    assert heap.trims == 0


def test_asking_the_library_of_this_system_is_harmless() -> None:
    trim()

    assert unused() >= 0
