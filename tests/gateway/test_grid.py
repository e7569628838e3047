"""Fine counts tell the same as coarse ones, and a verdict's bounds are fine where scores crowd."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.counting.grid import (
    DRAWN_SCORE_BOUNDS,
    DURATION_BOUNDS,
    LATENCY_BOUNDS,
    SCORE_BOUNDS,
    WORKED_GRID,
    Bounds,
    Coarsening,
)

PAIRS = (
    (WORKED_GRID, DURATION_BOUNDS),
    (WORKED_GRID, LATENCY_BOUNDS),
    (DRAWN_SCORE_BOUNDS, SCORE_BOUNDS),
)
numbers = st.floats(-1e7, 1e7) | st.floats(0, 1) | st.sampled_from(WORKED_GRID + DRAWN_SCORE_BOUNDS)


def counted(bounds: Bounds, values: list[float]) -> list[int]:
    row = [0] * (len(bounds) + 1)
    for value in values:
        row[bisect_left(bounds, value)] += 1
    return row


@pytest.mark.parametrize(("fine", "coarse"), PAIRS)
@given(values=st.lists(numbers))
def test_to_count_finely_and_coarsen_is_to_count_coarsely(
    fine: Bounds, coarse: Bounds, values: list[float]
) -> None:
    assert Coarsening(fine, coarse)(counted(fine, values)) == counted(coarse, values)


def test_a_bound_that_nobody_counted_by_is_refused() -> None:
    with pytest.raises(ValueError, match="not counted by"):
        Coarsening(LATENCY_BOUNDS, (0.001, 0.0012))


@pytest.mark.parametrize("bounds", [WORKED_GRID, DRAWN_SCORE_BOUNDS, LATENCY_BOUNDS])
def test_bounds_grow(bounds: Bounds) -> None:
    assert all(a < b for a, b in pairwise(bounds))


def test_latency_is_told_from_a_quarter_of_a_millisecond_to_a_minute() -> None:
    assert len(LATENCY_BOUNDS) == 73
    assert LATENCY_BOUNDS[0] == 0.00025
    assert LATENCY_BOUNDS[-1] == 65.536
    assert all(b / a == pytest.approx(2**0.25) for a, b in pairwise(LATENCY_BOUNDS))


@given(st.floats(1e-6, 1 - 1e-6))
def test_a_probability_is_known_to_a_part_of_itself_and_of_what_it_lacks(p: float) -> None:
    place = bisect_left(DRAWN_SCORE_BOUNDS, p)
    width = DRAWN_SCORE_BOUNDS[place] - DRAWN_SCORE_BOUNDS[place - 1]

    assert width <= 1 / 64
    assert width <= 0.42 * p
    assert width <= 1.01 * (1 - p)


@given(st.floats(1, 1e6))
def test_any_larger_number_is_known_to_a_part_of_itself(number: float) -> None:
    for signed, ratio in ((number, 2**0.5), (-number, 2)):
        place = bisect_left(DRAWN_SCORE_BOUNDS, signed)
        low, high = sorted(abs(one) for one in DRAWN_SCORE_BOUNDS[place - 1 : place + 1])
        assert high / low <= ratio + 1e-9
