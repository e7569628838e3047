"""How fast detection can be at all, and which numbers of false alarms are too many.

For any test that is wrong with a chance of at most ``alpha``, the mean number of requests until it
detects is at least ``log(1 / alpha) / KL_inf`` (arXiv 2512.20039), where ``KL_inf`` is the distance
of the truth from the closest point of the null hypothesis, in nats per request.
"""

from __future__ import annotations

from math import comb, erf, log, sqrt

import numpy as np

from monitoring.analysis.margin import boundary, closest
from tests.calibration.signals import ALPHA, BUCKETS
from tests.calibration.streams import USUAL_PARTS, Floats, Parts

BAND = 0.001  # chance of refusing a test that keeps its bound exactly


def divergence(p: Floats, q: Floats) -> float:
    """Kullback-Leibler, of frequencies."""
    some = p > 0
    return float((p[some] * np.log(p[some] / q[some])).sum())


def limit_of_mix(stable: Floats, candidate: Floats, share: float) -> float:
    """Requests, if the null says "the same outcomes, whatever they are"."""
    middle = share * candidate + (1 - share) * stable
    gain = share * divergence(candidate, middle) + (1 - share) * divergence(stable, middle)
    return log(1 / ALPHA) / gain


def limit_of_rates(
    p0: float, p1: float, share: float, increase: float, ratio: float = 1.0
) -> float:
    """Requests, if the null tolerates (or, for a proof, demands) a difference."""
    x = float(closest(np.array(p0), np.array(p1), share, increase, ratio))
    b = float(boundary(np.array(x), increase, ratio))
    of_candidate = divergence(np.array([1 - p1, p1]), np.array([1 - b, b]))
    of_stable = divergence(np.array([1 - p0, p0]), np.array([1 - x, x]))
    return log(1 / ALPHA) / (share * of_candidate + (1 - share) * of_stable)


def limit_of_split(true: float, share: float) -> float:
    """Requests, if the candidate gets ``true`` instead of ``share``."""
    return log(1 / ALPHA) / divergence(np.array([1 - true, true]), np.array([1 - share, share]))


def frequencies_of(slowest: list[float], parts: Parts = USUAL_PARTS) -> Floats:
    """Frequencies of the latency buckets, if bucket ``i`` holds what stable takes up to
    ``slowest[i]`` seconds for. ``parts`` are those of ``Durations``.
    """
    below = [
        sum(
            share * 0.5 * (1 + erf(log(x / median) / sigma / sqrt(2)))
            for share, median, sigma in parts
        )
        if x > 0
        else 0.0
        for x in slowest
    ]
    return np.diff(np.array([0.0, *below, 1.0]))


def bounds() -> list[float]:
    """The upper ends of the latency buckets in seconds; the last one has none."""
    return [0.00025 * 2 ** (i / 4) for i in range(BUCKETS - 1)]


def most_alarms(runs: int, rate: float = ALPHA) -> int:
    """A test that alarms falsely with a chance of ``rate`` exceeds this in fewer than
    :data:`BAND` of the cases.
    """
    left, chance = 1.0, (1 - rate) ** runs
    for alarms in range(runs + 1):
        left -= chance
        if left < BAND:
            return alarms
        chance *= (runs - alarms) / (alarms + 1) * rate / (1 - rate)
    return runs


def lowest_rank(runs: int, quantile: float) -> int:
    """The rank, from 0, of a sorted sample that is below the true quantile with a chance of at
    least 97.5 %: if even that run is too slow, the quantile surely is.
    """
    total = 0.0
    for rank in range(runs):
        chance = comb(runs, rank) * quantile**rank * (1 - quantile) ** (runs - rank)
        total += chance
        if total > 0.025:
            return max(rank - 1, 0)
    return runs - 1
