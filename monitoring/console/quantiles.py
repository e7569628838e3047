"""Percentiles from counts between bounds, as Prometheus' ``histogram_quantile`` makes them.

Within a bucket the requests are taken to lie evenly; what is beyond the last bound is told as that
bound (https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gateway.counting.grid import Bounds
from monitoring.console.rings import Counts


def quantiles(counts: Counts, bounds: Bounds, share: float) -> NDArray[np.float64]:
    """Of each row of ``counts``, which are between ``bounds`` with one more beyond the last; NaN
    for a row without any. ``share`` is 0 to 1.
    """
    cumulative = counts.cumsum(axis=1)
    total = cumulative[:, -1]
    rank = share * total
    place = np.minimum((cumulative < rank[:, None]).sum(axis=1), len(bounds))
    lower = np.concatenate([[0.0], bounds])[place]
    upper = np.concatenate([bounds, [bounds[-1]]])[place]
    rows = np.arange(len(counts))
    within = counts[rows, place]
    below = cumulative[rows, place] - within
    with np.errstate(divide="ignore", invalid="ignore"):
        found = lower + (upper - lower) * (rank - below) / within
    found = np.where(within > 0, found, lower)
    found = np.where(place >= len(bounds), bounds[-1], found)
    result: NDArray[np.float64] = np.where(total > 0, found, np.nan)
    return result
