"""Rules that others use, reduced to what they decide by. A minute is 1,000 requests.

Sources: Flagger's failed checks; the z, Mann-Whitney and chi-square tests every dashboard has,
looked at each minute with a level of 5 %; PSI above 0.2; Lindon and Malek, "Anytime-valid inference
for multinomial count data" (arXiv 2011.03567), in closed form.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.special import betaln
from scipy.stats import chi2, norm

from monitoring.analysis.betting import Array
from tests.calibration.signals import ALPHA
from tests.calibration.streams import Block, Flags

MINUTE: Final = 1000
_Z: Final = float(norm.isf(ALPHA))  # one-sided


class Counter:
    """Counts of outcomes by arm, ``(R, B)``, and the last minute's."""

    def __init__(self, signal: str, outcomes: int, runs: int) -> None:
        self.signal, self.outcomes = signal, outcomes
        self.stable = np.zeros((runs, outcomes))
        self.candidate = np.zeros((runs, outcomes))
        self.minute = [np.zeros((runs, outcomes)) for _ in range(2)]

    def count(self, block: Block) -> None:
        runs = block.arm.shape[1]
        if block.start % MINUTE == 0:
            self.minute = [np.zeros((runs, self.outcomes)) for _ in range(2)]
        codes = block.outcomes[self.signal] + np.arange(runs) * self.outcomes
        for arm, minute in zip((~block.arm, block.arm), self.minute, strict=True):
            counts = np.bincount(codes[arm], minlength=runs * self.outcomes)
            minute += counts.reshape(runs, -1)
        if (block.start + len(block.arm)) % MINUTE == 0:
            self.stable += self.minute[0]
            self.candidate += self.minute[1]

    def keep(self, stay: Flags) -> None:
        self.stable, self.candidate = self.stable[stay], self.candidate[stay]
        self.minute = [one[stay] for one in self.minute]


class EachMinute:
    """A rule that looks at counts when a minute is full."""

    def __init__(self, signal: str, outcomes: int, runs: int) -> None:
        self.counter = Counter(signal, outcomes, runs)

    def see(self, block: Block) -> Flags:
        self.counter.count(block)
        said = np.zeros(block.arm.shape, bool)
        if (block.start + len(block.arm)) % MINUTE == 0:
            with np.errstate(divide="ignore", invalid="ignore"):
                said[-1] = self.judge()
        return said

    def judge(self) -> Flags:
        """Which runs are "failed" at the end of this minute."""
        raise NotImplementedError

    def keep(self, stay: Flags) -> None:
        self.counter.keep(stay)


class FixedLimit(EachMinute):
    """More errors than a limit in so many minutes."""

    def __init__(self, runs: int, limit: float, failures: int = 5) -> None:
        super().__init__("errors", 2, runs)
        self.limit, self.failures = limit, failures
        self.failed = np.zeros(runs)

    def judge(self) -> Flags:
        candidate = self.counter.minute[1]
        self.failed += candidate[:, 1] > self.limit * candidate.sum(1)
        return np.asarray(self.failed >= self.failures)

    def keep(self, stay: Flags) -> None:
        super().keep(stay)
        self.failed = self.failed[stay]


class ZTest(EachMinute):
    """Two proportions, pooled over all time so far."""

    def __init__(self, runs: int) -> None:
        super().__init__("errors", 2, runs)

    def judge(self) -> Flags:
        (b0, n0), (b1, n1) = (
            (one[:, 1], one.sum(1)) for one in (self.counter.stable, self.counter.candidate)
        )
        pooled = (b0 + b1) / (n0 + n1)
        spread = np.sqrt(pooled * (1 - pooled) * (1 / n0 + 1 / n1))
        return np.asarray((b1 / n1 - b0 / n0) / spread > _Z)


class MannWhitney(EachMinute):
    """Ranks of all durations so far (of fine buckets, with the correction for ties)."""

    def judge(self) -> Flags:
        stable, candidate = self.counter.stable, self.counter.candidate
        both = stable + candidate
        n0, n1 = stable.sum(1), candidate.sum(1)
        n = n0 + n1
        below = np.cumsum(stable, 1) - stable
        u = (candidate * (below + 0.5 * stable)).sum(1)
        ties = (both**3 - both).sum(1) / (n * (n - 1))
        spread = np.sqrt(n0 * n1 / 12 * (n + 1 - ties))
        return np.asarray((u - n0 * n1 / 2) / spread > _Z)


class ChiSquare(EachMinute):
    """Equal frequencies, on all counts so far."""

    def judge(self) -> Flags:
        stable, candidate = self.counter.stable, self.counter.candidate
        both = stable + candidate
        total = both.sum(1, keepdims=True)
        distance = np.zeros(len(both))
        for one in (stable, candidate):
            expected = both * one.sum(1, keepdims=True) / total
            distance += np.where(expected > 0, (one - expected) ** 2 / expected, 0.0).sum(1)
        return np.asarray(distance > chi2.isf(ALPHA, both.shape[1] - 1))


class Psi(EachMinute):
    """The population stability index above 0.2, of the last minute or of all counts."""

    def __init__(self, classes: int, runs: int, last: bool) -> None:
        super().__init__("classes", classes, runs)
        self.last = last

    def judge(self) -> Flags:
        counter = self.counter
        arms = counter.minute if self.last else [counter.stable, counter.candidate]
        q0, q1 = ((one + 0.5) / (one + 0.5).sum(1, keepdims=True) for one in arms)
        return np.asarray(((q1 - q0) * np.log(q1 / q0)).sum(1) > 0.2)


class SplitChiSquare(EachMinute):
    """The configured share against the one seen; ``share`` does not change."""

    def __init__(self, runs: int, share: float) -> None:
        super().__init__("split", 1, runs)
        self.share = share

    def judge(self) -> Flags:
        candidate = self.counter.candidate[:, 0]
        n = candidate + self.counter.stable[:, 0]
        distance = (candidate - n * self.share) ** 2 / (n * self.share * (1 - self.share))
        return np.asarray(distance > chi2.isf(ALPHA, 1))


class LindonMalek:
    """The product, over some outcomes, of Beta-binomial evidence on the arm of those who had it.

    ``weight`` is the concentration ``k`` of a Beta(k w, k (1 - w)), or ``None`` for Beta(1, 1). It
    looks at every fifth request, at every one with few runs of few outcomes.
    """

    def __init__(
        self, signal: str, outcomes: list[int], runs: int, weight: float | None, every: int = 1
    ) -> None:
        self.signal, self.outcomes, self.weight, self.every = signal, outcomes, weight, every
        self.seen = np.zeros((len(outcomes), 2, runs))
        self.expected = np.zeros((len(outcomes), runs))  # log of the chance of the arms drawn

    def see(self, block: Block) -> Flags:
        w, k = block.share, self.weight
        a, b = (1.0, 1.0) if k is None else (k * w, k * (1 - w))
        looks = np.arange(self.every - 1, len(block.arm), self.every)
        evidence: Array = np.zeros((len(looks), block.arm.shape[1]))
        for number, outcome in enumerate(self.outcomes):
            hit = block.outcomes[self.signal] == outcome
            candidate = self.seen[number, 1] + np.cumsum(hit & block.arm, 0)
            stable = self.seen[number, 0] + np.cumsum(hit & ~block.arm, 0)
            new_candidate, new_stable = (
                candidate - self.seen[number, 1],
                stable - self.seen[number, 0],
            )
            drawn = self.expected[number] + new_candidate * np.log(w) + new_stable * np.log1p(-w)
            evidence += (
                betaln(a + candidate[looks], b + stable[looks]) - betaln(a, b) - drawn[looks]
            )
            self.seen[number] = stable[-1], candidate[-1]
            self.expected[number] = drawn[-1]
        said = np.zeros(block.arm.shape, bool)
        said[looks] = evidence >= np.log(1 / ALPHA)
        return said

    def keep(self, stay: Flags) -> None:
        self.seen, self.expected = self.seen[:, :, stay], self.expected[:, stay]
