"""What is remembered of one signal between two looks: under 4 kB, nothing per request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np

from monitoring.analysis.betting import Array, Bets, increments
from monitoring.analysis.mixture import Mixture
from monitoring.analysis.signals import Frame, Signal
from monitoring.readings import dumped
from monitoring.readings.evidence import Counts

_NOTHING: Final = Counts()
_BINS: Final = 10_000  # more than any score is counted by
HALF_LIFE: Final = 20_000  # requests of stable after which half of what shapes the bets is new


@dataclass(frozen=True, slots=True)
class Track:
    """``stable`` and ``candidate`` are outcomes seen so far, ``(B,)``, which shape the next bets;
    older ones of stable weigh less. ``proof`` is the log evidence of the mirror test, ``(G, J)``
    with its prior in it.
    """

    frame: Frame
    mixture: Mixture
    proof: Array | None
    stable: Array
    candidate: Array

    @classmethod
    def begun(cls, signal: Signal, past: Counts) -> Track | None:
        """Before the first window; None as long as stable has not shown what to compare.

        ``past`` are stable's requests before it: they shape the first bets and count for nothing.
        """
        frame = signal.frame(past)
        if frame is None:
            return None
        stable = signal.outcomes(past, frame)
        return cls(
            frame, Mixture.begun(signal.log_prior(frame)), None, stable, np.zeros_like(stable)
        )

    def grown(
        self,
        signal: Signal,
        candidate: Counts,
        stable: Counts,
        share: float,
        proof_bets: Bets | None = None,
    ) -> Track:
        """After a window. The bets were settled by what was seen before it; ``proof_bets`` are the
        signal's on that, where somebody has them.
        """
        own = signal.outcomes(candidate, self.frame)
        others = signal.outcomes(stable, self.frame)
        requests = int(own.sum() + others.sum())
        if not requests:
            return self
        grown = increments(signal.bets(self.stable, self.candidate, share), own, others)
        log_prior = signal.log_prior(self.frame)
        proof = self.proof
        hopes = signal.proof_log_prior()
        if hopes is not None:
            bets = proof_bets or signal.proof(self.stable, share)
            proven = increments(bets, own, others)
            proof = (hopes if proof is None else proof) + proven
        fading = 0.5 ** (others.sum() / HALF_LIFE)
        return Track(
            self.frame,
            self.mixture.grown(log_prior, grown, requests),
            proof,
            np.round(self.stable * fading + others, 3),  # short in JSON; it only shapes bets
            self.candidate + own,
        )

    def log_proof(self) -> float | None:
        """The log evidence for "no worse than tolerated", the least of all its parts; None if
        nothing is tolerated, or nothing was seen yet.
        """
        if self.proof is None:
            return None
        highest = self.proof.max(-1)
        added = np.exp(self.proof - highest[..., None]).sum(-1)
        return float((highest + np.log(added)).min())

    def dumped(self) -> dict[str, Any]:
        """As JSON: lists of numbers that are read back to the last bit."""
        return {
            "frame": list(self.frame),
            **self.mixture.dumped(),
            "proof": None if self.proof is None else self.proof.tolist(),
            "stable": self.stable.tolist(),
            "candidate": [int(one) for one in self.candidate],
        }

    @classmethod
    def loaded(cls, document: Mapping[str, Any], signal: Signal) -> Track:
        """The opposite of :meth:`dumped`, for a track of this signal."""
        frame = _frame_of(document["frame"])
        outcomes = len(signal.outcomes(_NOTHING, frame))
        stable, candidate = (
            np.array(dumped.numbers(document[one], outcomes, least=0.0), dtype=np.float64)
            for one in ("stable", "candidate")
        )
        proof = document["proof"]
        if proof is not None:
            shape = _proof_shape(signal, outcomes)
            proof = np.array(dumped.numbers(proof, *shape), dtype=np.float64)
        mixture = Mixture.loaded(document, *_shape(signal, frame))
        return cls(frame, mixture, proof, stable, candidate)


# The bets are dear, and a history has thousands of verdicts on few questions.
@lru_cache(1024)
def _proof_shape(signal: Signal, outcomes: int) -> tuple[int, ...]:
    """Of the evidence of the mirror test."""
    if signal.proof_log_prior() is None:
        raise ValueError(f"nothing is to be proven of {signal.name}")
    return signal.proof(np.zeros(outcomes), 0.5).stable.shape[:-1]


@lru_cache(1024)
def _shape(signal: Signal, frame: Frame) -> tuple[int, ...]:
    """Of the evidence."""
    return signal.log_prior(frame).shape


def _frame_of(found: list[object]) -> Frame:
    """Names, or places among at most so many bins."""
    if all(isinstance(one, str) for one in found):
        return tuple(map(dumped.text, found))
    return tuple(dumped.whole(one, most=_BINS) for one in found)
