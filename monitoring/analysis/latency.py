"""Suspicions about latency: everything takes longer, a part does, or more pass some bound.

Outcomes are geometric buckets, ratio ``2 ** (1 / 4)``, from 0.25 ms to 65.5 s, the last one without
an end. All ratios grow with the bucket, so being faster is never held against a candidate.

The bank is small on purpose: each suspicion takes its part of the stake from all others. These 23,
found by simulation, detect sooner than 94 did. Powers of the tail are Lehmann's alternatives (1953,
"The power of rank tests").
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log2
from typing import Final

import numpy as np

from monitoring.analysis.betting import Array, Bets, bets_on, factor
from monitoring.analysis.margin import boundary, margin_bets, shifted

_FACTORS: Final = (1.06, 1.2, 1.5)  # everything takes so many times as long
_POWERS: Final = (2.0, 5.0)  # P(slower than anything) to the power of one over this
# (f, c): so much of the requests takes c times as long, a cache that misses or a queue that fills.
_PARTS: Final = ((0.015, 3.0), (0.015, 16.0), (0.06, 3.0), (0.06, 16.0))
_KAPPAS: Final = (100.0, 1000.0)  # requests of its own after which what it has shown is believed
_QUANTILES: Final = np.array([0.25, 0.5, 0.75, 0.9])  # bounds that more requests pass ...
_SHIFTS: Final = np.array([0.15, 0.4, 1.0])  # ... by the log-odds
_PROFILES: Final = np.array([0.10, 0.10, 0.10, 0.15, 0.20, 0.08, 0.08, 0.09, 0.09])


def _weights() -> Array:
    """Of all suspicions, in the order :meth:`Latency.bets` gives them."""
    bounds = len(_QUANTILES) * len(_SHIFTS)
    profiles = 0.92 * _PROFILES / _PROFILES.sum()
    seen = np.full(len(_KAPPAS), 0.08 / len(_KAPPAS))
    return np.concatenate([0.85 * profiles, 0.85 * seen, np.full(bounds, 0.15 / bounds)])


LOG_PRIOR: Final[Array] = np.log(_weights())
_PROOF_QUANTILES: Final = np.array([0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.997])
_PROOF_PARTS: Final = np.array([0.0, -0.5, 0.4])  # of the way from stable to what is tolerated
PROOF_LOG_PRIOR: Final = np.log(np.array([0.6, 0.2, 0.2]))
_RATIO_MOST: Final = 50.0
_LEAST: Final = 1e-6


def smoothed(counts: Array) -> Array:
    """Frequencies of the buckets, none of them 0: neighbours lend each other a little."""
    padded = np.concatenate([counts[..., :1], counts, counts[..., -1:]], -1)
    counts = 0.25 * padded[..., :-2] + 0.5 * padded[..., 1:-1] + 0.25 * padded[..., 2:] + 0.005
    return np.asarray(counts / counts.sum(-1, keepdims=True))


@dataclass(frozen=True, slots=True)
class Latency:
    """``increase`` is how many more of the requests may be slower than any bound, as a share."""

    increase: float | Array = 0.0

    def bets(self, stable: Array, candidate: Array, share: float | Array) -> Bets:
        """Against "at no bound more requests are slower than tolerated": ``(..., 23, B)``."""
        q0 = smoothed(stable)
        beyond = np.cumsum(q0[..., ::-1], -1)[..., ::-1]  # at least bucket i
        slower = [_later(beyond, c) for c in _FACTORS]
        slower += [beyond ** (1 / power) for power in _POWERS]
        slower += [(1 - f) * beyond + f * _later(beyond, c) for f, c in _PARTS]
        ratio = [_frequencies(np.maximum(one, beyond)) / q0 for one in slower]
        seen = candidate.sum(-1, keepdims=True)
        ratio += [(candidate + kappa * q0) / ((seen + kappa) * q0) for kappa in _KAPPAS]
        profiles = _growing(np.stack(ratio, -2))
        h = factor(profiles, share)
        by_profile = bets_on(profiles, share, self.increase * (h[..., -1] - h[..., 0]))
        pairs = zip(by_profile, self._beyond(q0, share), strict=True)
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


def _later(beyond: Array, factor: float) -> Array:
    """The tail ``P(at least bucket i)`` if everything takes so many times as long."""
    buckets = 4 * log2(factor)
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
