"""How much worse a candidate may still be while it gets only part of the requests.

What is tolerated is a number of points of *all* requests. A candidate with the share ``w`` that is
worse by ``d`` makes all requests together worse by ``w d``. So before it may get ``w``, no more has
to be proven than that it is worse by less than ``max_increase / w``: at 10 %, ten times as much as
before a promotion. That takes about a hundredth of the requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from gateway.config.quantities import percent_text
from gateway.model import FULL_WEIGHT
from monitoring.analysis.betting import Array, Bets
from monitoring.analysis.signals import Errors, Frame, Labels, Latency, Scores, Signal, Values
from monitoring.readings.evidence import Counts

_Rail: TypeAlias = Errors | Latency | Labels | Scores | Values
_MOST: Final = 0.5  # of its requests: how much worse nobody may be, however few they are


@dataclass(frozen=True, slots=True)
class Lenient:
    """The proof of a signal for a share of ``up_to`` basis points. It says nothing of "worse"."""

    signal: _Rail
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


def proofs(signals: Iterable[Signal], stable: Mapping[str, Array], share: float) -> dict[str, Bets]:
    """The bets of the mirror tests by signal, where there are any; ``stable`` are its outcomes as
    each signal has seen them. Those that differ in nothing but what they tolerate are made at once.
    """
    kin: dict[tuple[str, bytes], list[Signal]] = {}
    for signal in signals:
        if signal.name in stable and signal.proof_log_prior() is not None:
            known = stable[signal.name].tobytes()
            kin.setdefault((_rail_of(signal).name, known), []).append(signal)
    found: dict[str, Bets] = {}
    for group in kin.values():
        tolerated = np.array([_tolerated(_rail_of(one)) for one in group])
        first = group[0]
        together = _rail_of(first).proofs(stable[first.name], share, tolerated)
        for number, one in enumerate(group):
            found[one.name] = Bets(together.candidate[number], together.stable[number])
    return found


def lenient(signal: Signal, up_to: int) -> Lenient:
    """The proof that a rail asks for before a candidate may get ``up_to`` basis points."""
    match signal:
        case Errors(increase=tolerated) | Latency(increase=tolerated):
            return Lenient(replace(signal, increase=_scaled(tolerated, up_to)), up_to)
        case Labels(shift=tolerated) | Scores(shift=tolerated) | Values(shift=tolerated):
            return Lenient(replace(signal, shift=_scaled(tolerated, up_to)), up_to)
    raise TypeError(f"{signal.name} is no rail")


def _rail_of(signal: Signal) -> _Rail:
    rail = signal.signal if isinstance(signal, Lenient) else signal
    assert isinstance(rail, _Rail)
    return rail


def _tolerated(rail: _Rail) -> float:
    return rail.increase if isinstance(rail, Errors | Latency) else rail.shift


def _scaled(tolerated: float, up_to: int) -> float:
    return min(tolerated * FULL_WEIGHT / up_to, _MOST)
