"""The counters as Prometheus sees them: a collector that reads plain integers at scrape time.

Label values come from ``routing.yaml`` or closed sets; prediction labels are capped in ``counts``.
Every known series exists at 0 from the start, so a ratio over it is a number from the first scrape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from gateway.counts import Histogram, VersionCounts
from gateway.live import Live
from gateway.model import FULL_WEIGHT
from gateway.reloader import Reloader

_VERSION_LABELS = ["route", "version", "role"]


class GatewayMetrics(Collector):
    """Everything the gateway tells Prometheus. Register it with the registry that is served."""

    def __init__(self, live: Live, reloader: Reloader, version: str) -> None:
        self._live = live
        self._reloader = reloader
        self._version = version

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: what there is to tell depends on the file."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All metrics as of now."""
        counts = self._live.all_counts()
        yield from _requests(counts)
        yield from _predictions(counts)
        yield from self._routes()
        yield from self._config()

    def _routes(self) -> Iterator[Metric]:
        weight = GaugeMetricFamily(
            "canary_route_weight_ratio",
            "Configured share of the route's requests, 0 to 1.",
            labels=["route", "version"],
        )
        in_flight = GaugeMetricFamily(
            "canary_requests_in_flight",
            "Requests sent to the version, or waiting for a connection to it.",
            labels=_VERSION_LABELS,
        )
        serving = self._live.serving
        for place, pool in zip(serving.table.places, serving.pools, strict=True):
            share = place.route.weight(place.version) / FULL_WEIGHT
            weight.add_metric([place.route.name, place.version], share)
            in_flight.add_metric([place.route.name, place.version, place.role], pool.in_flight)
        refused = CounterMetricFamily(
            "canary_refused_requests",
            "Requests the gateway refused before any version was asked, by reason.",
            labels=["reason"],
        )
        for reason, number in sorted(self._live.refusals.items()):
            refused.add_metric([reason], number)
        return iter((weight, in_flight, refused))

    def _config(self) -> Iterator[Metric]:
        status = self._reloader.status
        yield GaugeMetricFamily(
            "canary_config_last_reload_successful",
            "1 if routing.yaml as it stands is in force, 0 if it was refused.",
            value=float(status.successful),
        )
        yield GaugeMetricFamily(
            "canary_config_last_reload_success_timestamp_seconds",
            "Unix time at which the file in force was taken.",
            value=self._live.serving.since,
        )
        reloads = CounterMetricFamily(
            "canary_config_reloads", "Changed files seen, by result.", labels=["result"]
        )
        reloads.add_metric(["success"], status.taken)
        reloads.add_metric(["failure"], status.refused)
        yield reloads
        info = GaugeMetricFamily(
            "canary_config_info", "1; names the content in force.", labels=["hash"]
        )
        info.add_metric([self._live.serving.generation], 1)
        yield info
        build = GaugeMetricFamily("canary_build_info", "1; names this build.", labels=["version"])
        build.add_metric([self._version], 1)
        yield build


def _requests(counts: Iterable[VersionCounts]) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "canary_requests",
        "Finished requests by the version that answered; code 499: the client left before.",
        labels=[*_VERSION_LABELS, "code", "assignment"],
    )
    errors = CounterMetricFamily(
        "canary_request_errors",
        "Requests the version gave no good answer to, those saved by fallback included.",
        labels=[*_VERSION_LABELS, "reason"],
    )
    fallbacks = CounterMetricFamily(
        "canary_fallbacks",
        "Requests assigned to the version that stable was asked to answer in its place.",
        labels=["route", "assigned", "reason"],
    )
    retries = CounterMetricFamily(
        "canary_retries",
        "Requests sent to the version once more after no answer.",
        labels=[*_VERSION_LABELS, "reason"],
    )
    waited = _histogram("canary_request_duration_seconds", "What the client waited.")
    worked = _histogram(
        "canary_upstream_duration_seconds", "What the worker took, failed answers included."
    )
    for one in counts:
        labels = [one.route, one.version, one.role]
        for (assignment, code), number in sorted(one.answered.items()):
            requests.add_metric([*labels, str(code), assignment], number)
        for reason, number in one.errors.items():
            errors.add_metric([*labels, reason], number)
        for reason, number in one.retries.items():
            retries.add_metric([*labels, reason], number)
        if one.role == "candidate":
            for reason, number in one.fallbacks.items():
                fallbacks.add_metric([one.route, one.version, reason], number)
        _add(waited, labels, one.durations)
        _add(worked, labels, one.upstream)
    return iter((requests, errors, fallbacks, retries, waited, worked))


def _predictions(counts: Iterable[VersionCounts]) -> Iterator[Metric]:
    predictions = CounterMetricFamily(
        "canary_predictions",
        "Predictions read from good answers, by label; unknown labels are `__other__`.",
        labels=[*_VERSION_LABELS, "label"],
    )
    missing = CounterMetricFamily(
        "canary_prediction_missing",
        "Good answers without a readable prediction.",
        labels=[*_VERSION_LABELS, "reason"],
    )
    scores = _histogram("canary_prediction_score", "Scores read from good answers.")
    counts = tuple(counts)
    for one in counts:
        if not one.reads_predictions:
            continue
        labels = [one.route, one.version, one.role]
        # A label that one version has given exists at 0 for all: a share needs both sides.
        known = {label: 0 for other in counts if other.route == one.route for label in other.labels}
        for label, number in sorted((known | one.labels).items()):
            predictions.add_metric([*labels, label], number)
        for reason, number in one.missing.items():
            missing.add_metric([*labels, reason], number)
        _add(scores, labels, one.scores)
    return iter((predictions, missing, scores))


def _histogram(name: str, documentation: str) -> HistogramMetricFamily:
    return HistogramMetricFamily(name, documentation, labels=_VERSION_LABELS)


def _add(family: HistogramMetricFamily, labels: list[str], histogram: Histogram) -> None:
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, number in zip((*histogram.bounds, inf), histogram.buckets, strict=True):
        total += number
        buckets.append(("+Inf" if bound == inf else str(bound), float(total)))
    family.add_metric(labels, buckets=buckets, sum_value=histogram.sum)
