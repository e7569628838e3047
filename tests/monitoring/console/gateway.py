"""A gateway's text, made of numbers that a test sets."""

from __future__ import annotations

from collections import Counter

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client import Counter as Counting
from prometheus_client.exposition import generate_latest

from gateway.counting.grid import DURATION_BOUNDS, SCORE_BOUNDS

_OF = ["route", "version", "role"]


class Gateway:
    """It answers at once. ``up`` is whether it says anything."""

    def __init__(self) -> None:
        self.up = True
        self.answered: Counter[tuple[str, str]] = Counter()
        registry = self._registry = CollectorRegistry()
        self._requests = Counting(
            "canary_requests", "", [*_OF, "code", "assignment"], registry=registry
        )
        self._errors = Counting("canary_request_errors", "", [*_OF, "reason"], registry=registry)
        self._labels = Counting("canary_predictions", "", [*_OF, "label"], registry=registry)
        self._weight = Gauge("canary_route_weight_ratio", "", _OF[:2], registry=registry)
        self._waits = Histogram(
            "canary_request_duration_seconds", "", _OF, registry=registry, buckets=DURATION_BOUNDS
        )
        self._scores = Histogram(
            "canary_prediction_score", "", _OF, registry=registry, buckets=SCORE_BOUNDS
        )

    def answer(
        self, route: str, version: str, number: int = 1, *, bad: int = 0, label: str = "setosa"
    ) -> None:
        """So many requests, each within 2 ms, so many of them with a failure."""
        key = (route, version, "stable" if version == "v1" else "candidate")
        self.answered[key[:2]] += number
        self._requests.labels(*key, "200", "weighted").inc(number)
        self._errors.labels(*key, "upstream_5xx").inc(bad)
        self._labels.labels(*key, label).inc(number)
        for _ in range(number):
            self._waits.labels(*key).observe(0.002)
            self._scores.labels(*key).observe(0.97)

    def text(self) -> str:
        """What ``GET /metrics`` says; empty if nothing."""
        return generate_latest(self._registry).decode() if self.up else ""
