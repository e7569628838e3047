"""What is known of one candidate beside stable: integer counts per generation of the file.

A window is one generation as one gateway served it: within it the weights do not change, so the
share of draws that go to the candidate is a known constant. Counts are integers that are added, so
whatever is made of them is the same to the last bit in whatever order they come together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any, Final

from monitoring.readings import dumped

AGAIN: Final = " again"  # ends the name of a source in which users count for another time


class BadEvidence(ValueError):
    """The counts contradict themselves, or are not the shape the gateway serves."""


Row = tuple[int, ...]
"""Counts of ordered outcomes; those beyond the last one are 0."""

Named = tuple[tuple[str, int], ...]
"""Counts of outcomes with names, sorted, none of them 0."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests assigned to one version by a draw, and what became of them.

    ``bad`` got no good answer from it, ``gone`` were left by their client before there was one, the
    rest was answered well. ``latency`` counts the answers by what they took, ``labels``, ``scores``
    and ``values`` by what was predicted; ``missing`` those that could not be read, by reason.
    Values are named by the bounds they lie between (:func:`span_of`), which the file may change.

    ``asked`` are all requests that the split brought to the version, draws or not, ``saved`` those
    that it failed and stable then answered.
    """

    assigned: int = 0
    bad: int = 0
    gone: int = 0
    latency: Row = ()
    scores: Row = ()
    labels: Named = ()
    missing: Named = ()
    asked: int = 0
    saved: int = 0
    values: Named = ()

    def __post_init__(self) -> None:
        if not 0 <= self.saved <= self.asked:
            raise BadEvidence(f"{self.saved} saved of {self.asked} asked cannot be")
        if min(self.bad, self.gone) < 0 or self.bad + self.gone > self.assigned:
            what = f"{self.bad} bad and {self.gone} gone of {self.assigned} assigned"
            raise BadEvidence(f"{what} cannot be")

    def __add__(self, other: Counts) -> Counts:
        return self._with(other, 1)

    def __sub__(self, other: Counts) -> Counts:
        """What came in between. Raises :class:`BadEvidence` if ``other`` is no earlier state."""
        return self._with(other, -1)

    @property
    def good(self) -> int:
        return self.assigned - self.bad - self.gone

    def dumped(self) -> dict[str, Any]:
        """As JSON."""
        names = {"labels": self.labels, "missing": self.missing, "values": self.values}
        return asdict(self) | {key: dict(counts) for key, counts in names.items()}

    @classmethod
    def loaded(cls, document: Mapping[str, Any]) -> Counts:
        """The opposite of :meth:`dumped`. Raises ValueError, as :class:`BadEvidence` is one."""
        read: dict[str, Any] = {}
        for name in ("assigned", "bad", "gone", "asked", "saved"):
            read[name] = dumped.whole(document.get(name, 0))
        for name in ("latency", "scores"):
            read[name] = row(map(dumped.whole, document[name]))
        for name in ("labels", "missing", "values"):
            read[name] = named(dumped.counts(document.get(name, {})))  # older ones have no values
        return cls(**read)

    def _with(self, other: Counts, sign: int) -> Counts:
        return Counts(
            _count(self.assigned + sign * other.assigned),
            _count(self.bad + sign * other.bad),
            _count(self.gone + sign * other.gone),
            _rows(self.latency, other.latency, sign),
            _rows(self.scores, other.scores, sign),
            _names(self.labels, other.labels, sign),
            _names(self.missing, other.missing, sign),
            _count(self.asked + sign * other.asked),
            _count(self.saved + sign * other.saved),
            _names(self.values, other.values, sign),
        )


@dataclass(frozen=True, slots=True)
class Window:
    """Candidate and stable under one generation of one gateway, named by ``source``.

    ``share`` is the candidate's part of the draws that went to either of the two, strictly between
    0 and 1; ``pending`` are requests that the candidate has not answered yet. ``alone`` says that
    counts of this source must not be added to those of others: a sticky user counts once in each
    gateway. ``round`` names the round of the same users that it is of; empty: their first one.
    """

    source: str
    share: float
    candidate: Counts
    stable: Counts
    alone: bool = False
    pending: int = 0
    round: str = ""


def row(numbers: Iterable[int]) -> Row:
    """Without the zeros at its end, so that equal counts are equal values."""
    kept = list(numbers)
    while kept and not kept[-1]:
        kept.pop()
    return tuple(kept)


def named(numbers: Mapping[str, int]) -> Named:
    """Sorted and without zeros, for the same reason."""
    return tuple(sorted((name, number) for name, number in numbers.items() if number))


def span_of(name: str) -> tuple[float, float]:
    """The bounds that a count of values names, ``20.0:50.0``: above the first, up to the second,
    which may be infinite. Raises :class:`BadEvidence`.
    """
    low, _, high = name.partition(":")
    try:
        span = float(low), float(high)
    except ValueError:
        span = 0.0, 0.0
    if not span[0] < span[1]:
        raise BadEvidence(f"{name!r:.40} where two bounds such as '20.0:50.0' were expected")
    return span


def _rows(mine: Row, theirs: Row, sign: int) -> Row:
    return row(_count(a + sign * b) for a, b in zip_longest(mine, theirs, fillvalue=0))


def _names(mine: Named, theirs: Named, sign: int) -> Named:
    total = dict(mine)
    for name, number in theirs:
        total[name] = _count(total.get(name, 0) + sign * number)
    return named(total)


def _count(number: int) -> int:
    if number < 0:
        raise BadEvidence("a count became smaller: the gateway that counted it began anew")
    return number
