"""One route from close by: what fails and why, where time goes, which endpoints are well."""

from __future__ import annotations

from monitoring.grafana.look import BY_ROLE, CANDIDATE, STABLE, Json, words
from monitoring.grafana.page import Row, page
from monitoring.grafana.panels import heatmap, plot, target, timeline
from monitoring.grafana.promql import (
    CHOSEN,
    ROUTE,
    VERSION,
    increase,
    largest,
    quantile,
    rate,
    total,
)


def route() -> Json:
    """The dashboard ``canary-route``."""
    return page(
        "canary-route",
        "One route from close by: what fails and why, where time goes, which endpoints are well.",
        [
            Row("Requests", 8, _requests(), wide=12),
            Row("Failures", 8, _failures(), wide=12),
            Row("Latency", 8, _latency(), wide=12),
            Row("Endpoints", 8, _endpoints(), wide=12),
        ],
    )


def _requests() -> list[Json]:
    return [
        plot(
            "Requests by code",
            "Answers a second by the version that gave them and their code; 499: the client left.",
            "reqps",
            target(
                total(f"{VERSION}, code", rate("canary_requests_total")),
                "{{role}} {{version}}: {{code}}",
            ),
            alerts=["CanaryRouteWithoutTraffic"],
        ),
        plot(
            "Requests by assignment",
            "Answers a second by how their version was chosen: weighted (drawn), sticky (drawn by "
            "user), forced (the request names it), fallback (stable for a candidate that failed).",
            "reqps",
            target(
                total(f"{VERSION}, assignment", rate("canary_requests_total")),
                "{{role}} {{version}}: {{assignment}}",
            ),
        ),
    ]


def _failures() -> list[Json]:
    by_reason = "{{role}} {{version}}: {{reason}}"
    return [
        plot(
            "Errors by reason",
            "Failures a second of each version: connect (nobody listens), reset, timeout, "
            "bad_response (no HTTP), upstream_5xx, shed (over the limit in_flight).",
            "reqps",
            target(total(f"{VERSION}, reason", rate("canary_request_errors_total")), by_reason),
            alerts=["CanaryErrorRatioAboveStable"],
        ),
        plot(
            "Unreadable predictions",
            "Good answers a second in which no prediction stood where routing.yaml says, and why.",
            "reqps",
            target(total(f"{VERSION}, reason", rate("canary_prediction_missing_total")), by_reason),
        ),
        plot(
            "Retries",
            "Requests a second sent once more after no answer.",
            "reqps",
            target(total(f"{VERSION}, reason", rate("canary_retries_total")), by_reason),
        ),
        plot(
            "Retries refused",
            "Requests a second not sent once more, as too many were under way already.",
            "reqps",
            target(total(f"{VERSION}, reason", rate("canary_retries_refused_total")), by_reason),
        ),
    ]


def _latency() -> list[Json]:
    waits = "canary_request_duration_seconds"
    below = "{} of 100 clients waited less than this, by the version that answered."
    return [
        *(
            heatmap(
                f"Latency, {role}",
                "How long clients waited: darker means more of them. Dots are "
                "requests with a trace.",
                "s",
                total("le", increase(f"{waits}_bucket", f'{chosen}, role="{role}"')),
                fill=colour,
                exemplar=True,
            )
            for role, chosen, colour in (
                ("stable", ROUTE, STABLE),
                ("candidate", CHOSEN, CANDIDATE),
            )
        ),
        plot(
            "p95 latency",
            f"{below.format(95)} Dots are requests with a trace.",
            "s",
            target(quantile(0.95, waits), exemplar=True),
            overrides=BY_ROLE,
            alerts=["CanaryLatencyRegression"],
        ),
        plot(
            "p95 in the worker",
            "95 of 100 requests took the worker less than this, failed answers included. Compare "
            "versions by this one: no fallback is in it.",
            "s",
            target(quantile(0.95, "canary_upstream_duration_seconds")),
            overrides=BY_ROLE,
        ),
        plot(
            "p50 time to the first byte",
            "Half of the streamed answers began within this time.",
            "s",
            target(quantile(0.5, "canary_time_to_first_byte_seconds")),
            overrides=BY_ROLE,
        ),
        plot(
            "p95 time to the first byte",
            "95 of 100 streamed answers began within this time.",
            "s",
            target(quantile(0.95, "canary_time_to_first_byte_seconds")),
            overrides=BY_ROLE,
        ),
    ]


def _endpoints() -> list[Json]:
    name = "{{version}} {{endpoint}}"
    return [
        timeline(
            "Endpoints that are ready",
            "Whether each endpoint says that it is ready; only of versions with `readiness`.",
            target(f"min by (version, endpoint) (canary_upstream_up{{{CHOSEN}}})", name),
            mappings=words(_0=("down", "red"), _1=("ready", "green")),
            alerts=["CanaryUpstreamDown"],
        ),
        timeline(
            "Circuits",
            "Whether an endpoint is left out for a while after failures in a row; only of versions "
            "with several.",
            target(largest("version, endpoint", "canary_circuit_open"), name),
            mappings=words(_0=("closed", "green"), _1=("open", "red")),
        ),
    ]
