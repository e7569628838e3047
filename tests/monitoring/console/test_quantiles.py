"""Percentiles of many rows at once are those that `canary status -w` makes one by one."""

from __future__ import annotations

from itertools import accumulate
from math import inf, isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.console.quantiles import quantiles
from monitoring.readings.live import quantile

BOUNDS = (1.0, 2.0, 4.0, 8.0)


@given(st.lists(st.lists(st.integers(0, 1000), min_size=5, max_size=5), min_size=1, max_size=5))
@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_each_row_has_its_own(share: float, rows: list[list[int]]) -> None:
    found = quantiles(np.array(rows), BOUNDS, share)

    for row, one in zip(rows, found.tolist(), strict=True):
        expected = quantile(share, list(zip((*BOUNDS, inf), accumulate(row), strict=True)))
        assert isnan(one) if expected is None else one == pytest.approx(expected)


def test_what_is_beyond_the_last_bound_is_told_as_that_bound() -> None:
    assert quantiles(np.array([[0, 0, 0, 0, 9]]), BOUNDS, 0.5).tolist() == [8.0]


def test_half_of_a_bucket_is_in_its_middle() -> None:
    assert quantiles(np.array([[0, 0, 10, 0, 0]]), BOUNDS, 0.5).tolist() == [3.0]
