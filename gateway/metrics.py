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

from gateway.exemplars import Exemplar as Noted
from gateway.exemplars import Row
from gateway.model import FULL_WEIGHT
from gateway.report import Histogram, Key, Report, VersionTotals

_VERSION_LABELS = ["route", "version", "role"]


class GatewayMetrics(Collector):
    """Everything the gateway tells Prometheus. Register it with the registry that is served."""

    def __init__(self, report: Callable[[], Report], version: str) -> None:
        self._report = report
        self._version = version

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: what there is to tell depends on the file."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All metrics as of now."""
        report = self._report()
        yield from _requests(report.versions, report.state.exemplars)
        yield from _predictions(report)
        yield from _routes(report)
        yield from _config(report)
        yield from _processes(report)
        yield CounterMetricFamily(
            "canary_spans_dropped",
            "Spans that were not exported: no room for them, or the collector did not take them.",
            value=report.spans_dropped,
        )
        yield from _certificates(report)
        build = GaugeMetricFamily("canary_build_info", "1; names this build.", labels=["version"])
        build.add_metric([self._version], 1)
        yield build


def _requests(
    versions: Mapping[Key, VersionTotals], exemplars: Mapping[Key, Row]
) -> Iterator[Metric]:
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
    refused = CounterMetricFamily(
        "canary_retries_refused",
        "Requests not sent to the version once more, as too many were under way already.",
        labels=[*_VERSION_LABELS, "reason"],
    )
    waited = _histogram("canary_request_duration_seconds", "What the client waited.")
    worked = _histogram(
        "canary_upstream_duration_seconds", "What the worker took, failed answers included."
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
    return iter((requests, errors, fallbacks, retries, refused, waited, worked))


def _predictions(report: Report) -> Iterator[Metric]:
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
    reading = {route.name for route in report.epoch.table.config.routes if route.prediction}
    for labels, one in report.versions.items():
        if labels[0] not in reading:
            continue
        # A label that one version has given exists at 0 for all: a share needs both sides.
        known = {
            label: 0
            for other, given in report.versions.items()
            if other[0] == labels[0]
            for label in given.labels
        }
        for label, number in sorted((known | one.labels).items()):
            predictions.add_metric([*labels, label], number)
        for reason, number in one.missing.items():
            missing.add_metric([*labels, reason], number)
        _add(scores, labels, one.scores)
    return iter((predictions, missing, scores))


def _routes(report: Report) -> Iterator[Metric]:
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
    ejected = GaugeMetricFamily(
        "canary_endpoint_ejected",
        "Processes that leave the endpoint out for a while; only of versions with several.",
        labels=["route", "version", "endpoint"],
    )
    up = GaugeMetricFamily(
        "canary_upstream_up",
        "1 if the endpoint says that it is ready; only of versions with `readiness`.",
        labels=["route", "version", "endpoint"],
    )
    for place in report.epoch.table.places:
        share = place.route.weight(place.version) / FULL_WEIGHT
        weight.add_metric([place.route.name, place.version], share)
        number = report.all_in_flight(place)
        in_flight.add_metric([place.route.name, place.version, place.role], number)
        endpoints = place.route.version(place.version).endpoints
        for endpoint in endpoints if len(endpoints) > 1 else ():
            labels = [place.route.name, place.version, endpoint.url]
            ejected.add_metric(labels, report.ejected(place, endpoint))
        for endpoint in endpoints:
            ready = report.ready(place, endpoint)
            if ready is not None:
                up.add_metric([place.route.name, place.version, endpoint.url], ready)
    refused = CounterMetricFamily(
        "canary_refused_requests",
        "Requests the gateway refused before any version was asked, by reason.",
        labels=["reason"],
    )
    for reason, number in sorted(report.refusals.items()):
        refused.add_metric([reason], number)
    return iter((weight, in_flight, ejected, up, refused))


def _config(report: Report) -> Iterator[Metric]:
    status = report.state.reloads
    yield GaugeMetricFamily(
        "canary_config_last_reload_successful",
        "1 if routing.yaml as it stands is in force, 0 if it was refused.",
        value=float(status.successful),
    )
    yield GaugeMetricFamily(
        "canary_config_last_reload_success_timestamp_seconds",
        "Unix time at which the file in force was taken.",
        value=report.since,
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
    info.add_metric([report.epoch.generation], 1)
    yield info


def _processes(report: Report) -> Iterator[Metric]:
    serving = sum(process.generation is not None for process in report.state.processes)
    yield GaugeMetricFamily(
        "canary_processes", "Processes that serve clients.", value=float(serving)
    )
    yield CounterMetricFamily(
        "canary_process_restarts",
        "Processes started in place of one that ended.",
        value=report.state.restarts,
    )


def _certificates(report: Report) -> Iterator[Metric]:
    expiry = GaugeMetricFamily(
        "canary_tls_certificate_expiry_timestamp_seconds",
        "Unix time at which the certificate in use ends.",
        labels=["port"],
    )
    reloads = CounterMetricFamily(
        "canary_tls_certificate_reloads",
        "Changed certificates or keys seen, by result.",
        labels=["port", "result"],
    )
    for certificate in report.state.certificates:
        expiry.add_metric([certificate.port], certificate.expires)
        reloads.add_metric([certificate.port, "success"], certificate.replaced)
        reloads.add_metric([certificate.port, "failure"], certificate.refused)
    return iter((expiry, reloads))


def _histogram(name: str, documentation: str) -> HistogramMetricFamily:
    return HistogramMetricFamily(name, documentation, labels=_VERSION_LABELS)


def _add(
    family: HistogramMetricFamily,
    labels: Key,
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
    family.add_metric(list(labels), buckets=buckets, sum_value=histogram.sum)
