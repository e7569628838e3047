"""How long to wait before what ended is started again: ever longer, if it keeps dying young."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """All in seconds. Who lived ``steady`` did not die of its start, and is replaced at once."""

    first: float
    longest: float
    steady: float

    def after(self, lived: float, before: float) -> float:
        """The pause before a successor is started. ``before`` was the last such pause."""
        if lived >= self.steady:
            return 0.0
        return min(max(2 * before, self.first), self.longest)
