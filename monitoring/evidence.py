"""What is known of one candidate beside stable: integer counts per generation of the file.

A window is one generation: within it the weights do not change, so the share of draws that go to
the candidate is a known constant. Windows are never merged, counts of the same window from several
gateways add up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.model import FULL_WEIGHT

_MOST: Final = 2**53  # requests; more than anybody counts, and exact as a float


class BadEvidence(ValueError):
    """The counts contradict themselves, or are not the shape the gateway serves."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Requests assigned to one version by a draw, and how many of them got no good answer."""

    assigned: int = 0
    bad: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.bad <= self.assigned:
            raise BadEvidence(f"{self.bad} bad of {self.assigned} assigned cannot be")

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.assigned + other.assigned, self.bad + other.bad)


@dataclass(frozen=True, slots=True)
class Window:
    """Candidate and stable under one generation. ``share`` is the candidate's part of the draws
    that went to either of the two, strictly between 0 and 1.
    """

    generation: str
    share: float
    candidate: Tally
    stable: Tally


def windows_of(document: Mapping[str, Any], route: str, candidate: str) -> tuple[Window, ...]:
    """The windows of the present run of a candidate, oldest first.

    ``document`` is what ``GET /api/evidence`` serves. A run reaches back over the generations in
    which the candidate had a weight and stable was the same; a weight of 0 in between ends it, so
    evidence from before a rollback is not held against a candidate that a person started again.
    Raises :class:`BadEvidence`.
    """
    try:
        generations: Sequence[Mapping[str, Any]] = document["generations"]
        found: list[Window] = []
        stable: str | None = None
        for generation in reversed(generations):
            versions = generation["routes"].get(route, {})
            now_stable = _stable_of(versions)
            if now_stable is None or candidate not in versions:
                break
            weight = _whole(versions[candidate]["weight"], FULL_WEIGHT)
            if stable not in (None, now_stable) or not weight:
                break
            stable = now_stable
            window = _window(generation["generation"], versions[candidate], versions[stable])
            if window is not None:
                found.append(window)
    except (KeyError, TypeError, AttributeError) as error:
        raise BadEvidence(
            f"evidence of another shape than /api/evidence serves: {error}"
        ) from error
    return tuple(reversed(found))


def _stable_of(versions: Mapping[str, Any]) -> str | None:
    for name, version in versions.items():
        if version["role"] == "stable":
            return str(name)
    return None


def _window(
    generation: str, candidate: Mapping[str, Any], stable: Mapping[str, Any]
) -> Window | None:
    """None where stable has no share: there is nothing to compare with."""
    shares = [_whole(version["weight"], FULL_WEIGHT) for version in (candidate, stable)]
    tallies = [
        Tally(_whole(version["assigned"]), _whole(version["bad"]))
        for version in (candidate, stable)
    ]
    if not shares[1]:
        return None
    return Window(generation, shares[0] / sum(shares), *tallies)


def _whole(number: object, most: int = _MOST) -> int:
    """JSON as Python reads it knows NaN, infinities and any number of digits: no count is one."""
    if type(number) is not int or not 0 <= number <= most:
        raise BadEvidence(f"{number!r:.40} where a whole number up to {most} was expected")
    return number
