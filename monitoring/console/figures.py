"""Numbers as people read them, the same everywhere; a dash where there is none."""

from __future__ import annotations

from math import isnan
from typing import Final

NONE: Final = "\u2013"


def rate(per_second: float | None) -> str:
    """Requests per second: ``0.25``, ``6.1``, ``54.2``, ``1,240``."""
    if per_second is None or isnan(per_second):
        return NONE
    digits = 2 if 0 < per_second < 1 else 1 if per_second < 100 else 0
    return f"{per_second:,.{digits}f}"


def percent(share: float | None, digits: int = 2) -> str:
    """Of a share, 0 to 1: ``0.42 %``."""
    return NONE if share is None or isnan(share) else f"{100 * share:.{digits}f} %"


def milliseconds(seconds: float | None) -> str:
    """``0.84 ms``, ``3.1 ms``, ``250 ms``, ``2.50 s``."""
    if seconds is None or isnan(seconds):
        return NONE
    if seconds >= 1:
        return f"{seconds:.2f} s"
    thousandths = 1000 * seconds
    digits = 2 if thousandths < 1 else 1 if thousandths < 100 else 0
    return f"{thousandths:.{digits}f} ms"


def count(number: int) -> str:
    """``12,345``"""
    return f"{number:,}"


def factor(number: float) -> str:
    """Of evidence, as ``canary verdict`` tells it: ``0.0858``, ``1.95e+03``."""
    return f"{number:.3g}"


def moment(at: str) -> str:
    """Of a time as the history has it: ``2026-02-03 04:05:06 UTC``."""
    return f"{at[:19].replace('T', ' ')} UTC"
