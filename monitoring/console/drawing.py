"""Numbers as shapes, for SVG: coordinates and paths, no markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, log, log10
from typing import Final, TypeAlias

Values: TypeAlias = Sequence[float | None]

SPARK_WIDTH: Final = 160
SPARK_HEIGHT: Final = 36
_MARGIN: Final = 2.5  # for the thickness of a line


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a bar, in percent of its length."""

    start: float
    size: float


def pieces(shares: Iterable[float]) -> list[Piece]:
    """One behind the other; ``shares`` are 0 to 1 and add up to 1 at most."""
    found, start = [], 0.0
    for share in shares:
        found.append(Piece(round(100 * start, 3), round(100 * share, 3)))
        start += share
    return found


def sparks(several: Sequence[Values]) -> list[str]:
    """A path for each row of values over the same times, at the same scale, which begins at 0; a
    gap where there is no value.
    """
    known = [one for values in several for one in values if one is not None]
    highest = max(known, default=0.0) or 1.0
    return [_spark(values, highest) for values in several]


def reach(evidence: float, limit: float) -> float:
    """How far evidence has come to its limit, 0 to 1, on a scale of orders of magnitude. Evidence
    begins at 1, and below 1 it speaks for the opposite.
    """
    if limit <= 1 or evidence <= 1:
        return 0.0
    return min(1.0, log(evidence) / log(limit))


def ticks(limit: float) -> tuple[float, ...]:
    """Where on that scale the powers of ten lie, in percent; without its ends."""
    if limit <= 1:
        return ()
    powers = (10.0**power for power in range(1, ceil(log10(limit) - 1e-9)))
    return tuple(round(100 * reach(one, limit), 1) for one in powers)


def shares(counts: Sequence[int]) -> list[float]:
    """Of all together; zeros if there are none."""
    total = sum(counts)
    return [one / total if total else 0.0 for one in counts]


def _spark(values: Values, highest: float) -> str:
    across = (SPARK_WIDTH - 2 * _MARGIN) / max(1, len(values) - 1)
    up = (SPARK_HEIGHT - 2 * _MARGIN) / highest
    path, pen = [], "M"
    for number, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        x, y = _MARGIN + number * across, SPARK_HEIGHT - _MARGIN - value * up
        path.append(f"{pen}{x:.1f} {y:.1f}")
        pen = "L"
    return "".join(path)
