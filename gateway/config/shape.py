"""What each mapping of ``routing.yaml`` is: a closed set of keys, with a sentence about each."""

from __future__ import annotations

from itertools import pairwise
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from gateway.config.quantities import quoted

Item = TypeVar("Item")
Value = TypeVar("Value")

MANY: Final = 100  # entries of lists that people write


class Shape(BaseModel):
    """A mapping with a closed set of keys."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def key(
    default: Value, description: str, min_length: int | None = None, max_length: int | None = None
) -> Value:
    """A key that may be left away; one that may not is a plain Field."""
    return Field(default, description=description, min_length=min_length, max_length=max_length)


def distinct(items: list[Item]) -> list[Item]:
    """The items. Raises ValueError if one of them stands twice."""
    seen: set[Item] = set()
    for item in items:
        if item in seen:
            text = str(getattr(item, "url", item))
            raise ValueError(f"{quoted(text)} stands twice; keep it once")
        seen.add(item)
    return items


def ascending(items: list[float]) -> list[float]:
    """The items. Raises ValueError if one is not above the one before it."""
    for before, item in pairwise(items):
        if item <= before:
            raise ValueError(f"{item:g} stands after {before:g}; write each number once, ascending")
    return items
