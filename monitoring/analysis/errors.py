"""Suspicions about the share of bad answers, and the mirror test that proves it tolerable.

Outcomes are (good, bad). The bank and its prior are wide: a candidate may fail 15 % more often than
is tolerated, or always.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from monitoring.analysis.betting import Array, Bets
from monitoring.analysis.margin import boundary, margin_bets, shifted

_SHIFTS: Final = 0.15 * 1.35 ** np.arange(14)  # of the log-odds above what is tolerated
_SHIFT_WEIGHTS: Final = np.array([1, 1, 2, 2, 3, 4, 6, 8, 10, 10, 8, 5, 3, 1]) / 64 * 0.70
_RATES: Final = np.array([0.30, 0.60, 0.95])  # of a candidate that is simply broken
_RATE_WEIGHTS: Final = np.array([0.086, 0.043, 0.171])
LOG_PRIOR: Final[Array] = np.log(np.concatenate([_SHIFT_WEIGHTS, _RATE_WEIGHTS]))

# "The candidate is as good as stable", better, and between stable and what is tolerated.
_PROOF_PARTS: Final = np.array([0.0, -0.6, 0.4])  # of the way from stable to the boundary
PROOF_LOG_PRIOR: Final = np.log(np.array([0.6, 0.2, 0.2]))

_GUESS: Final = np.array([49.5, 0.5])  # requests of stable before any was seen
_LEAST: Final = 1e-6
_MOST: Final = 1 - 1e-6


def rate_of(stable: Array) -> Array:
    """What share of stable's answers is bad, from ``(..., 2)`` counts. It only shapes the bets: a
    wrong one costs speed, never validity.
    """
    counts = stable + _GUESS
    return np.asarray(np.clip(counts[..., 1] / counts.sum(-1), _LEAST, _MOST))


@dataclass(frozen=True, slots=True)
class Errors:
    """``increase`` is what is tolerated, as a share of all requests; ``ratio`` times stable's."""

    increase: float | Array = 0.0
    ratio: float = 1.0

    def bets(self, stable: Array, share: float | Array) -> Bets:
        """Against "bad at most as often as tolerated": ``(..., 17, 2)``."""
        p0 = rate_of(stable)[..., None]
        limit = boundary(p0, self.increase, self.ratio)
        least = shifted(limit, _SHIFTS[0])
        suspected = np.concatenate(
            [
                shifted(limit, _SHIFTS),
                np.maximum(np.broadcast_to(_RATES, (*p0.shape[:-1], 3)), least),
            ],
            -1,
        )
        return margin_bets(p0, np.minimum(suspected, _MOST), share, self.increase, self.ratio)

    def proof(self, stable: Array, share: float | Array) -> Bets:
        """Against "bad at least as often as tolerated and more": ``(..., 3, 2)``. Needs a margin:
        without one nothing can be proven equal.
        """
        p0 = rate_of(stable)[..., None]
        limit = boundary(p0, self.increase, self.ratio)
        hoped = np.maximum(p0 + _PROOF_PARTS * (limit - p0), 0.2 * p0)
        return margin_bets(p0, hoped, share, self.increase, self.ratio, at_most=False)


def limit_bets(limit: float) -> Bets:
    """Against "bad in at most this share", whatever stable does: ``(17, 2)`` for
    :data:`LOG_PRIOR`. Stable's answers are no part of it.
    """
    least = shifted(np.asarray(limit), _SHIFTS[0])
    rates = np.concatenate([shifted(np.asarray(limit), _SHIFTS), np.maximum(_RATES, least)])
    rates = np.minimum(rates, _MOST)
    candidate = np.stack([np.log1p(-rates) - np.log1p(-limit), np.log(rates) - np.log(limit)], -1)
    return Bets(candidate, np.zeros_like(candidate))
