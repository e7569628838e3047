"""What two versions live through, by the time of day: swings, outages of both, and defects.

Identical versions behave alike at every moment, however bad the moment is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import pi, sin
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tests.calibration.limits import bounds, frequencies_of
from tests.calibration.streams import Floats
from tests.simulation import Behaviour

DAY: Final = 86_400.0
MEDIAN: Final = 0.08  # seconds
BAD: Final = 0.005
LABELS: Final[Mapping[str, float]] = {"no": 0.6, "maybe": 0.3, "yes": 0.1}

_OUTAGE: Final = 600.0  # seconds
_OUTAGES: Final = 0.02  # of all times


@lru_cache(maxsize=256)
def _frequencies(median: float) -> Floats:
    return frequencies_of(bounds(), ((1.0, median, 0.5),))


@dataclass(frozen=True)
class Answers(Behaviour):
    """The same draws from the frequencies of the buckets: much sooner, for millions of answers."""

    bad: float = BAD
    label: Mapping[str, float] = field(default_factory=lambda: LABELS)

    def latency(self, draw: np.random.Generator, answers: int) -> NDArray[np.int64]:
        return draw.multinomial(answers, _frequencies(self.median))


@dataclass(frozen=True)
class Weather:
    """``down`` tells of each ten minutes whether it is an outage of all versions."""

    down: tuple[bool, ...] = ()

    @classmethod
    def of(cls, draw: np.random.Generator, days: float) -> Weather:
        """So many days of it, repeated after that."""
        some = draw.random(max(int(days * DAY / _OUTAGE), 1)) < _OUTAGES
        return cls(tuple(bool(one) for one in some))

    def load(self, now: float) -> float:
        """Times the usual number of requests: a tenth at night, nearly twice as many at noon."""
        return 1 - 0.9 * sin(2 * pi * now / DAY)

    def answers(self, now: float) -> Answers:
        """How every healthy version behaves: at noon twice as many fail, all is 1.3 times as slow
        and other things are asked than at night; in an outage a third fails and all is slow.
        """
        noon = round(1 - sin(2 * pi * now / DAY), 1)  # 0 to 2
        labels = {**LABELS, "yes": LABELS["yes"] * (0.5 + noon)}
        usual = Answers(BAD * (0.3 + noon), MEDIAN * (0.85 + 0.15 * noon), labels)
        if self.down and self.down[int(now / _OUTAGE) % len(self.down)]:
            return replace(usual, bad=0.3, median=3 * usual.median)
        return usual


@dataclass(frozen=True)
class Defect:
    """What is wrong with a candidate: so many more fail, everything takes so many times as long, or
    it gives one answer only.
    """

    name: str
    bad: float = 0.0
    slower: float = 1.0
    constant: bool = False

    def of(self, healthy: Answers) -> Answers:
        """The candidate's answers where stable's are these."""
        return replace(
            healthy,
            bad=min(healthy.bad + self.bad, 1.0),
            median=healthy.median * self.slower,
            label={"no": 1.0} if self.constant else healthy.label,
        )

    @property
    def harm(self) -> float:
        """What part of its requests would have been answered better without it."""
        return self.bad or float(self.slower > 1 or self.constant)
