"""Values that were counted between bounds, each count named by its own two (``20.0:50.0``).

Bounds are the file's and may change while a candidate is judged. What lies between others then is
put where its upper bound belongs: of candidate and stable alike, so the two stay comparable.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import isinf

import numpy as np

from monitoring.analysis.betting import Array
from monitoring.readings.evidence import Named, span_of


def borders(values: Named, parts: int, enough: int) -> tuple[str, ...] | None:
    """The bounds around those spans in which so many equal parts of the values end, as texts; None
    below so many values.
    """
    found = _ordered(values)
    seen = np.cumsum([number for _, _, number in found])
    if not seen.size or seen[-1] < enough:
        return None
    ends = np.searchsorted(seen, seen[-1] * np.arange(1, parts) / parts)
    bounds = {bound for end in ends for bound in found[end][:2] if not isinf(bound)}
    return tuple(repr(bound) for bound in sorted(bounds))


def parts(values: Named, borders: Sequence[float]) -> Array:
    """How many values lie up to the first border, to the next one, and above the last one."""
    counted = np.zeros(len(borders) + 1)
    for name, number in values:
        counted[bisect_left(borders, span_of(name)[1])] += number
    return counted


def farthest(candidate: Named, stable: Named) -> tuple[float, float, float] | None:
    """The bound above which the two differ most, and the share of each that lies there; None while
    one of them has no values, or no bound is between any.
    """
    bounds = sorted({span_of(name)[1] for name, _ in (*candidate, *stable)})[:-1]
    sides = [parts(one, bounds) for one in (candidate, stable)]
    if not bounds or not all(side.sum() for side in sides):
        return None
    above = [1 - np.cumsum(side)[:-1] / side.sum() for side in sides]
    most = int(np.argmax(np.abs(above[0] - above[1])))
    return bounds[most], float(above[0][most]), float(above[1][most])


def touching(values: Named, name: str) -> int:
    """How many values may lie in a span: those of all spans that overlap with it."""
    low, high = span_of(name)
    others = ((*span_of(other), number) for other, number in values)
    return sum(number for bottom, top, number in others if bottom < high and low < top)


def in_words(name: str) -> str:
    """``value 20 to 50``, ``value up to 20``, ``value over 50``."""
    low, high = span_of(name)
    if isinf(low):
        return f"value up to {high:g}"
    return f"value over {low:g}" if isinf(high) else f"value {low:g} to {high:g}"


def _ordered(values: Named) -> list[tuple[float, float, int]]:
    found = [(*span_of(name), number) for name, number in values]
    return sorted(found, key=lambda one: (one[1], one[0]))
