"""What one feature of a model may be: a number in a range, one of some values, or text.

``missing`` is what stands in for a value that is left away or null; None: the value is mandatory.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, inf

Value = float | str
"""A feature's value as a model gets it."""


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number from ``low`` to ``high``, both included; ``unit`` is only told."""

    name: str
    low: float
    high: float
    unit: str = ""
    whole: bool = False
    missing: float | None = None
    description: str = ""

    def problem(self) -> str | None:
        """Why nobody could keep it; None if all is well. The same for the other kinds."""
        if not -inf < self.low <= self.high < inf:
            return f"write a low and a high that is not below it, not {self.low} and {self.high}"
        if self.whole and floor(self.high) < ceil(self.low):
            return f"there is no whole number from {self.low} to {self.high}"
        if self.missing is not None and not self.low <= self.missing <= self.high:
            return f"missing is {self.missing}, which is not from {self.low} to {self.high}"
        if self.whole and self.missing is not None and self.missing != int(self.missing):
            return f"missing is {self.missing}; write a whole number"
        return None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of ``values``, as they are written; nothing else is known to the model."""

    name: str
    values: tuple[str, ...]
    missing: str | None = None
    description: str = ""

    def problem(self) -> str | None:
        if not self.values or len(set(self.values)) < len(self.values):
            return "give it values, each once"
        if self.missing is not None and self.missing not in self.values:
            return f"missing is {self.missing!r}, which is none of its values"
        return None


@dataclass(frozen=True, slots=True)
class Text:
    """From ``shortest`` to ``longest`` characters."""

    name: str
    longest: int
    shortest: int = 1
    missing: str | None = None
    description: str = ""

    def problem(self) -> str | None:
        if not 0 <= self.shortest <= self.longest:
            return f"from {self.shortest} to {self.longest} characters is no length"
        if self.missing is not None and not self.shortest <= len(self.missing) <= self.longest:
            return f"missing is {self.missing!r}, which is too short or too long"
        return None


Feature = Number | Choice | Text
