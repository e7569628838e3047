"""Suspicions about latency: everything takes longer, the slow ones do, or more pass some bound.

Outcomes are geometric buckets, ratio ``2 ** (1 / 4)``, from 0.25 ms to 65.5 s, the last one without
an end. All ratios grow with the bucket, so being faster is never held against a candidate.

The bank is small on purpose: each suspicion takes its part of the stake from all others. These 24,
found by simulation, detect sooner than 94 with plug-in estimates among them did.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log2
from typing import Final

import numpy as np

from monitoring.analysis.betting import Array, Bets, bets_on, factor
from monitoring.analysis.margin import boundary, margin_bets, shifted

_FACTORS: Final = (1.06, 1.2, 1.6, 2.8)  # everything takes so many times as long
_FACTOR_WEIGHTS: Final = np.array([1.0, 1.3, 1.5, 2.0])
_STARTS: Final = (0.90, 0.97)  # quantiles of stable from which on the tail is heavier ...
_POWERS: Final = (1.5, 3.0)  # ... P(slower) to the power of one over this
_QUANTILES: Final = np.array([0.5, 0.9, 0.98, 0.99])  # bounds that more requests pass ...
_SHIFTS: Final = np.array([0.5, 1.0, 2.0, 4.0])  # ... by the log-odds


def _weights() -> Array:
    """Of all suspicions, in the order :meth:`Latency.bets` gives them."""
    tails, bounds = len(_STARTS) * len(_POWERS), len(_QUANTILES) * len(_SHIFTS)
    return np.concatenate(
        [
            0.6 * _FACTOR_WEIGHTS / _FACTOR_WEIGHTS.sum(),
            np.full(tails, 0.2 / tails),
            np.full(bounds, 0.2 / bounds),
        ]
    )


LOG_PRIOR: Final[Array] = np.log(_weights())
_PROOF_QUANTILES: Final = np.array([0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.997])
_PROOF_PARTS: Final = np.array([0.0, -0.5, 0.4])  # of the way from stable to what is tolerated
PROOF_LOG_PRIOR: Final = np.log(np.array([0.6, 0.2, 0.2]))
_RATIO_MOST: Final = 50.0
_LEAST: Final = 1e-6


def smoothed(counts: Array) -> Array:
    """Frequencies of the buckets, none of them 0."""
    counts = counts + 0.005
    return np.asarray(counts / counts.sum(-1, keepdims=True))


@dataclass(frozen=True, slots=True)
class Latency:
    """``increase`` is how many more of the requests may be slower than any bound, as a share."""

    increase: float = 0.0

    def bets(self, stable: Array, share: float | Array) -> Bets:
        """Against "at no bound more requests are slower than tolerated": ``(..., 24, B)``."""
        q0 = smoothed(stable)
        beyond = np.cumsum(q0[..., ::-1], -1)[..., ::-1]  # at least bucket i
        moved = [*self._slower(beyond), *self._heavier(beyond)]
        ratio = _growing(np.stack([_frequencies(one) / q0 for one in moved], -2))
        h = factor(ratio, share)
        by_profile = bets_on(ratio, share, self.increase * (h[..., -1] - h[..., 0]))
        by_bound = self._beyond(q0, share)
        pairs = zip(by_profile, by_bound, strict=True)
        return Bets(*(np.concatenate(pair, -2) for pair in pairs))

    def proof(self, stable: Array, share: float | Array) -> Bets:
        """For each of some bounds, against "more requests are slower than tolerated":
        ``(..., 8, 3, B)``. Every bound must be proven.
        """
        q0 = smoothed(stable)
        index, p0 = _bounds(q0, _PROOF_QUANTILES)
        p0 = p0[..., None]
        limit = boundary(p0, self.increase)
        hoped = np.maximum(p0 + _PROOF_PARTS * (limit - p0), 0.2 * p0)
        bets = margin_bets(p0, hoped, share, self.increase, at_most=False)
        return _by_bucket(bets, index, q0.shape[-1])

    def _slower(self, beyond: Array) -> list[Array]:
        """Everything takes ``c`` times as long: the tail, so many buckets later."""
        return [np.maximum(beyond, _later(beyond, 4 * log2(c))) for c in _FACTORS]

    def _heavier(self, beyond: Array) -> list[Array]:
        """The tail from a quantile on is heavier, whatever its shape: Lehmann's alternatives
        (1953, "The power of rank tests").
        """
        return [
            np.where(
                beyond < 1 - start, (1 - start) * (beyond / (1 - start)) ** (1 / power), beyond
            )
            for start in _STARTS
            for power in _POWERS
        ]

    def _beyond(self, q0: Array, share: float | Array) -> Bets:
        """More requests are slower than one bound."""
        index, p0 = _bounds(q0, _QUANTILES)
        p0 = p0[..., None]
        suspected = np.minimum(shifted(boundary(p0, self.increase), _SHIFTS), 1 - _LEAST)
        bets = _by_bucket(margin_bets(p0, suspected, share, self.increase), index, q0.shape[-1])
        return Bets(*(a.reshape(*a.shape[:-3], -1, a.shape[-1]) for a in bets))


def _frequencies(beyond: Array) -> Array:
    """Of the buckets, from the tail ``P(at least bucket i)``."""
    after = np.concatenate([beyond[..., 1:], np.zeros_like(beyond[..., :1])], -1)
    return np.asarray(np.maximum(beyond - after, 1e-12))


def _later(beyond: Array, buckets: float) -> Array:
    """The tail ``P(at least bucket i)`` with everything so many buckets later."""
    whole = floor(buckets)
    part = buckets - whole
    padded = np.concatenate([np.ones((*beyond.shape[:-1], whole + 1)), beyond], -1)
    size = beyond.shape[-1]
    return np.asarray((1 - part) * padded[..., 1 : size + 1] + part * padded[..., :size])


def _bounds(q0: Array, quantiles: Array) -> tuple[Array, Array]:
    """For each quantile: the last bucket up to it, and the share of requests beyond."""
    below = np.cumsum(q0, -1)
    index = (below[..., None, :] < quantiles[:, None]).sum(-1)
    index = np.minimum(index, q0.shape[-1] - 2)
    return index, np.clip(1 - np.take_along_axis(below, index, -1), _LEAST, 1 - _LEAST)


def _by_bucket(bets: Bets, index: Array, size: int) -> Bets:
    """Bets ``(..., G, j, 2)`` on "beyond a bound" told for each bucket: ``(..., G, j, B)``."""
    slow = (np.arange(size) > index[..., None])[..., None, :]
    return Bets(*(np.where(slow, one[..., 1:], one[..., :1]) for one in bets))


def _growing(ratio: Array) -> Array:
    """The mean of the least growing function above and the greatest below."""
    ratio = np.clip(ratio, 1 / _RATIO_MOST, _RATIO_MOST)
    above = np.maximum.accumulate(ratio, -1)
    below = np.minimum.accumulate(ratio[..., ::-1], -1)[..., ::-1]
    return np.asarray(0.5 * (above + below))
