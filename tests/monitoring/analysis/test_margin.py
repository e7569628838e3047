"""The point of the null's border next to an alternative: the root is where it says it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from monitoring.analysis.margin import closest

RATES = st.floats(1e-6, 1 - 1e-6)
NEAR = 1e-8  # of the root, and of its distance from 0 and 1


@given(
    p0=RATES,
    p1=RATES,
    share=st.floats(1e-4, 1 - 1e-4),
    increase=st.floats(-0.95, 0.95).filter(lambda one: abs(one) > 1e-4),
    ratio=st.sampled_from([0.5, 1.0, 1.25, 3.0]),
)
@example(p0=1e-6, p1=1e-6, share=1e-4, increase=1e-4, ratio=1.0)
@example(p0=1 - 1e-6, p1=1e-6, share=0.5, increase=-0.95, ratio=1.0)
@example(p0=4e-4, p1=2.7e-6, share=5e-4, increase=-1.04e-4, ratio=1.0)
def test_the_slope_turns_from_falling_to_rising_at_the_root(
    p0: float, p1: float, share: float, increase: float, ratio: float
) -> None:
    first, last = max(-increase / ratio, 0.0), min((1 - increase) / ratio, 1.0)
    assume(last - first > 0.001)  # there are two rates with this difference

    x = float(closest(np.array(p0), np.array(p1), share, increase, ratio))
    assert first < x < last
    step = NEAR * min(x - first, last - x) + 1e-11

    def slope(x: float) -> float:
        b = ratio * x + increase
        of_candidate = share * ratio * (b - p1) * x * (1 - x)
        return of_candidate + (1 - share) * (x - p0) * b * (1 - b)

    if x - step > first + 1e-9:
        assert slope(x - step) < 1e-15
    if x + step < last - 1e-9:
        assert slope(x + step) > -1e-15


def test_many_at_once_are_each_what_they_are_alone() -> None:
    draw = np.random.default_rng(3)
    p0, p1 = draw.random((40, 1)), draw.random((1, 30))
    together = closest(p0, p1, 0.1, np.full((40, 30), 0.02))

    for row in range(0, 40, 13):
        for column in range(0, 30, 7):
            alone = closest(p0[row, 0], p1[0, column], 0.1, 0.02)
            assert together[row, column] == pytest.approx(float(alone), abs=1e-15)
