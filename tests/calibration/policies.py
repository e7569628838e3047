"""How else a candidate may be taken through the same steps: by time alone, or by fixed limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np

from monitoring.rollout.rules import Action
from tests.calibration.limits import bounds
from tests.calibration.streams import Floats

_BOUNDS: Final = np.array([*bounds(), np.inf])


class Policy(Protocol):
    """Told once a minute what the candidate did in it: requests, bad ones, latency by bucket."""

    def minute(self, requests: int, bad: int, latency: Floats) -> Action:
        """``ROLLBACK``, ``ADVANCE`` if it may go on when the time of the step is over, ``HOLD``."""


class TimeOnly:
    """Whatever happens."""

    def minute(self, requests: int, bad: int, latency: Floats) -> Action:
        return Action.ADVANCE


@dataclass
class FixedLimits:
    """Flagger's defaults: 99 % of a minute's requests succeed, 99 % take at most half a second; out
    at the fifth minute in which that is not so, and no step after such a one.
    """

    success: float = 0.99
    slowest: float = 0.5
    threshold: int = 5
    failed: int = 0

    def minute(self, requests: int, bad: int, latency: Floats) -> Action:
        if not requests:
            return Action.HOLD
        p99 = _BOUNDS[np.searchsorted(np.cumsum(latency), 0.99 * latency.sum())]
        # The bound of a bucket is above what is in it; half a second lies just below one.
        if bad <= (1 - self.success) * requests and p99 <= 1.05 * self.slowest:
            return Action.ADVANCE
        self.failed += 1
        return Action.ROLLBACK if self.failed >= self.threshold else Action.HOLD


@dataclass
class Minutes:
    """From what a gateway serves to what the candidate did since the last minute."""

    candidate: str
    _seen: Floats = field(default_factory=lambda: np.zeros(76))

    def since(self, document: Mapping[str, Any]) -> tuple[int, int, Floats]:
        rows = [one["routes"]["shop"][self.candidate] for one in document["generations"]]
        total = np.sum([[row["assigned"], row["bad"], *row["latency"]] for row in rows], axis=0)
        new, self._seen = total - self._seen, total
        return int(new[0]), int(new[1]), new[2:]
