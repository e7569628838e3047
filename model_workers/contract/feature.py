"""What one feature of a model may be: a number in a range, one of some values, or text.

``missing`` is what stands in for a value that is left away or null; None: the value is mandatory.
"""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Choice:
    """One of ``values``, as they are written; nothing else is known to the model."""

    name: str
    values: tuple[str, ...]
    missing: str | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """From ``shortest`` to ``longest`` characters."""

    name: str
    longest: int
    shortest: int = 1
    missing: str | None = None
    description: str = ""


Feature = Number | Choice | Text
