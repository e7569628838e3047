"""What was written down as JSON, read back: what is not of the expected kind is refused.

A history lies on a disk for months, and people edit it. One number that is none would otherwise be
found when it is reckoned with: in the middle of a look, and again after every restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

MOST: Final = 10.0**15  # nothing that is counted or measured here comes near


def whole(found: object, most: float = MOST) -> int:
    """A count, from 0 on. Raises ValueError, as all of these."""
    if type(found) is not int or not 0 <= found <= most:
        raise ValueError(f"{found!r:.40} where a whole number up to {most:g} was expected")
    return found


def number(found: object, least: float = 0.0, most: float = MOST) -> float:
    """Any number between two others."""
    # A bool is an int to isinstance, and is none here.
    if type(found) not in (int, float) or not least <= found <= most:  # type: ignore[operator]
        raise ValueError(f"{found!r:.40} where a number up to {most:g} was expected")
    return found  # type: ignore[return-value]


def text(found: object) -> str:
    """Any text."""
    if not isinstance(found, str):
        raise ValueError(f"{found!r:.40} where a text was expected")
    return found


def flag(found: object) -> bool:
    """Yes or no."""
    if not isinstance(found, bool):
        raise ValueError(f"{found!r:.40} where true or false was expected")
    return found


def counts(found: Mapping[str, Any]) -> dict[str, int]:
    """So many of each name."""
    return {name: whole(number) for name, number in found.items()}


def numbers(found: object, *shape: int, least: float = -MOST) -> list[Any]:
    """Lists of numbers, of this shape."""
    length, *rest = shape
    if not isinstance(found, list) or len(found) != length:
        raise ValueError(f"{found!r:.40} where {length} numbers were expected")
    for one in found:
        numbers(one, *rest, least=least) if rest else number(one, least)
    return found
