"""Numbers that move: what counters grew by between two samples, and what that says of a version.

The questions are those of the recording rules (``monitoring/prometheus/rules.yml``), asked of the
same counters, so whoever compares a view with a dashboard finds the same numbers. Values in, values
out: the time of a sample is given with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import inf
from typing import Final, TypeAlias

from monitoring.readings.exposition import Counters, labels_of, name_of

Key: TypeAlias = tuple[str, str]
"""Route and version."""

Buckets: TypeAlias = Sequence[tuple[float, float]]
"""Upper bounds in seconds, ascending, the last one infinite; each with how many values are not
above it.
"""

REQUESTS: Final = "canary_requests_total"
ERRORS: Final = "canary_request_errors_total"
FALLBACKS: Final = "canary_fallbacks_total"
DURATIONS: Final = "canary_request_duration_seconds_bucket"
PREDICTIONS: Final = "canary_predictions_total"
NAMES: Final = frozenset({REQUESTS, ERRORS, FALLBACKS, DURATIONS, PREDICTIONS})
"""What has to be read of an exposition."""

_DRAWN: Final = ("weighted", "sticky")


def increase(before: Mapping[str, float], after: Mapping[str, float]) -> Counters:
    """What each counter of one gateway grew by; without those that did not. One that is less than
    it was began anew, from 0; so did one that was not there.
    """
    grown = {}
    for series, value in after.items():
        was = before.get(series, 0.0)
        if value != was:
            grown[series] = value - was if value > was else value
    return grown


def add(total: Counters, more: Mapping[str, float], sign: int = 1) -> None:
    """Add to ``total``, in place, or take away; what comes to 0 leaves it."""
    for series, value in more.items():
        new = total.get(series, 0.0) + sign * value
        if new:
            total[series] = new
        else:
            total.pop(series, None)


def quantile(q: float, buckets: Buckets) -> float | None:
    """As Prometheus's ``histogram_quantile``: linear between the bounds of the bucket it falls in,
    from 0 in the first one; the last finite bound if it lies beyond. None without values.
    """
    if len(buckets) < 2 or buckets[-1][0] != inf or buckets[-1][1] <= 0:
        return None
    rank = q * buckets[-1][1]
    place = next(i for i, (_, number) in enumerate(buckets) if number >= rank)
    if place == len(buckets) - 1:
        return buckets[-2][0]
    end, number = buckets[place]
    start, below = buckets[place - 1] if place else (0.0, 0.0)
    if number == below:  # q is 0, and the first bucket empty
        return start
    return start + (end - start) * ((rank - below) / (number - below))


def is_beyond(q: float, buckets: Buckets) -> bool:
    """Whether a quantile lies beyond the last finite bound: it is more, by who knows how much."""
    return len(buckets) > 1 and buckets[-2][1] < q * buckets[-1][1]


@dataclass(slots=True)
class Traffic:
    """What one version did in ``seconds``. ``asked`` are requests it answered or failed, ``failed``
    those it gave no good answer to; ``drawn`` the part of those asked that the split gave it.
    """

    seconds: float = 0.0
    answered: float = 0.0
    asked: float = 0.0
    drawn: float = 0.0
    failed: float = 0.0
    labels: dict[str, float] = field(default_factory=dict)
    durations: dict[float, float] = field(default_factory=dict)

    @property
    def rate(self) -> float | None:
        """Requests a second that it was asked."""
        return self.asked / self.seconds if self.seconds else None

    @property
    def error_share(self) -> float | None:
        """Of what it was asked, 0 to 1."""
        return min(self.failed / self.asked, 1.0) if self.asked else None

    @property
    def buckets(self) -> Buckets:
        return sorted(self.durations.items())

    @property
    def mix(self) -> dict[str, float]:
        """The share of each label in its predictions, 0 to 1, the most frequent first."""
        return shares(self.labels)


def shares(numbers: Mapping[str, float]) -> dict[str, float]:
    """Parts of the whole, the largest first; of equal ones by name. Empty without a whole."""
    whole = sum(numbers.values())
    ordered = sorted(numbers.items(), key=lambda one: (-one[1], one[0]))
    return {name: number / whole for name, number in ordered} if whole else {}


def traffic_of(
    counters: Mapping[str, float], seconds: float, bounds: Mapping[Key, Sequence[float]]
) -> dict[Key, Traffic]:
    """By route and version, what so many seconds have added to the counters; those that have
    ``bounds`` are there without an addition, too.
    """
    found = {
        key: Traffic(seconds, durations=dict.fromkeys(several, 0.0))
        for key, several in bounds.items()
    }
    for series, number in counters.items():
        labels, name = labels_of(series), name_of(series)
        version = labels.get("assigned" if name == FALLBACKS else "version", "")
        one = found.setdefault((labels.get("route", ""), version), Traffic(seconds))
        match name:
            case "canary_requests_total":
                one.answered += number
                one.asked += number
                one.drawn += number if labels.get("assignment") in _DRAWN else 0.0
            case "canary_fallbacks_total":
                one.asked += number
                one.drawn += number
            case "canary_request_errors_total":
                one.failed += number
            case "canary_request_duration_seconds_bucket":
                bound = float(labels["le"])
                one.durations[bound] = one.durations.get(bound, 0.0) + number
            case "canary_predictions_total":
                label = labels["label"]
                one.labels[label] = one.labels.get(label, 0.0) + number
    return found


def bounds_of(series: Iterable[str]) -> dict[Key, list[float]]:
    """Between which bounds the durations of each version are counted."""
    found: dict[Key, list[float]] = {}
    for one in series:
        if name_of(one) == DURATIONS:
            labels = labels_of(one)
            key = labels.get("route", ""), labels.get("version", "")
            found.setdefault(key, []).append(float(labels["le"]))
    return found


@dataclass(slots=True)
class _Slice:
    seconds: float = 0.0
    counters: Counters = field(default_factory=dict)


class Window:
    """What has come in the last ``length`` seconds, in slices of ``slice`` seconds; both are at
    least that long, by the time between two samples. Memory is bounded by what has grown.
    """

    def __init__(self, length: float = 60.0, slice: float = 5.0) -> None:
        self._length = length
        self._slice = slice
        self._slices: deque[_Slice] = deque([_Slice()])
        self._total: Counters = {}
        self._samples: dict[str, Counters] = {}
        self._bounds: dict[Key, list[float]] = {}
        self._at: float | None = None

    @property
    def seconds(self) -> float:
        """How much is known of them; 0 before the second sample."""
        return sum(one.seconds for one in self._slices)

    def sample(self, at: float, gateways: Mapping[str, Counters]) -> None:
        """The counters of each gateway as of ``at``, seconds on a clock that never goes back. One
        that is not there said nothing; one seen for the first time tells what it has counted so
        far, and from then on what has come.
        """
        grown: Counters = {}
        if not gateways:
            return
        other = False
        for name, counters in gateways.items():
            if name in self._samples:
                add(grown, increase(self._samples[name], counters))
            other |= counters.keys() != self._samples.get(name, {}).keys()
            self._samples[name] = counters
        if other:
            self._bounds = bounds_of(chain.from_iterable(self._samples.values()))
        if self._at is not None:
            self._add(grown, at - self._at)
        self._at = at

    def traffic(self) -> dict[Key, Traffic]:
        """Of all slices together."""
        return traffic_of(self._total, self.seconds, self._bounds)

    def slices(self) -> list[dict[Key, Traffic]]:
        """Of each, the newest last."""
        slices = [one for one in self._slices if one.seconds]
        return [traffic_of(one.counters, one.seconds, self._bounds) for one in slices]

    def _add(self, grown: Counters, seconds: float) -> None:
        if self._slices[-1].seconds >= self._slice:
            self._slices.append(_Slice())
        newest = self._slices[-1]
        newest.seconds += seconds
        add(newest.counters, grown)
        add(self._total, grown)
        while self.seconds - self._slices[0].seconds >= self._length:
            add(self._total, self._slices.popleft().counters, -1)
