"""Suspicions about what is predicted: one class more or less often, or any other mix.

Outcomes are classes: labels, or stable's tenths of the score. Both directions count, as a model
that stops saying "fraud" is as suspect as one that says nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from monitoring.analysis.betting import Array, Bets, bets_on, factor
from monitoring.analysis.margin import boundary, margin_bets, shifted

_SHIFTS: Final = 0.12 * 2.0 ** np.arange(6)
_KAPPAS: Final = (30.0, 300.0, 3000.0)
_PROOF_PARTS: Final = np.array([0.0, -0.5, 0.4])
PROOF_LOG_PRIOR: Final = np.log(np.array([0.6, 0.2, 0.2]))
_LEAST: Final = 1e-6


def log_prior(classes: int) -> Array:
    """Of the suspicions :meth:`Predictions.bets` gives, in their order."""
    single = 2 * classes * len(_SHIFTS)
    mixed = len(_KAPPAS)
    weights = np.concatenate([np.full(single, 0.6 / single), np.full(mixed, 0.4 / mixed)])
    return np.asarray(np.log(weights))


def smoothed(counts: Array) -> Array:
    """Frequencies of the classes, none of them 0."""
    counts = counts + 0.5
    return np.asarray(counts / counts.sum(-1, keepdims=True))


@dataclass(frozen=True, slots=True)
class Predictions:
    """``shift`` is how much any class may be more or less frequent, as a share."""

    shift: float | Array = 0.0

    def bets(self, stable: Array, candidate: Array, share: float | Array) -> Bets:
        """Against "no class is shifted by more than tolerated": ``(..., J, K)``."""
        q0 = smoothed(stable)
        suspected = np.minimum(
            shifted(boundary(_sides(q0)[..., None], self.shift), _SHIFTS), 1 - _LEAST
        )
        single = self._by_class(q0, suspected, share)
        seen = candidate.sum(-1, keepdims=True)
        ratio = np.stack(
            [(candidate + kappa * q0) / ((seen + kappa) * q0) for kappa in _KAPPAS], -2
        )
        h = factor(ratio, share)
        # The most that shifts within the tolerance can add to the mean of h: from the classes with
        # the smaller half of its values to those with the greater.
        middle = np.median(h, -1, keepdims=True)
        mixed = bets_on(ratio, share, self.shift * np.abs(h - middle).sum(-1))
        flat = (one.reshape(*one.shape[:-3], -1, one.shape[-1]) for one in single)
        return Bets(*(np.concatenate([a, b], -2) for a, b in zip(flat, mixed, strict=True)))

    def proof(self, stable: Array, share: float | Array) -> Bets:
        """For each class and direction, against "shifted by more than tolerated":
        ``(..., 2 K, 3, K)``. Every one must be proven.
        """
        q0 = smoothed(stable)
        p0 = _sides(q0)[..., None]
        hoped = np.maximum(p0 + _PROOF_PARTS * (boundary(p0, self.shift) - p0), 0.2 * p0)
        return self._by_class(q0, hoped, share, at_most=False)

    def _by_class(
        self, q0: Array, p1: Array, share: float | Array, *, at_most: bool = True
    ) -> Bets:
        """Bets on "is this class" and "is not", ``(..., 2 K, j)``, told for each class."""
        bets = margin_bets(_sides(q0)[..., None], p1, share, self.shift, at_most=at_most)
        own = np.eye(q0.shape[-1], dtype=bool)
        hit = np.concatenate([own, ~own])[:, None, :]
        return Bets(*(np.where(hit, one[..., 1:], one[..., :1]) for one in bets))


def _sides(q0: Array) -> Array:
    """How often each class, and how often each other than that: ``(..., 2 K)``."""
    return np.asarray(np.clip(np.concatenate([q0, 1 - q0], -1), _LEAST, 1 - _LEAST))
