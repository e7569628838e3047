"""The verdict's own arithmetic, for many runs side by side, with a look after every request.

Everything here goes through the product's functions: bets, increments and the mixture. Only the
looks between two windows multiply factors themselves; that they agree with the mixture at the end
of each window is a test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from monitoring.analysis import errors, latency, predictions, split
from monitoring.analysis.betting import Array, Bets, increments
from monitoring.analysis.mixture import Mixture
from tests.calibration.streams import Block, Flags, Floats, Ints

ALPHA: Final = 0.05
PAST: Final = 10_000  # requests of stable that are known before a run begins
BUCKETS: Final = 74  # ratio 2 ** (1 / 4) from 0.25 ms on, the last one without an end
FINE: Final = 4608  # 256 to an octave: what a rule on raw seconds sees of them


def buckets(seconds: Floats) -> Ints:
    """The bucket of each duration."""
    index: Floats = np.ceil(4 * np.log2(seconds / 0.00025))
    return np.clip(index, 0, BUCKETS - 1).astype(np.int64)


def fine_buckets(seconds: Floats) -> Ints:
    """Buckets so narrow that ties among them hardly matter."""
    index: Floats = np.ceil(256 * np.log2(seconds / 0.00025))
    return np.clip(index, 0, FINE - 1).astype(np.int64)


def coarse(fine: Ints) -> Ints:
    """The bucket a fine bucket lies in."""
    return np.clip(-(-fine // 64), 0, BUCKETS - 1)


@dataclass(frozen=True)
class Signal:
    """One kind of outcome and what is bet on it. ``usual`` are stable's frequencies before the run,
    off by a factor ``exp(N(0, unsure))`` of the last outcome's odds in each run.
    """

    name: str
    usual: Array
    log_prior: Array
    bets: Callable[[Array, Array, float], Bets]
    refresh: int = 64
    half_life: float = np.inf  # requests of stable
    unsure: float = 0.0
    restarts: bool = True  # a proof has none: a healthy past speaks for a candidate
    seen: Callable[[Ints], Ints] | None = None  # from the stream's outcomes to the signal's


def error_signal(
    rate: float, increase: float = 0.0, ratio: float = 1.0, unsure: float = 0.0
) -> Signal:
    """Against "fails at most as often as tolerated"."""
    test = errors.Errors(increase, ratio)
    return Signal(
        "errors",
        np.array([1 - rate, rate]),
        errors.LOG_PRIOR,
        lambda stable, candidate, share: test.bets(stable, share),
        half_life=20_000,
        unsure=unsure,
    )


def proof_signal(rate: float, increase: float) -> Signal:
    """Against "fails more often than tolerated": the mirror test."""
    test = errors.Errors(increase)
    return Signal(
        "errors",
        np.array([1 - rate, rate]),
        errors.PROOF_LOG_PRIOR,
        lambda stable, candidate, share: test.proof(stable, share),
        half_life=20_000,
        restarts=False,
    )


def latency_signal(usual: Array, fine: bool = False) -> Signal:
    """Against "slower at no bound"."""
    test = latency.Latency()
    seen = coarse if fine else None
    return Signal(
        "latency",
        usual,
        latency.LOG_PRIOR,
        test.bets,
        refresh=250,
        seen=seen,
    )


def class_signal(usual: Array) -> Signal:
    """Against "the same mix of classes"."""
    test = predictions.Predictions()
    return Signal("classes", usual, predictions.log_prior(len(usual)), test.bets, refresh=250)


def split_signal() -> Signal:
    """Against "the candidate is drawn as configured"."""
    prior = split.LOG_PRIOR
    return Signal("split", np.ones(1), prior, lambda stable, candidate, w: split.split_bets(w))


@dataclass
class Evidence:
    """What one signal has gathered in each run."""

    signal: Signal
    runs: int
    rng: np.random.Generator
    stable: Array = field(init=False)
    candidate: Array = field(init=False)
    mixture: Mixture = field(init=False)
    _bets: Bets | None = None
    _share: float = 0.0
    _due: int = 0

    def __post_init__(self) -> None:
        usual, prior = self.signal.usual, self.signal.log_prior
        past = np.tile(usual, (self.runs, 1))
        past[:, -1] *= np.exp(self.signal.unsure * self.rng.standard_normal(self.runs))
        past /= past.sum(1, keepdims=True)
        self.stable = self.rng.multinomial(PAST, past).astype(np.float64)
        self.candidate = np.zeros_like(self.stable)
        logs = np.tile(prior, (self.runs, 1))
        self.mixture = Mixture.begun(logs) if self.signal.restarts else Mixture(logs)

    def looks(self, block: Block) -> Array:
        """The evidence after each request of the block, ``(T, R)``."""
        size = len(self.signal.usual)
        outcomes = block.outcomes[self.signal.name]
        if self.signal.seen:
            outcomes = self.signal.seen(outcomes)
        codes = np.where(block.arm, outcomes + size, outcomes)
        if block.counted is not None:
            codes = np.where(block.counted, codes, 2 * size)
        codes += np.arange(self.runs) * (2 * size + 1)
        self._renew(block)
        assert self._bets
        begun = self.mixture
        if self.signal.restarts:  # a window without requests: the restart alone, if one is due
            begun = begun.grown(self.signal.log_prior, np.zeros_like(begun.logs), 0)
        evidence = _path(begun.logs, self._factors, codes)
        if self.signal.restarts:
            evidence += begun.reserve
        places = np.bincount(codes.ravel(), minlength=self.runs * (2 * size + 1))
        counts: Array = places.reshape(self.runs, -1).astype(np.float64)
        stable, candidate = counts[:, :size], counts[:, size : 2 * size]
        grown = increments(self._bets, candidate, stable)
        requests = len(codes) if self.signal.restarts else 0
        self.mixture = begun.grown(self.signal.log_prior, grown, requests)
        fading = 0.5 ** (stable.sum(1, keepdims=True) / self.signal.half_life)
        self.stable = self.stable * fading + stable
        self.candidate = self.candidate + candidate
        return evidence

    def _renew(self, block: Block) -> None:
        """New bets from what is known so far, if it is time for it."""
        if self._bets is not None and block.share == self._share and block.start < self._due:
            return  # bets belong to one share: kept beyond an epoch, they would promise nothing
        bets = self.signal.bets(self.stable, self.candidate, block.share)
        shape = (self.runs, len(self.signal.log_prior), len(self.signal.usual))
        self._bets = Bets(*(np.broadcast_to(one, shape) for one in bets))
        nothing = np.zeros((*shape[:2], 1))  # what a request that is not counted says
        both = np.concatenate([self._bets.stable, self._bets.candidate, nothing], -1)
        self._factors = np.exp(both).swapaxes(1, 2).reshape(-1, shape[1])
        self._share, self._due = (
            block.share,
            block.start + max(self.signal.refresh, block.start // 20),
        )

    def keep(self, stay: Flags) -> None:
        """Drops the other runs."""
        self.stable, self.candidate = self.stable[stay], self.candidate[stay]
        self.mixture = Mixture(self.mixture.logs[stay], self.mixture.restarts, self.mixture.since)
        if self._bets is not None:
            rows = self._factors.reshape(self.runs, -1, self._factors.shape[-1])
            self._factors = rows[stay].reshape(-1, rows.shape[-1])
            self._bets = Bets(*(one[stay] for one in self._bets))
        self.runs = int(stay.sum())


def _path(logs: Array, factors: Array, codes: Ints) -> Array:
    """The sum over suspicions after each of some requests. ``factors`` has a row for each code."""
    held = np.exp(np.minimum(logs, 300.0))  # far above any alarm, and still far from inf
    taken = np.empty_like(held)
    ones = np.ones(held.shape[1])
    evidence = np.empty(codes.shape)
    with np.errstate(over="ignore"):  # runs that are decided may go on to the end of the block
        for row, code in zip(evidence, codes, strict=True):
            np.take(factors, code, 0, out=taken, mode="clip")  # "clip": to out without a copy
            np.multiply(held, taken, out=held)
            np.dot(held, ones, out=row)
    return evidence


class Watch:
    """A verdict on several signals: their average by weight, against ``1 / ALPHA``."""

    def __init__(
        self, signals: Sequence[tuple[float, Signal]], runs: int, rng: np.random.Generator
    ) -> None:
        self.weights = [weight for weight, _ in signals]
        self.held = [Evidence(signal, runs, rng) for _, signal in signals]

    def see(self, block: Block) -> Flags:
        """After which requests of the block it says "failed", ``(T, R)``."""
        looks = (one.looks(block) for one in self.held)
        total = sum(weight * one for weight, one in zip(self.weights, looks, strict=True))
        return np.asarray(total >= 1 / ALPHA)

    def keep(self, stay: Flags) -> None:
        for one in self.held:
            one.keep(stay)
