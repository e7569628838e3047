"""Counts under labels that are known before anything happens, and forgotten with what they are of.

Prometheus' own counters keep every series for ever, and have none before the first event.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable
from itertools import accumulate
from math import inf

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily


class Tally:
    """A counter; ``begin`` are its series from the start."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Iterable[str],
        begin: Iterable[tuple[str, ...]] = (),
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = tuple(labels)
        self._numbers: dict[tuple[str, ...], int] = dict.fromkeys(begin, 0)

    def begin(self, several: Iterable[tuple[str, ...]]) -> None:
        """Series that are 0 if they are not there yet."""
        for labels in several:
            self._numbers.setdefault(labels, 0)

    def add(self, *labels: str) -> None:
        self._numbers[labels] = self._numbers.get(labels, 0) + 1

    def keep(self, known: Collection[tuple[str, ...]]) -> None:
        """Forget all series whose first two labels are not among these."""
        self._numbers = {key: one for key, one in self._numbers.items() if key[:2] in known}

    def family(self) -> CounterMetricFamily:
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for labels, number in self._numbers.items():
            family.add_metric(labels, number)
        return family


class Durations:
    """A histogram of seconds under one label; ``bounds`` are the upper ends of its buckets."""

    def __init__(self, name: str, documentation: str, label: str, bounds: Iterable[float]) -> None:
        self._name = name
        self._documentation = documentation
        self._label = label
        self._bounds = (*bounds, inf)
        self._buckets: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def keep(self, known: Iterable[str]) -> None:
        """These have a series, and no others."""
        none = [0] * len(self._bounds)
        self._buckets = {one: self._buckets.get(one, [*none]) for one in known}
        self._sums = {one: self._sums.get(one, 0.0) for one in self._buckets}

    def add(self, label: str, seconds: float) -> None:
        if label not in self._buckets:
            self.keep([*self._buckets, label])
        self._buckets[label][bisect_left(self._bounds, seconds)] += 1
        self._sums[label] += seconds

    def family(self) -> HistogramMetricFamily:
        family = HistogramMetricFamily(self._name, self._documentation, labels=[self._label])
        for label, numbers in self._buckets.items():
            bounds = ("+Inf" if bound == inf else str(bound) for bound in self._bounds)
            totals = (float(number) for number in accumulate(numbers))
            buckets = list(zip(bounds, totals, strict=True))
            family.add_metric([label], buckets=buckets, sum_value=self._sums[label])
        return family
