"""How each version of a route does: panels of the rollout."""

from __future__ import annotations

from typing import Final

from monitoring.grafana.look import BY_ROLE, CANDIDATE, STABLE, Json
from monitoring.grafana.panels import heatmap, plot, target
from monitoring.grafana.promql import (
    CHOSEN,
    ROUTE,
    VERSION,
    class_share,
    error_ratio,
    increase,
    largest,
    mean,
    quantile,
    rate,
    total,
)

_WAIT: Final = (
    "of 100 clients waited less than this, by the version that answered. A fallback counts under "
    "stable with the whole wait, the candidate's part included."
)


def quality() -> list[Json]:
    waits = "canary_request_duration_seconds"
    return [
        plot(
            "Error ratio",
            "Of what each version was asked, the share it gave no good answer to. A candidate's "
            "failure counts against the candidate also where stable answered in its place, so "
            "clients saw less than this.",
            "percentunit",
            target(error_ratio()),
            overrides=BY_ROLE,
            alerts=["CanaryErrorRatioAboveStable"],
        ),
        plot(
            "p50 latency",
            f"50 {_WAIT}",
            "s",
            target(quantile(0.5, waits)),
            overrides=BY_ROLE,
        ),
        plot(
            "p95 latency",
            f"95 {_WAIT}",
            "s",
            target(quantile(0.95, waits)),
            overrides=BY_ROLE,
            alerts=["CanaryLatencyRegression"],
        ),
        plot(
            "p99 latency",
            f"99 {_WAIT}",
            "s",
            target(quantile(0.99, waits)),
            overrides=BY_ROLE,
        ),
    ]


def traffic() -> list[Json]:
    saved = rate("canary_fallbacks_total", 'route="$route", assigned=~"$version"')
    return [
        plot(
            "Request rate",
            "Answers a second by the version that gave them, fallbacks and overrides included.",
            "reqps",
            target(total(VERSION, rate("canary_requests_total"))),
            overrides=BY_ROLE,
            alerts=["CanaryRouteWithoutTraffic"],
        ),
        plot(
            "In flight",
            "Requests sent to each version and not answered yet, or waiting for a connection.",
            "short",
            target(total(VERSION, f"canary_requests_in_flight{{{CHOSEN}}}")),
            overrides=BY_ROLE,
        ),
        plot(
            "Fallbacks",
            "Requests a second that stable answered because the version they were drawn for did "
            "not, by its failure.",
            "reqps",
            target(total("assigned, reason", saved), "{{assigned}}: {{reason}}"),
        ),
    ]


def predictions() -> list[Json]:
    return [
        plot(
            "Predictions, stable",
            "Share of each class in stable's answers.",
            "percentunit",
            target(class_share("stable"), "{{label}}"),
            stacked=True,
            max=1,
        ),
        plot(
            "Predictions, candidate",
            "Share of each class in the candidate's answers. A better model may rightly answer "
            "differently; one class swallowing the others is a broken model. With several "
            "candidates: choose one as the version.",
            "percentunit",
            target(class_share("candidate"), "{{label}}"),
            stacked=True,
            max=1,
            alerts=["CanaryPredictionShift", "CanaryInventedLabel"],
        ),
        plot(
            "Drift of the predictions",
            "How far the candidate's predictions are from stable's, less what is chance: "
            "population stability index, Jensen-Shannon divergence, Kolmogorov-Smirnov distance.",
            "none",
            target(
                largest("version, statistic", "canary_prediction_drift"),
                "{{version}}: {{statistic}}",
            ),
            alerts=["CanaryPredictionShift"],
        ),
    ]


def values() -> list[Json]:
    said = "of 100 of its values are below this, to within the bounds that routing.yaml gives"
    return [
        plot(
            f"{name} value",
            f"{percent} {said}: a regressor's predictions, or the tokens of a chat's answers. "
            "Nothing where the route has no `prediction.value`.",
            "short",
            target(quantile(percent / 100, "canary_prediction_value")),
            overrides=BY_ROLE,
            alerts=["CanaryPredictionShift"],
            min=None,
        )
        for name, percent in (("Median", 50), ("p90", 90))
    ]


def scores() -> list[Json]:
    buckets = "canary_prediction_score_bucket"
    sure = "How sure {} is of its answers: darker means more answers with that score."
    return [
        heatmap(
            "Scores, stable",
            sure.format("stable"),
            "percentunit",
            total("le", increase(buckets, f'{ROUTE}, role="stable"')),
            fill=STABLE,
        ),
        heatmap(
            "Scores, candidate",
            sure.format("the candidate"),
            "percentunit",
            total("le", increase(buckets, f'{CHOSEN}, role="candidate"')),
            fill=CANDIDATE,
        ),
        plot(
            "Mean score",
            "How sure each version is of its answers, on average.",
            "percentunit",
            target(mean("canary_prediction_score")),
            overrides=BY_ROLE,
            max=1,
        ),
    ]
