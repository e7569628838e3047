"""What is simulated: one case is one row of a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from tests.calibration.races import NEVER, Rule, race
from tests.calibration.signals import Signal, Watch
from tests.calibration.streams import Ints, Scene, Traffic

LONG: Final = 100_000  # requests of a run without a defect


@dataclass(frozen=True)
class Reference:
    """What was measured before: median and 95 % quantile of requests, mean over the limit."""

    median: float
    p95: float
    mean: float | None = None


@dataclass(frozen=True)
class Case:
    """``runs`` is a share of those asked for; ``batch`` is how many run side by side."""

    table: str
    name: str
    traffic: Traffic
    signals: tuple[tuple[float, Signal], ...]
    requests: int = LONG
    batch: int = 500
    runs: float = 1.0
    change: int = 0  # the request from which on something is wrong
    limit: float | None = None  # requests
    reference: Reference | None = None
    extreme: bool = False  # so far off that the mean over the limit says little
    bounded: bool = True  # a null whose alarms must be few; False: shown for comparison
    rivals: Callable[[int], dict[str, Rule]] | None = None

    @property
    def refresh(self) -> int:
        """As often as the most eager signal renews its bets."""
        return min(signal.refresh for _, signal in self.signals)

    def simulate(self, runs: int, seed: list[int]) -> dict[str, Ints]:
        """Requests until each rule said "failed", by its name: ours is "ours"."""
        rng = np.random.default_rng(seed)
        rules: dict[str, Rule] = {"ours": Watch(self.signals, runs, rng)}
        if self.rivals:
            rules |= self.rivals(runs)
        scene = Scene(self.traffic, rng, runs, self.requests)
        when = race(scene, list(rules.values()), self.refresh, self.change)
        return dict(zip(rules, when, strict=True))

    def delays(self, when: Ints) -> Ints:
        """Requests since the change, in runs without an alarm before it; a run that never alarmed
        counts with all its requests.
        """
        late = when[(when == NEVER) | (when > self.change)]
        return np.where(late == NEVER, self.requests, late) - self.change
