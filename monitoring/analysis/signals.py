"""What is compared: from counts to outcomes, and which bank of suspicions bets on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from gateway.counting.counts import OTHER_LABEL
from gateway.counting.grid import LATENCY_BOUNDS
from monitoring.analysis import errors, latency, predictions, spans, split
from monitoring.analysis.betting import Array, Bets
from monitoring.readings.evidence import Counts

_FAILURES: Final = ("unreadable", "absent")  # of good answers, reasons for no prediction
_ENOUGH: Final = 200  # predictions of stable before its classes or tenths are fixed
_TENTHS: Final = 10

Frame = tuple[str, ...] | tuple[int, ...]
"""What the outcomes of a signal are, where traffic has to show it first."""


class Signal(Protocol):
    """Outcomes are an array of counts, ``(B,)``; ``weight`` is the signal's part of the evidence
    that leads to a rollback, before those that are compared are scaled to 1. ``rail``: a candidate
    must be proven good in it before it may be promoted.
    """

    def __hash__(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def weight(self) -> float: ...
    @property
    def rail(self) -> bool: ...

    def frame(self, stable: Counts) -> Frame | None:
        """What the outcomes are; None as long as stable has not shown it."""

    def outcomes(self, counts: Counts, frame: Frame) -> Array: ...
    def log_prior(self, frame: Frame) -> Array: ...
    def bets(self, stable: Array, candidate: Array, share: float) -> Bets: ...

    def proof_log_prior(self) -> Array | None:
        """None: nothing is tolerated, so nothing can be proven equal."""

    def proof(self, stable: Array, share: float) -> Bets:
        """``(G, J, B)``: each of ``G`` nulls must be rejected."""


def bad_of(counts: Counts, declared: bool) -> int:
    """Requests without a good answer. An answer that cannot be read is none, nor is one with a
    label that nobody declared.
    """
    missing, labels = dict(counts.missing), dict(counts.labels)
    unknown = labels.get(OTHER_LABEL, 0) if declared else 0
    return counts.bad + unknown + sum(missing.get(reason, 0) for reason in _FAILURES)


def good_and_bad(counts: Counts, declared: bool) -> Array:
    """Requests that got a good answer, and those that did not: ``(2,)``. Who left is neither."""
    bad = bad_of(counts, declared)
    return np.array([max(counts.assigned - counts.gone - bad, 0), bad], dtype=np.float64)


def within_and_beyond(counts: Counts, bound: int) -> Array:
    """Answers that took up to a bound, an index of the latency buckets, and longer: ``(2,)``."""
    beyond = sum(counts.latency[bound + 1 :])
    return np.array([sum(counts.latency) - beyond, beyond], dtype=np.float64)


def answers_of(counts: Counts) -> dict[str, int]:
    """The different answers: labels, or values where there are none, or bins of the score."""
    if counts.labels:
        return dict(counts.labels)
    if counts.values:
        return dict(counts.values)
    return {f"score bin {bin}": number for bin, number in enumerate(counts.scores) if number}


@dataclass(frozen=True, slots=True)
class Errors:
    """Good and bad answers. ``declared``: the file names the labels there are."""

    increase: float
    declared: bool
    name: str = "errors"
    weight: float = 0.5
    rail: bool = True

    def frame(self, stable: Counts) -> Frame | None:
        return ("good", "bad")

    def outcomes(self, counts: Counts, frame: Frame) -> Array:
        return good_and_bad(counts, self.declared)

    def log_prior(self, frame: Frame) -> Array:
        return errors.LOG_PRIOR

    def bets(self, stable: Array, candidate: Array, share: float) -> Bets:
        return errors.Errors(self.increase).bets(stable, share)

    def proof_log_prior(self) -> Array | None:
        return errors.PROOF_LOG_PRIOR if self.increase else None

    def proof(self, stable: Array, share: float) -> Bets:
        return _first(self.proofs(stable, share, np.array([self.increase])))

    def proofs(self, stable: Array, share: float, tolerated: Array) -> Bets:
        """The proof for each of so many tolerances, ``(T,)``, and not its own: ``(T, G, J, B)``.
        At once is much sooner than one by one, and the same to the last bit.
        """
        bets = errors.Errors(tolerated[:, None]).proof(stable, share)
        return Bets(bets.candidate[:, None], bets.stable[:, None])


@dataclass(frozen=True, slots=True)
class Latency:
    """What a whole answer took; a timeout is as slow as can be. Buckets up to ``floor`` are one:
    which of them an answer falls into makes no difference to anybody.
    """

    increase: float
    floor: int = 0
    name: str = "latency"
    weight: float = 0.3
    rail: bool = True

    def frame(self, stable: Counts) -> Frame | None:
        return () if sum(stable.latency) >= _ENOUGH else None

    def outcomes(self, counts: Counts, frame: Frame) -> Array:
        buckets = _padded(counts.latency, len(LATENCY_BOUNDS) + 1)
        buckets[self.floor] = buckets[: self.floor + 1].sum()
        buckets[: self.floor] = 0.0
        return buckets

    def log_prior(self, frame: Frame) -> Array:
        return latency.LOG_PRIOR

    def bets(self, stable: Array, candidate: Array, share: float) -> Bets:
        return latency.Latency(self.increase).bets(stable, candidate, share)

    def proof_log_prior(self) -> Array | None:
        return latency.PROOF_LOG_PRIOR if self.increase else None

    def proof(self, stable: Array, share: float) -> Bets:
        return _first(self.proofs(stable, share, np.array([self.increase])))

    def proofs(self, stable: Array, share: float, tolerated: Array) -> Bets:
        return latency.Latency(tolerated[:, None, None]).proof(stable, share)


@dataclass(frozen=True, slots=True)
class _Classes:
    """What predictions by label, by score and by value have in common."""

    shift: float
    name: str
    weight: float = 0.1
    rail: bool = True

    def log_prior(self, frame: Frame) -> Array:
        return predictions.log_prior(len(frame) + 1)

    def bets(self, stable: Array, candidate: Array, share: float) -> Bets:
        return predictions.Predictions(self.shift).bets(stable, candidate, share)

    def proof_log_prior(self) -> Array | None:
        return predictions.PROOF_LOG_PRIOR if self.shift else None

    def proof(self, stable: Array, share: float) -> Bets:
        return _first(self.proofs(stable, share, np.array([self.shift])))

    def proofs(self, stable: Array, share: float, tolerated: Array) -> Bets:
        return predictions.Predictions(tolerated[:, None, None]).proof(stable, share)


@dataclass(frozen=True, slots=True)
class Labels(_Classes):
    """Predicted labels: those declared, or those stable has shown; all others are one class."""

    declared: tuple[str, ...] = ()

    def frame(self, stable: Counts) -> Frame | None:
        if self.declared:
            return self.declared
        shown = {label: n for label, n in stable.labels if label != OTHER_LABEL}
        return tuple(shown) if sum(shown.values()) >= _ENOUGH else None

    def outcomes(self, counts: Counts, frame: Frame) -> Array:
        numbers = dict(counts.labels)
        own = [numbers.pop(str(label), 0) for label in frame]
        return np.array([*own, sum(numbers.values())], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Scores(_Classes):
    """Predicted scores by stable's tenths: bins put together so that each has about as much."""

    def frame(self, stable: Counts) -> Frame | None:
        """The bins at which a new tenth begins, but the first."""
        seen = np.cumsum(stable.scores)
        if not seen.size or seen[-1] < _ENOUGH:
            return None
        tenths = np.searchsorted(seen, seen[-1] * np.arange(1, _TENTHS) / _TENTHS) + 1
        return tuple(int(bin) for bin in np.unique(tenths))

    def outcomes(self, counts: Counts, frame: Frame) -> Array:
        borders = [0, *(int(one) for one in frame)]
        padded = _padded(counts.scores, max(len(counts.scores), borders[-1] + 1))
        return np.add.reduceat(padded, borders)


@dataclass(frozen=True, slots=True)
class Values(_Classes):
    """Predicted values by the bounds of the file between which stable's tenths lie."""

    def frame(self, stable: Counts) -> Frame | None:
        return spans.borders(stable.values, _TENTHS, _ENOUGH)

    def outcomes(self, counts: Counts, frame: Frame) -> Array:
        return spans.parts(counts.values, [float(one) for one in frame])


@dataclass(frozen=True, slots=True)
class Split:
    """How many requests each version was assigned."""

    name: str = "split"
    weight: float = 0.0
    rail: bool = False

    def frame(self, stable: Counts) -> Frame | None:
        return ("request",)

    def outcomes(self, counts: Counts, frame: Frame) -> Array:
        return np.array([counts.assigned], dtype=np.float64)

    def log_prior(self, frame: Frame) -> Array:
        return split.LOG_PRIOR

    def bets(self, stable: Array, candidate: Array, share: float) -> Bets:
        return split.split_bets(share)

    def proof_log_prior(self) -> Array | None:
        return None

    def proof(self, stable: Array, share: float) -> Bets:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Limit:
    """Whatever stable does: the candidate's bad answers, or those slower than ``bound`` (an index
    of the latency buckets), are at most this share of all.
    """

    most: float
    declared: bool
    bound: int | None = None
    weight: float = 0.1
    rail: bool = False

    @property
    def name(self) -> str:
        return "error limit" if self.bound is None else "latency limit"

    def frame(self, stable: Counts) -> Frame | None:
        return ("within", "beyond")

    def outcomes(self, counts: Counts, frame: Frame) -> Array:
        if self.bound is None:
            return good_and_bad(counts, self.declared)
        return within_and_beyond(counts, self.bound)

    def log_prior(self, frame: Frame) -> Array:
        return errors.LOG_PRIOR

    def bets(self, stable: Array, candidate: Array, share: float) -> Bets:
        return errors.limit_bets(self.most)

    def proof_log_prior(self) -> Array | None:
        return None

    def proof(self, stable: Array, share: float) -> Bets:
        raise NotImplementedError


def _first(bets: Bets) -> Bets:
    return Bets(bets.candidate[0], bets.stable[0])


def _padded(numbers: tuple[int, ...], size: int) -> Array:
    padded = np.zeros(size)
    padded[: len(numbers)] = numbers[:size]
    return padded
