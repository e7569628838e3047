"""What a gateway's ``/metrics`` says, as far as the console shows it. Text in, counts out.

The reader of ``prometheus_client`` takes 30 ms for two routes of three versions, which is too long
for each second. A gateway writes the same names and labels each time, in the same order, so what
stands before the last space of a line is looked up, and only the number behind it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from typing import Final, TypeAlias

from gateway.counting.grid import DURATION_BOUNDS, SCORE_BOUNDS
from monitoring.readings.exposition import labels_of, name_of

Key: TypeAlias = tuple[str, str]
"""Route and version."""

_SPLIT: Final = frozenset({"weighted", "sticky"})
_MOST_KNOWN: Final = 100_000  # lines whose meaning is remembered
_DURATIONS: Final = {bound: place for place, bound in enumerate((*DURATION_BOUNDS, inf))}
_SCORES: Final = {bound: place for place, bound in enumerate((*SCORE_BOUNDS, inf))}


@dataclass(slots=True)
class Totals:
    """Of one version since its gateway began. ``answered`` are requests that it answered, ``drawn``
    those that the split assigned to it, ``asked`` all that it was asked, ``errors`` those of them
    that it gave no good answer to. ``durations`` and ``scores`` are counts between the bounds of
    :mod:`gateway.counting.grid`; ``weight`` is a share, 0 to 1, None where none is told.
    """

    role: str = ""
    answered: int = 0
    drawn: int = 0
    asked: int = 0
    errors: int = 0
    in_flight: int = 0
    weight: float | None = None
    reasons: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    durations: list[int] = field(default_factory=lambda: [0] * len(_DURATIONS))
    scores: list[int] = field(default_factory=lambda: [0] * len(_SCORES))

    def __add__(self, other: Totals) -> Totals:
        """Of two gateways. A weight is the file's, so it is the same in both, or soon will be."""
        return Totals(
            role=self.role or other.role,
            answered=self.answered + other.answered,
            drawn=self.drawn + other.drawn,
            asked=self.asked + other.asked,
            errors=self.errors + other.errors,
            in_flight=self.in_flight + other.in_flight,
            weight=self.weight if other.weight is None else other.weight,
            reasons=_sum(self.reasons, other.reasons),
            labels=_sum(self.labels, other.labels),
            durations=[a + b for a, b in zip(self.durations, other.durations, strict=True)],
            scores=[a + b for a, b in zip(self.scores, other.scores, strict=True)],
        )


@dataclass(slots=True)
class Reading:
    """One look. ``generations`` are the files in force, one of each gateway; ``refused``: at least
    one of them has refused the file as it stands.
    """

    versions: dict[Key, Totals] = field(default_factory=dict)
    generations: tuple[str, ...] = ()
    refused: bool = False

    def __add__(self, other: Reading) -> Reading:
        """Of two gateways."""
        versions = dict(self.versions)
        for key, totals in other.versions.items():
            versions[key] = versions[key] + totals if key in versions else totals
        generations = (*self.generations, *other.generations)
        return Reading(versions, generations, self.refused or other.refused)


_Put: TypeAlias = Callable[[Reading, float], None]


class Reader:
    """Reads one gateway's text, time and again. It remembers lines, not numbers."""

    def __init__(self) -> None:
        self._known: dict[str, _Put | None] = {}

    def read(self, text: str) -> Reading:
        """ValueError for a line that says something else than a number."""
        reading = Reading()
        known = self._known
        for line in text.split("\n"):  # other ends of lines may stand in a label
            if not line or line[0] == "#":
                continue
            head, _, value = line.rpartition(" ")
            try:
                put = known[head]
            except KeyError:
                if len(known) >= _MOST_KNOWN:
                    known.clear()
                put = known[head] = _meaning(head)
            if put is not None:
                put(reading, float(value))
        for totals in reading.versions.values():
            totals.durations = _apart(totals.durations)
            totals.scores = _apart(totals.scores)
        return reading


def added(readings: Iterable[Reading]) -> Reading:
    """Of all gateways together."""
    return sum(readings, Reading())


def _meaning(head: str) -> _Put | None:
    """What a number behind this is put into; None: nothing that is shown."""
    maker = _MAKERS.get(name_of(head))
    return None if maker is None else maker(labels_of(head))


def _totals(reading: Reading, key: Key) -> Totals:
    try:
        return reading.versions[key]
    except KeyError:
        totals = reading.versions[key] = Totals()
        return totals


def _key(labels: Mapping[str, str]) -> Key:
    return labels.get("route", ""), labels.get("version", "")


def _requests(labels: Mapping[str, str]) -> _Put:
    key, role = _key(labels), labels.get("role", "")
    drawn = labels.get("assignment") in _SPLIT

    def put(reading: Reading, number: float) -> None:
        totals = _totals(reading, key)
        totals.role = role
        totals.answered += int(number)
        totals.asked += int(number)
        totals.drawn += int(number) if drawn else 0

    return put


def _fallbacks(labels: Mapping[str, str]) -> _Put:
    """They were assigned to the version, which was asked, and another one answered."""
    key = labels.get("route", ""), labels.get("assigned", "")

    def put(reading: Reading, number: float) -> None:
        totals = _totals(reading, key)
        totals.asked += int(number)
        totals.drawn += int(number)

    return put


def _errors(labels: Mapping[str, str]) -> _Put:
    key, reason = _key(labels), labels.get("reason", "")

    def put(reading: Reading, number: float) -> None:
        totals = _totals(reading, key)
        totals.errors += int(number)
        if number:
            totals.reasons[reason] = totals.reasons.get(reason, 0) + int(number)

    return put


def _predictions(labels: Mapping[str, str]) -> _Put:
    key, label = _key(labels), labels.get("label", "")

    def put(reading: Reading, number: float) -> None:
        given = _totals(reading, key).labels
        given[label] = given.get(label, 0) + int(number)

    return put


def _durations(labels: Mapping[str, str]) -> _Put | None:
    key, place = _key(labels), _DURATIONS.get(float(labels.get("le", "nan")))
    if place is None:
        return None
    return lambda reading, number: _totals(reading, key).durations.__setitem__(place, int(number))


def _scores(labels: Mapping[str, str]) -> _Put | None:
    key, place = _key(labels), _SCORES.get(float(labels.get("le", "nan")))
    if place is None:
        return None
    return lambda reading, number: _totals(reading, key).scores.__setitem__(place, int(number))


def _weight(labels: Mapping[str, str]) -> _Put:
    key = _key(labels)

    def put(reading: Reading, number: float) -> None:
        _totals(reading, key).weight = number

    return put


def _in_flight(labels: Mapping[str, str]) -> _Put:
    key = _key(labels)

    def put(reading: Reading, number: float) -> None:
        _totals(reading, key).in_flight += int(number)

    return put


def _info(labels: Mapping[str, str]) -> _Put:
    generation = labels.get("hash", "")

    def put(reading: Reading, number: float) -> None:
        reading.generations = (generation,)

    return put


def _reload(labels: Mapping[str, str]) -> _Put:
    def put(reading: Reading, number: float) -> None:
        reading.refused = not number

    return put


_MAKERS: Final[Mapping[str, Callable[[Mapping[str, str]], _Put | None]]] = {
    "canary_requests_total": _requests,
    "canary_fallbacks_total": _fallbacks,
    "canary_request_errors_total": _errors,
    "canary_request_duration_seconds_bucket": _durations,
    "canary_predictions_total": _predictions,
    "canary_prediction_score_bucket": _scores,
    "canary_route_weight_ratio": _weight,
    "canary_requests_in_flight": _in_flight,
    "canary_config_info": _info,
    "canary_config_last_reload_successful": _reload,
}


def _apart(cumulative: list[int]) -> list[int]:
    """From "at most so much" to "between these bounds"."""
    return [max(0, after - before) for before, after in pairwise((0, *cumulative))]


def _sum(mine: Mapping[str, int], theirs: Mapping[str, int]) -> dict[str, int]:
    return {name: mine.get(name, 0) + theirs.get(name, 0) for name in {**mine, **theirs}}
