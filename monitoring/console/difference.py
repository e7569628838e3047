"""A unified diff as lines that a page can show and a screen reader can read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby, takewhile
from typing import Final

from monitoring.console.veil import veiled

_CHANGED: Final = ("removed", "added")
_WORD: Final = re.compile(r"[\w.%-]")
_HUNK: Final = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


class Side(StrEnum):
    """What a line is."""

    REMOVED = "removed"
    ADDED = "added"
    SAME = "same"
    HUNK = "hunk"  # lines between are left out
    NOTE = "note"  # as that no newline ends the file


@dataclass(frozen=True, slots=True)
class Line:
    """``number`` is its place in the text it is of: before for what is removed, else after.
    ``changed`` are the characters, from and up to, in which it differs from the line that took its
    place, or whose place it took.
    """

    side: Side
    text: str
    number: int = 0
    changed: tuple[int, int] | None = None

    @property
    def spoken(self) -> str:
        """What colour and sign tell, as a word; empty for a line that stays."""
        return f"{self.side} line {self.number}: " if self.side in _CHANGED else ""


def lines(diff: str) -> tuple[Line, ...]:
    """Of one file's diff, without its two headers; secrets hidden. What is no diff at all is shown
    as notes.
    """
    found = list(_lines(diff))
    end = 0
    for side, run in groupby(list(found), key=lambda one: one.side in _CHANGED):
        start, end = end, end + sum(1 for _ in run)
        if side:
            found[start:end] = _compared(found[start:end])
    return tuple(found)


def _compared(run: list[Line]) -> list[Line]:
    """Lines that changed, of which as many came as went: each beside the one in its place."""
    half = len(run) // 2
    gone, come = run[:half], run[half:]
    if len(gone) != len(come) or any(one.side is not Side.REMOVED for one in gone):
        return run
    pairs = [_pair(*pair) for pair in zip(gone, come, strict=True)]
    return [one for one, _ in pairs] + [one for _, one in pairs]


def _pair(gone: Line, come: Line) -> tuple[Line, Line]:
    before, after = gone.text, come.text
    start = _alike(before, after)
    most = min(len(before), len(after)) - start
    end = min(_alike(before[::-1], after[::-1]), most)
    # A number is another one as a whole.
    while start and _WORD.match(before[start - 1]):
        start -= 1
    while end and _WORD.match(before[-end]):
        end -= 1
    return (
        replace(gone, changed=(start, len(before) - end)),
        replace(come, changed=(start, len(after) - end)),
    )


def _alike(one: str, other: str) -> int:
    """How many characters they begin with in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _lines(diff: str) -> Iterator[Line]:
    before = after = 0
    begun = False
    for text in diff.removesuffix("\n").split("\n") if diff else ():
        found = _HUNK.match(text)
        sign, rest = text[:1], veiled(text[1:])
        if found:
            before, after, begun = int(found[1]), int(found[2]), True
            yield Line(Side.HUNK, text)
        elif not begun and (text.startswith(("--- ", "+++ "))):
            continue
        elif begun and sign == "-":
            yield Line(Side.REMOVED, rest, before)
            before += 1
        elif begun and sign == "+":
            yield Line(Side.ADDED, rest, after)
            after += 1
        elif begun and sign == " ":
            yield Line(Side.SAME, rest, after)
            before, after = before + 1, after + 1
        else:
            yield Line(Side.NOTE, veiled(text))
