"""How much worse a candidate may still be while it gets only part of the requests.

What is tolerated is a number of points of *all* requests. A candidate with the share ``w`` that is
worse by ``d`` makes all requests together worse by ``w d``. So before it may get ``w``, no more has
to be proven than that it is worse by less than ``max_increase / w``: at 10 %, ten times as much as
before a promotion. That takes about a hundredth of the requests.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from gateway.config.quantities import percent_text
from gateway.model import FULL_WEIGHT
from monitoring.analysis.betting import Array, Bets
from monitoring.analysis.signals import Errors, Frame, Labels, Latency, Scores, Signal
from monitoring.evidence import Counts

_MOST: Final = 0.5  # of its requests: how much worse nobody may be, however few they are


@dataclass(frozen=True, slots=True)
class Lenient:
    """The proof of a signal for a share of ``up_to`` basis points. It says nothing of "worse"."""

    signal: Signal
    up_to: int
    weight: float = 0.0
    rail: bool = False

    @property
    def name(self) -> str:
        return f"{self.signal.name} up to {percent_text(self.up_to)} %"

    def frame(self, stable: Counts) -> Frame | None:
        return self.signal.frame(stable)

    def outcomes(self, counts: Counts, frame: Frame) -> Array:
        return self.signal.outcomes(counts, frame)

    def log_prior(self, frame: Frame) -> Array:
        return np.zeros(1)

    def bets(self, stable: Array, candidate: Array, share: float) -> Bets:
        """None: the evidence stays 1."""
        return Bets(np.zeros((1, len(stable))), np.zeros((1, len(stable))))

    def proof_log_prior(self) -> Array | None:
        return self.signal.proof_log_prior()

    def proof(self, stable: Array, share: float) -> Bets:
        return self.signal.proof(stable, share)


def lenient(signal: Signal, up_to: int) -> Lenient:
    """The proof that a rail asks for before a candidate may get ``up_to`` basis points."""
    match signal:
        case Errors(increase=tolerated) | Latency(increase=tolerated):
            return Lenient(replace(signal, increase=_scaled(tolerated, up_to)), up_to)
        case Labels(shift=tolerated) | Scores(shift=tolerated):
            return Lenient(replace(signal, shift=_scaled(tolerated, up_to)), up_to)
    raise TypeError(f"{signal.name} is no rail")


def _scaled(tolerated: float, up_to: int) -> float:
    return min(tolerated * FULL_WEIGHT / up_to, _MOST)
