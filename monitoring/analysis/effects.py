"""How different two mixes of outcomes are, for the eye. Nothing is decided on these numbers.

Small samples fake a shift: with none at all the population stability index is on average
``(K - 1)(1/n1 + 1/n0)``. So each is told minus what it would be by chance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from monitoring.analysis.betting import Array


class Effects(NamedTuple):
    """Total variation (0 to 1), Jensen-Shannon divergence (nats) and population stability index,
    each minus its bias and never below 0.
    """

    tv: float
    js: float
    psi: float


def effects(candidate: Array, stable: Array) -> Effects | None:
    """Of the counts of ``K`` outcomes in both versions; None while one of them has none."""
    n1, n0 = float(candidate.sum()), float(stable.sum())
    if not n1 or not n0:
        return None
    q1 = (candidate + 0.5) / (n1 + 0.5 * len(candidate))
    q0 = (stable + 0.5) / (n0 + 0.5 * len(stable))
    middle = 0.5 * (q1 + q0)
    tv = 0.5 * np.abs(q1 - q0).sum()
    js = 0.5 * (q1 * np.log(q1 / middle)).sum() + 0.5 * (q0 * np.log(q0 / middle)).sum()
    psi = ((q1 - q0) * np.log(q1 / q0)).sum()
    noise = 1 / n1 + 1 / n0
    by_chance = (len(candidate) - 1) * noise
    tv_bias = 0.4 * np.sqrt(middle * (1 - middle) * noise).sum()
    return Effects(
        max(0.0, float(tv - tv_bias)),
        max(0.0, float(js - by_chance / 8)),
        max(0.0, float(psi - by_chance)),
    )
