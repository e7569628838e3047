"""A report as Prometheus sees it: a collector that gathers one at scrape time.

Label values come from ``routing.yaml`` or closed sets; prediction labels are capped in ``counts``.
Every known series exists at 0 from the start, so a ratio over it is a number from the first scrape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from gateway.counting.counts import OTHER_LABEL
from gateway.counting.exemplars import Exemplar as Noted
from gateway.counting.exemplars import Row
from gateway.counting.report import Report
from gateway.counting.totals import Histogram, Key, VersionTotals
from gateway.machine.usage import Usage, usage_of
from gateway.metrics.upkeep import upkeep
from gateway.metrics.weights import configured, effective

_VERSION_LABELS = ["route", "version", "role"]


class GatewayMetrics(Collector):
    """Everything the gateway tells Prometheus. Register it with the registry that is served."""

    def __init__(
        self,
        report: Callable[[], Report],
        version: str,
        usage: Callable[[int], Usage | None] = usage_of,
    ) -> None:
        self._report = report
        self._version = version
        self._usage = usage

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: what there is to tell depends on the file."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All metrics as of now."""
        report = self._report()
        yield from _requests(report.versions, report.state.exemplars)
        yield from _predictions(report)
        yield from _routes(report)
        yield from _endpoints(report)
        yield from upkeep(report, self._version, self._usage)


def _requests(
    versions: Mapping[Key, VersionTotals], exemplars: Mapping[Key, Row]
) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "canary_requests",
        "Finished requests, under the version that answered; code 499: the client left before.",
        labels=[*_VERSION_LABELS, "code", "assignment"],
    )
    errors = CounterMetricFamily(
        "canary_request_errors",
        "Requests the version gave no good answer to, also those that stable then answered.",
        labels=[*_VERSION_LABELS, "reason"],
    )
    fallbacks = CounterMetricFamily(
        "canary_fallbacks",
        "Requests of the version `assigned` that stable was asked to answer in its place.",
        labels=["route", "assigned", "reason"],
    )
    retries = CounterMetricFamily(
        "canary_retries",
        "Requests sent to the version once more, as there was no answer.",
        labels=[*_VERSION_LABELS, "reason"],
    )
    refused = CounterMetricFamily(
        "canary_retries_refused",
        "Requests not sent to the version once more, as too many of those were under way already.",
        labels=[*_VERSION_LABELS, "reason"],
    )
    waited = _histogram(
        "canary_request_duration_seconds",
        "Seconds from the last bytes of a request to its finish, under the version that answered.",
    )
    worked = _histogram(
        "canary_upstream_duration_seconds",
        "Seconds the version had a request until its whole answer or its failure.",
    )
    began = _histogram(
        "canary_time_to_first_byte_seconds",
        "Seconds from the last bytes of a request until the first byte of the body was passed on, "
        "of answers that are passed on as they come: event streams, and bodies over 8 MiB.",
    )
    for labels, one in versions.items():
        route, version, role = labels
        for (assignment, code), number in sorted(one.answered.items()):
            requests.add_metric([*labels, str(code), assignment], number)
        for reason, number in one.errors.items():
            errors.add_metric([*labels, reason], number)
        for reason, number in one.retries.items():
            retries.add_metric([*labels, reason], number)
        for reason, number in one.retries_refused.items():
            refused.add_metric([*labels, reason], number)
        if role == "candidate":
            for reason, number in one.fallbacks.items():
                fallbacks.add_metric([route, version, reason], number)
        _add(waited, labels, one.waited, exemplars.get(labels, ()))
        _add(worked, labels, one.worked)
        _add(began, labels, one.began)
    return iter((requests, errors, fallbacks, retries, refused, waited, worked, began))


def _predictions(report: Report) -> Iterator[Metric]:
    predictions = CounterMetricFamily(
        "canary_predictions",
        "Predictions read from good answers, by label; beyond the known or first ones `__other__`.",
        labels=[*_VERSION_LABELS, "label"],
    )
    missing = CounterMetricFamily(
        "canary_prediction_missing",
        "Good answers whose prediction could not be read.",
        labels=[*_VERSION_LABELS, "reason"],
    )
    scores = _histogram("canary_prediction_score", "Scores read from good answers, mostly 0 to 1.")
    values = _histogram("canary_prediction_value", "Values read from good answers.")
    bounds = {
        route.name: route.prediction.bounds
        for route in report.epoch.table.config.routes
        if route.prediction and route.prediction.value is not None
    }
    known = {
        route.name: _labels(report, route.name, route.prediction.labels)
        for route in report.epoch.table.config.routes
        if route.prediction
    }
    for labels, one in report.versions.items():
        if labels[0] not in known:
            continue
        for label in known[labels[0]]:
            predictions.add_metric([*labels, label], one.labels.get(label, 0))
        for reason, number in one.missing.items():
            missing.add_metric([*labels, reason], number)
        _add(scores, labels, one.scores)
        if labels[0] in bounds:
            _add(values, labels, one.values(bounds[labels[0]]))
    return iter((predictions, missing, scores, values))


def _labels(report: Report, route: str, declared: Sequence[str]) -> list[str]:
    """Those that are told of a route. One that a version has given exists at 0 for all: a share
    needs both sides. Where the file declares some, what it declared before is over.
    """
    given = {
        label for key, one in report.versions.items() if key[0] == route for label in one.labels
    }
    return sorted(given & {*declared, OTHER_LABEL} if declared else given)


def _routes(report: Report) -> Iterator[Metric]:
    weight = GaugeMetricFamily(
        "canary_route_weight_ratio",
        "Share of the route's requests that the file gives the version, 0 to 1.",
        labels=["route", "version"],
    )
    given = GaugeMetricFamily(
        "canary_route_effective_weight_ratio",
        "Share of the route's requests that the serving processes send to the version first, 0 to "
        "1: the mean over them, 0 without any. Health moves no share; fallbacks tell of that.",
        labels=["route", "version"],
    )
    overhead = HistogramMetricFamily(
        "canary_gateway_overhead_seconds",
        "Seconds of a finished request in which no worker had it: from its last bytes being read "
        "to its answer being written, less all attempts; waiting for a connection is part of it. "
        "Of an answer passed on as it comes: until its head was.",
        labels=["route"],
    )
    for key, share in configured(report.epoch.table).items():
        weight.add_metric(key, share)
    for key, share in effective(report).items():
        given.add_metric(key, share)
    for route, spent in report.overhead.items():
        _add(overhead, [route], spent)
    refused = CounterMetricFamily(
        "canary_refused_requests",
        "Requests the gateway refused before any version was asked.",
        labels=["reason"],
    )
    for reason, number in sorted(report.refusals.items()):
        refused.add_metric([reason], number)
    return iter((weight, given, overhead, refused))


def _endpoints(report: Report) -> Iterator[Metric]:
    in_flight = GaugeMetricFamily(
        "canary_requests_in_flight",
        "Requests at the version, or waiting for a connection to it.",
        labels=_VERSION_LABELS,
    )
    circuit = GaugeMetricFamily(
        "canary_circuit_open",
        "1 while a process leaves the endpoint out for its failures; of versions with several.",
        labels=["route", "version", "endpoint"],
    )
    up = GaugeMetricFamily(
        "canary_upstream_up",
        "1 while the endpoint tells every process that it is ready; of versions with `readiness`.",
        labels=["route", "version", "endpoint"],
    )
    for place in report.epoch.table.places:
        number = report.all_in_flight(place)
        in_flight.add_metric([place.route.name, place.version, place.role], number)
        endpoints = place.route.version(place.version).endpoints
        for endpoint in endpoints:
            labels = [place.route.name, place.version, endpoint.url]
            if len(endpoints) > 1:
                circuit.add_metric(labels, report.ejected(place, endpoint) > 0)
            ready = report.ready(place, endpoint)
            if ready is not None:
                up.add_metric(labels, ready)
    return iter((in_flight, circuit, up))


def _histogram(name: str, documentation: str) -> HistogramMetricFamily:
    return HistogramMetricFamily(name, documentation, labels=_VERSION_LABELS)


def _add(
    family: HistogramMetricFamily,
    labels: Sequence[str],
    histogram: Histogram,
    exemplars: Sequence[Noted | None] = (),
) -> None:
    """``exemplars`` by bucket, if there are any; they are told in OpenMetrics only."""
    total = 0
    buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
    bounds, named = (*histogram.bounds, inf), exemplars or [None] * len(histogram.buckets)
    for bound, number, noted in zip(bounds, histogram.buckets, named, strict=True):
        total += number
        bucket = "+Inf" if bound == inf else str(bound), float(total)
        if noted is None:
            buckets.append(bucket)
        else:
            told = Exemplar({"trace_id": noted.trace}, noted.seconds, noted.at)
            buckets.append((*bucket, told))
    family.add_metric(labels, buckets=buckets, sum_value=histogram.sum)
