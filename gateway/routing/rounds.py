"""When users that stick count again.

A split sees each user once: what a candidate does to them later is evidence only if they count
again, in another *round*. Who is whose is as it was, so a round is no new draw: whoever judges must
know which round it is (see ``monitoring/analysis/case.py``). When a round ends depends on nothing
but how long the split has lasted: were it led by what came of requests, it would bend them.

The end of round ``k`` is ``first * growth ** k`` after the split began, and no round is longer than
``longest``: a day has about 45.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from gateway.routing.run import Run


@dataclass(frozen=True, slots=True)
class Schedule:
    """In seconds. ``every``: how often to look whether a round is over."""

    first: float = 60.0
    growth: float = 1.25
    longest: float = 3600.0
    every: float = 5.0

    def round_at(self, passed: float) -> int:
        """The number of the round so many seconds after the split began; the first one is 0."""
        number, begin, end = 0, 0.0, self.first
        while passed >= end:
            number, begin, end = number + 1, end, end * self.growth
            if end - begin >= self.longest:
                return number + int((passed - begin) / self.longest)
        return number


USUAL: Final = Schedule()


class Rounds:
    """Since when the splits of all routes have lasted."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self._began: dict[tuple[str, int], float] = {}

    def due(self, runs: Mapping[str, Run], now: float) -> dict[str, Run]:
        """By route: where those stand whose users are to count again. ``now`` is a clock's that
        never goes back. Only where users stick, and there is somebody to compare.
        """
        lasting = {
            (name, run.split): self._began.get((name, run.split), now)
            for name, run in runs.items()
            if run.sticky is not None and run.weights
        }
        self._began = lasting
        found = {}
        for (name, _), began in lasting.items():
            repeat = self.schedule.round_at(now - began)
            if repeat > runs[name].repeat:
                found[name] = replace(runs[name], repeat=repeat)
        return found
