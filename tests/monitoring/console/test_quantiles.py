"""Percentiles from buckets, against a plain reading of what they mean."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.console.quantiles import quantiles

BOUNDS = (1.0, 2.0, 4.0, 8.0)


def plain(counts: list[int], share: float) -> float:
    """As Prometheus' documentation tells it, one bucket after the other."""
    rank, below = share * sum(counts), 0
    for lower, upper, within in zip((0.0, *BOUNDS), (*BOUNDS, 8.0), counts, strict=True):
        if below + within >= rank:
            part = (rank - below) / within if within else 0.0
            return lower + (upper - lower) * part
        below += within
    return BOUNDS[-1]


@given(st.lists(st.lists(st.integers(0, 1000), min_size=5, max_size=5), min_size=1, max_size=5))
@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_each_row_has_its_own(share: float, rows: list[list[int]]) -> None:
    found = quantiles(np.array(rows), BOUNDS, share)

    for row, one in zip(rows, found.tolist(), strict=True):
        if sum(row):
            assert one == pytest.approx(plain(row, share))
        else:
            assert isnan(one)


def test_what_is_beyond_the_last_bound_is_told_as_that_bound() -> None:
    assert quantiles(np.array([[0, 0, 0, 0, 9]]), BOUNDS, 0.5).tolist() == [8.0]


def test_half_of_a_bucket_is_in_its_middle() -> None:
    assert quantiles(np.array([[0, 0, 10, 0, 0]]), BOUNDS, 0.5).tolist() == [3.0]
