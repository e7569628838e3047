"""Suspicions about latency: slower from some quantile on, or more requests beyond some bound.

Outcomes are geometric buckets, ratio ``2 ** (1 / 4)``, from 0.25 ms to 65.5 s, the last one without
an end. All ratios grow with the bucket, so being faster is never held against a candidate.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log2
from typing import Final

import numpy as np

from monitoring.analysis.betting import Array, Bets, bets_on, factor
from monitoring.analysis.margin import boundary, margin_bets, shifted

_STARTS: Final = (0.0, 0.5, 0.9, 0.98)  # quantiles of stable from which on it is slower
_FACTORS: Final = (1.05, 1.12, 1.25, 1.6, 2.5, 6.0)
_START_WEIGHTS: Final = (0.35, 0.20 / 3, 0.20 / 3, 0.20 / 3)
_QUANTILES: Final = np.array([0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.997])
_SHIFTS: Final = 0.15 * 1.6 ** np.arange(9)
_KAPPAS: Final = (100.0, 1000.0)
LOG_PRIOR: Final[Array] = np.log(
    np.concatenate(
        [
            np.repeat(np.array(_START_WEIGHTS) / len(_FACTORS), len(_FACTORS)),
            np.full(len(_QUANTILES) * len(_SHIFTS), 0.30 / (len(_QUANTILES) * len(_SHIFTS))),
            np.full(len(_KAPPAS), 0.15 / len(_KAPPAS)),
        ]
    )
)
_PROOF_PARTS: Final = np.array([0.0, -0.5, 0.4])
PROOF_LOG_PRIOR: Final = np.log(np.array([0.6, 0.2, 0.2]))
_RATIO_MOST: Final = 50.0
_LEAST: Final = 1e-6


def smoothed(counts: Array) -> Array:
    """Frequencies of the buckets, none of them 0: neighbours lend each other a little."""
    for _ in range(2):
        padded = np.concatenate([counts[..., :1], counts, counts[..., -1:]], -1)
        counts = 0.25 * padded[..., :-2] + 0.5 * padded[..., 1:-1] + 0.25 * padded[..., 2:]
    counts = counts + 0.02
    return np.asarray(counts / counts.sum(-1, keepdims=True))


@dataclass(frozen=True, slots=True)
class Latency:
    """``increase`` is how many more of the requests may be slower than any bound, as a share."""

    increase: float = 0.0

    def bets(self, stable: Array, candidate: Array, share: float | Array) -> Bets:
        """Against "at no bound more requests are slower than tolerated": ``(..., J, B)``."""
        q0 = smoothed(stable)
        profiles = [*self._slower(q0), *self._seen(q0, candidate)]
        ratio = _growing(np.stack(profiles, -2))
        h = factor(ratio, share)
        by_profile = bets_on(ratio, share, self.increase * (h[..., -1] - h[..., 0]))
        by_bound = self._beyond(q0, share)
        places = len(_STARTS) * len(_FACTORS)  # in the order of the prior
        return Bets(
            *(
                np.concatenate([a[..., :places, :], b, a[..., places:, :]], -2)
                for a, b in zip(by_profile, by_bound, strict=True)
            )
        )

    def proof(self, stable: Array, share: float | Array) -> Bets:
        """For each of some bounds, against "more requests are slower than tolerated":
        ``(..., 8, 3, B)``. Every bound must be proven.
        """
        q0 = smoothed(stable)
        index, p0 = _bounds(q0)
        p0 = p0[..., None]
        limit = boundary(p0, self.increase)
        hoped = np.maximum(p0 + _PROOF_PARTS * (limit - p0), 0.2 * p0)
        bets = margin_bets(p0, hoped, share, self.increase, at_most=False)
        return _by_bucket(bets, index, q0.shape[-1])

    def _slower(self, q0: Array) -> list[Array]:
        """Everything from a start on takes ``c`` times as long."""
        beyond = np.cumsum(q0[..., ::-1], -1)[..., ::-1]  # at least bucket i
        before = np.cumsum(q0, -1) - q0
        ratios = []
        for start in _STARTS:
            first = np.where(before <= start, beyond, 0.0)
            at_start = np.where(first > 0, first, 1.0).min(-1, keepdims=True)
            for c in _FACTORS:
                moved = np.maximum(beyond, np.minimum(_later(beyond, 4 * log2(c)), at_start))
                q1 = moved - np.concatenate([moved[..., 1:], np.zeros_like(moved[..., :1])], -1)
                ratios.append((q1 + _LEAST * q0) / q0)
        return ratios

    def _seen(self, q0: Array, candidate: Array) -> list[Array]:
        """What the candidate has shown so far, the more believed the more there is of it."""
        seen = candidate.sum(-1, keepdims=True)
        return [(candidate + kappa * q0) / ((seen + kappa) * q0) for kappa in _KAPPAS]

    def _beyond(self, q0: Array, share: float | Array) -> Bets:
        """More requests are slower than one bound."""
        index, p0 = _bounds(q0)
        p0 = p0[..., None]
        suspected = np.minimum(shifted(boundary(p0, self.increase), _SHIFTS), 1 - _LEAST)
        bets = _by_bucket(margin_bets(p0, suspected, share, self.increase), index, q0.shape[-1])
        return Bets(*(a.reshape(*a.shape[:-3], -1, a.shape[-1]) for a in bets))


def _later(beyond: Array, buckets: float) -> Array:
    """The tail ``P(at least bucket i)`` with everything so many buckets later."""
    whole = floor(buckets)
    part = buckets - whole
    padded = np.concatenate([np.ones((*beyond.shape[:-1], whole + 1)), beyond], -1)
    size = beyond.shape[-1]
    return np.asarray((1 - part) * padded[..., 1 : size + 1] + part * padded[..., :size])


def _bounds(q0: Array) -> tuple[Array, Array]:
    """For each quantile: the last bucket up to it, and the share of requests beyond."""
    below = np.cumsum(q0, -1)
    index = (below[..., None, :] < _QUANTILES[:, None]).sum(-1)
    index = np.minimum(index, q0.shape[-1] - 2)
    return index, np.clip(1 - np.take_along_axis(below, index, -1), _LEAST, 1 - _LEAST)


def _by_bucket(bets: Bets, index: Array, size: int) -> Bets:
    """Bets ``(..., 8, j, 2)`` on "beyond a bound" told for each bucket: ``(..., 8, j, B)``."""
    slow = (np.arange(size) > index[..., None])[..., None, :]
    return Bets(*(np.where(slow, one[..., 1:], one[..., :1]) for one in bets))


def _growing(ratio: Array) -> Array:
    """The mean of the least growing function above and the greatest below."""
    ratio = np.clip(ratio, 1 / _RATIO_MOST, _RATIO_MOST)
    above = np.maximum.accumulate(ratio, -1)
    below = np.minimum.accumulate(ratio[..., ::-1], -1)[..., ::-1]
    return np.asarray(0.5 * (above + below))
