"""How large a difference is: an interval that may be looked at after every request.

It holds every difference ``d`` of a grid that the data do not contradict: neither "the candidate's
rate is at most stable's plus d" nor "at least" is rejected at half of alpha each. Both are the
bets of ``margin``, so the interval needs no constant rates: it is about the difference, which may
not change, while the rates of both versions move as they like.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from monitoring.analysis.betting import Array, Bets, increments
from monitoring.analysis.margin import margin_bets
from monitoring.readings import dumped

_STEPS: Final = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03)
_WIDE: Final = (0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
GRID: Final = np.array([*(-one for one in reversed(_STEPS + _WIDE)), 0.0, *(_STEPS + _WIDE)])
_LEAST: Final = 1e-5


class Interval(NamedTuple):
    """A difference of two rates, candidate minus stable, as shares: -1 to 1."""

    low: float
    high: float


class Rates(NamedTuple):
    """Requests (miss, hit) of both versions so far, ``(2,)`` each, and the log evidence against
    "at most" and "at least" each difference of the grid, ``(2, G)``.
    """

    stable: Array
    candidate: Array
    logs: Array

    @classmethod
    def begun(cls) -> Rates:
        return cls(np.zeros(2), np.zeros(2), np.zeros((2, len(GRID))))

    def grown(self, candidate: Array, stable: Array, share: float) -> Rates:
        """After a window with these ``(miss, hit)`` counts."""
        logs = self.logs
        if self.stable.any():  # the bets of the first window would have nothing to go by
            logs = logs + increments(self._bets(share), candidate, stable)
        return Rates(self.stable + stable, self.candidate + candidate, logs)

    def interval(self, alpha: float) -> Interval:
        """What is left of the grid; the next differences of the grid are its ends."""
        above, below = self.logs >= np.log(2 / alpha)
        low, high = GRID[above], GRID[below]
        return Interval(
            float(low.max()) if low.size else -1.0, float(high.min()) if high.size else 1.0
        )

    def dumped(self) -> dict[str, Any]:
        """As JSON, from which it is read back to the last bit."""
        return {name: numbers.tolist() for name, numbers in self._asdict().items()}

    @classmethod
    def loaded(cls, document: Mapping[str, Any]) -> Rates:
        """The opposite of :meth:`dumped`."""
        seen = [dumped.numbers(document[one], 2, least=0.0) for one in ("stable", "candidate")]
        logs = dumped.numbers(document["logs"], 2, len(GRID))
        return cls(*(np.array(one, dtype=np.float64) for one in (*seen, logs)))

    def _bets(self, share: float) -> Bets:
        """On the rates seen so far, where they contradict a difference: ``(2, G, 2)``."""
        p0 = _rate(self.stable, 0.0)
        p1 = _rate(self.candidate, p0)
        rates = np.full(len(GRID), p0), np.full(len(GRID), p1)
        sides = [margin_bets(*rates, share, GRID, at_most=side) for side in (True, False)]
        return Bets(*(np.stack(pair) for pair in zip(*sides, strict=True)))


def _rate(counts: Array, guess: float) -> float:
    """The share of hits so far, pulled a little to a guess as long as there are few."""
    rate = (counts[1] + 0.5 + guess) / (counts.sum() + 1.0 + 1.0)
    return float(np.clip(rate, _LEAST, 1 - _LEAST))
