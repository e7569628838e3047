"""The bounds that times and scores are counted between, and how fine counts become coarser ones.

Prometheus gets few bounds, which its users know; a verdict needs more, and others. What both are
told of is counted once, between the bounds of both together, and made coarser when somebody asks:
exactly, as each coarse bound is a fine one as well.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

Bounds = tuple[float, ...]
"""Ascending. A value belongs to the first bound that is not below it; what is beyond the last one
has a bucket of its own, so there is one more bucket than there are bounds."""


def _together(*several: Bounds) -> Bounds:
    return tuple(sorted(set().union(*several)))


# Seconds, for Prometheus. OpenTelemetry's default bounds, with 1 ms and 2.5 ms below for small
# models.
DURATION_BOUNDS: Final[Bounds] = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1),
    *(0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
# Seconds, for Prometheus: what a request spends here and with no worker.
OVERHEAD_BOUNDS: Final[Bounds] = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001),
    *(0.0025, 0.005, 0.01, 0.025, 0.05),
)
# Seconds, for Prometheus: until an answer that is passed on as it comes begins. Language models may
# take a minute to their first word.
BEGINNING_BOUNDS: Final[Bounds] = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0),
    *(2.5, 5.0, 7.5, 10.0, 20.0, 30.0, 60.0, 120.0),
)
# Seconds, for a verdict: 0.25 ms to 65.5 s in steps of 19 % (the grid of schema 2 of Prometheus's
# native histograms, moved): fine enough that a slowdown of 20 % moves every request.
LATENCY_BOUNDS: Final[Bounds] = tuple(0.00025 * 2 ** (k / 4) for k in range(73))
SCORE_BOUNDS: Final[Bounds] = tuple(round(0.05 * i, 2) for i in range(1, 21))

# Where the tenths of a model's scores lie nobody knows beforehand. Probabilities crowd near 0
# (fraud) and near 1 (a sure classifier), and a score may be any number: a price, a count of tokens,
# a logit.
_TINY: Final = tuple(2 ** -(k / 2) for k in range(8, 41))  # below 1/16, to a millionth
_EVEN: Final = tuple(k / 64 for k in range(1, 65))
_SURE: Final = tuple(1 - 2**-k for k in range(7, 21))
_LARGE: Final = tuple(2 ** (k / 2) for k in range(1, 41))  # to a million
_NEGATIVE: Final = tuple(-(2.0**k) for k in range(-20, 21))
# For a verdict; SCORE_BOUNDS are among them.
DRAWN_SCORE_BOUNDS: Final[Bounds] = _together(
    _NEGATIVE, (0.0,), _TINY, _EVEN, _SURE, _LARGE, SCORE_BOUNDS
)
WORKED_GRID: Final[Bounds] = _together(LATENCY_BOUNDS, DURATION_BOUNDS)


class Coarsening:
    """From buckets between fine bounds to those between coarse ones. Raises ValueError if a coarse
    bound is no fine one.
    """

    __slots__ = ("_into", "_size")

    def __init__(self, fine: Bounds, coarse: Bounds) -> None:
        if not set(coarse) <= set(fine):
            raise ValueError("a bound that was not counted by cannot be told of")
        self._into = (*(bisect_left(coarse, bound) for bound in fine), len(coarse))
        self._size = len(coarse) + 1

    def __call__(self, row: Sequence[int]) -> list[int]:
        """The coarse row."""
        coarse = [0] * self._size
        for place, number in zip(self._into, row, strict=True):
            if number:
                coarse[place] += number
        return coarse
