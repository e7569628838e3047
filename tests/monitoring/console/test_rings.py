"""A ring against what it stands for: counts by second, of which the oldest are forgotten."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitoring.console.rings import Resolution, Ring

FEEDS = st.lists(
    st.tuples(st.integers(0, 25), st.lists(st.integers(0, 9), min_size=1, max_size=12)), max_size=12
)


@given(FEEDS, st.integers(1, 4), st.integers(2, 9))
def test_it_holds_exactly_the_newest_slots(
    feeds: list[tuple[int, list[int]]], step: int, slots: int
) -> None:
    ring = Ring(Resolution(step, slots), 1)
    known: Counter[int] = Counter()
    newest, first = -1, 0
    for gap, numbers in feeds:
        first += gap
        ring.add(first, np.array(numbers)[:, None])
        newest = max(newest, (first + len(numbers) - 1) // step)
        for second, number in enumerate(numbers, first):
            if second // step > newest - slots:
                known[second // step] += number
        known = Counter({slot: n for slot, n in known.items() if slot > newest - slots})

    shown = range(newest - slots - 2, newest + 3)
    rows = ring.rows((newest + 2) * step, len(shown))

    assert rows[:, 0].tolist() == [known[slot] if slot >= 0 else 0 for slot in shown]


def test_its_memory_is_what_it_was_made_with() -> None:
    ring = Ring(Resolution(1, 100), 3)
    before = ring.nbytes

    for second in range(0, 5000, 7):
        ring.add(second, np.ones((7, 3), dtype=np.int64))

    assert ring.nbytes == before == 100 * 3 * 4
