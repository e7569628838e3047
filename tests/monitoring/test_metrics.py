"""What the controller tells Prometheus, from before the first look to after a route is gone."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from math import inf
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from gateway.model import Analysis, Event
from monitoring.analysis.verdict import Finding, Kind, Verdict, error
from monitoring.metrics.collector import FRESH, Metrics, reason_of
from monitoring.metrics.standing import Shown
from monitoring.notices.postman import Outcome
from monitoring.readings.evidence import Counts
from monitoring.rollout.position import Phase
from tests.builders import make_prediction, make_route, make_sticky

IRIS = make_route(
    analysis=Analysis(latency_max_increase=100, max_false_rollback=100),
    prediction=make_prediction(score="/scores/0"),
)
WINE = make_route({"a": "http://127.0.0.1:1", "b": "http://127.0.0.1:2"}, name="wine")
CANDIDATES = (("iris", "v2"), ("wine", "b"))
OPENMETRICS = "application/openmetrics-text; version=1.0.0"

Labels = Mapping[str, str]


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def make_metrics(clock: Clock | None = None) -> Metrics:
    metrics = Metrics("1.2.3", clock or Clock())
    metrics.known([IRIS, WINE])
    return metrics


def make_verdict(kind: Kind, *reasons: str, **more: Any) -> Verdict:
    findings = (Finding("errors", 12.5), Finding("latency", 0.5), Finding("split", 1.0))
    usual: dict[str, Any] = {"findings": findings}
    return replace(
        Verdict(kind, "because", 12.5, 100.0, "errors", Counts(), Counts(), reasons),
        **usual | more,
    )


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by its name and labels."""
    content_type, text = metrics.render("")
    assert content_type.startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_text(text.decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """KeyError if there is no such series."""
    return samples(metrics)[name, frozenset(labels.items())]


def expected_at_zero() -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """Written out anew, from what the README promises."""
    signals = ["errors", "error limit", "latency", "latency limit", "labels", "scores"]
    signals += ["values", "saved"]
    found: list[tuple[str, dict[str, str]]] = []
    for route, version in CANDIDATES:
        pair = {"route": route, "version": version}
        for phase in ("idle", "ramping", "paused", "promoted", "rolled_back"):
            found.append(("canary_rollout_phase", pair | {"phase": phase}))
        for name in ("step", "watched_seconds", "pause_seconds"):
            found.append((f"canary_rollout_{name}", pair))
        for verdict in ("Successful", "Failed", "Inconclusive", "Error"):
            found.append(("canary_verdict", pair | {"verdict": verdict}))
        for reason in (*signals, "collapse"):
            found.append(("canary_verdicts_total", pair | {"verdict": "Failed", "reason": reason}))
        for verdict, reason in (
            *(("Successful", "none"), ("Inconclusive", "none")),
            *(("Error", "none"), ("Error", "split")),
        ):
            found.append(("canary_verdicts_total", pair | {"verdict": verdict, "reason": reason}))
        for reason in (*signals, "collapse", "operator"):
            found.append(("canary_rollbacks_total", pair | {"reason": reason}))
        if route == "iris":
            for check in ("errors", "latency", "split"):
                found.append(("canary_check_value", pair | {"check": check}))
            for statistic in ("psi", "js", "ks"):
                found.append(("canary_prediction_drift", pair | {"statistic": statistic}))
            found.append(("canary_sample_ratio_mismatch", {"route": route}))
    kinds = ("start", "set-weight", "advance", "promote", "rollback", "pause", "resume", "by-hand")
    kinds = (*kinds, "add-version", "remove-version")
    for actor, kind in product(("operator", "controller"), kinds):
        found.append(("canary_weight_changes_total", {"actor": actor, "kind": kind}))
    events = ("rollback", "promote", "pause", "error")
    for event, outcome in product(events, ("delivered", "failed", "dropped")):
        found.append(("canary_notices_total", {"event": event, "outcome": outcome}))
    for outcome in ("judged", "no_evidence", "bad_file", "standing_by"):
        found.append(("canary_controller_looks_total", {"outcome": outcome}))
    for route in ("iris", "wine"):
        for part in ("count", "sum"):
            found.append((f"canary_rollback_duration_seconds_{part}", {"route": route}))
        for le in ("0.1", "0.25", "0.5", "1.0", "2.0", "3.0", "5.0", "10.0", "30.0", "60.0"):
            bucket = {"route": route, "le": le}
            found.append(("canary_rollback_duration_seconds_bucket", bucket))
        last = {"route": route, "le": "+Inf"}
        found.append(("canary_rollback_duration_seconds_bucket", last))
    found.append(("canary_controller_last_look_timestamp_seconds", {}))
    found.append(("canary_controller_unrecorded_changes", {}))
    return {(name, frozenset(labels.items())) for name, labels in found}


def test_every_known_series_is_there_at_zero_from_the_start() -> None:
    told = samples(make_metrics())
    rest = {key: one for key, one in told.items() if one != 0}

    assert {key for key, one in told.items() if one == 0} == expected_at_zero()
    assert {name for name, _ in rest} == {
        *("canary_build_info", "canary_check_threshold", "canary_sample_ratio_pvalue"),
    }
    assert value(make_metrics(), "canary_build_info", version="1.2.3") == 1
    assert value(make_metrics(), "canary_sample_ratio_pvalue", route="iris") == 1


def test_the_threshold_is_known_before_anything_is_judged() -> None:
    metrics = make_metrics()

    for check in ("errors", "latency", "split"):
        labels = {"route": "iris", "version": "v2", "check": check}
        assert value(metrics, "canary_check_threshold", **labels) == pytest.approx(100)


def test_what_stable_answers_in_place_of_a_candidate_is_checked_where_it_is_evidence() -> None:
    metrics = Metrics("0", Clock())
    metrics.known([make_route(analysis=Analysis(), sticky=make_sticky())])
    verdict = make_verdict(Kind.FAILED, "saved", findings=(Finding("saved", 200.0),))
    metrics.looked([Shown("iris", "v2", Phase.RAMPING, verdict=verdict)])
    metrics.verdict_changed("iris", "v2", verdict)
    at = {"route": "iris", "version": "v2"}

    assert value(metrics, "canary_check_value", **at, check="saved") == 200
    assert value(metrics, "canary_check_threshold", **at, check="saved") == pytest.approx(100)
    assert value(metrics, "canary_verdicts_total", **at, verdict="Failed", reason="saved") == 1


def test_a_look_replaces_where_everybody_stands() -> None:
    metrics = make_metrics()
    verdict = make_verdict(Kind.INCONCLUSIVE, "errors: too few samples")
    metrics.looked([Shown("iris", "v2", Phase.RAMPING, 2, 61.5, 600.0, verdict)])
    at = {"route": "iris", "version": "v2"}

    assert value(metrics, "canary_rollout_phase", **at, phase="ramping") == 1
    assert value(metrics, "canary_rollout_phase", **at, phase="idle") == 0
    assert value(metrics, "canary_rollout_step", **at) == 2
    assert value(metrics, "canary_rollout_watched_seconds", **at) == 61.5
    assert value(metrics, "canary_rollout_pause_seconds", **at) == 600
    assert value(metrics, "canary_verdict", **at, verdict="Inconclusive") == 1
    assert value(metrics, "canary_verdict", **at, verdict="Failed") == 0
    assert value(metrics, "canary_check_value", **at, check="errors") == 12.5
    assert value(metrics, "canary_check_value", **at, check="latency") == 0.5

    metrics.looked([Shown("iris", "v2", Phase.PAUSED, 3, 0, inf)])
    assert value(metrics, "canary_rollout_phase", **at, phase="ramping") == 0
    assert value(metrics, "canary_rollout_phase", **at, phase="paused") == 1
    assert value(metrics, "canary_rollout_pause_seconds", **at) == inf
    assert value(metrics, "canary_verdict", **at, verdict="Inconclusive") == 0
    assert value(metrics, "canary_check_value", **at, check="errors") == 0

    metrics.looked([])
    assert samples(metrics) == samples(make_metrics())


def test_a_look_is_told_of_as_a_whole_or_not_at_all() -> None:
    metrics = make_metrics()
    metrics.looked([Shown("iris", "v2", Phase.RAMPING, 1)])
    families = metrics.collect()
    first = next(families)
    metrics.looked([Shown("iris", "v2", Phase.ROLLED_BACK)])
    told = {
        (one.name, *sorted(one.labels.values())): one.value
        for family in (first, *families)
        for one in family.samples
    }

    assert told["canary_rollout_phase", "iris", "ramping", "v2"] == 1
    assert told["canary_rollout_step", "iris", "v2"] == 1


def test_the_verdict_on_the_next_weight_is_the_one_that_is_shown() -> None:
    metrics = make_metrics()
    verdict = make_verdict(Kind.INCONCLUSIVE)
    metrics.looked([Shown("iris", "v2", Phase.RAMPING, verdict=verdict, kind=Kind.SUCCESSFUL)])
    metrics.verdict_changed("iris", "v2", verdict, Kind.SUCCESSFUL)
    at = {"route": "iris", "version": "v2", "verdict": "Successful"}

    assert value(metrics, "canary_verdict", **at) == 1
    assert value(metrics, "canary_verdicts_total", **at, reason="none") == 1


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (make_verdict(Kind.FAILED, "errors"), "errors"),
        (make_verdict(Kind.FAILED, "latency limit"), "latency limit"),
        (make_verdict(Kind.FAILED, "collapse"), "collapse"),
        (make_verdict(Kind.ERROR, "split"), "split"),
        (error("gateway:8081 counted less than before", 100.0), "none"),
        (make_verdict(Kind.INCONCLUSIVE, "errors: too few samples"), "none"),
        (make_verdict(Kind.INCONCLUSIVE, "errors"), "none"),
        (make_verdict(Kind.SUCCESSFUL, "proven"), "none"),
        (make_verdict(Kind.FAILED), "none"),
    ],
)
def test_a_change_of_verdict_counts_under_what_it_rests_on(verdict: Verdict, reason: str) -> None:
    metrics = make_metrics()
    metrics.verdict_changed("iris", "v2", verdict)
    labels = {"route": "iris", "version": "v2", "verdict": str(verdict.kind), "reason": reason}

    assert reason_of(verdict) == reason
    assert value(metrics, "canary_verdicts_total", **labels) == 1


@pytest.mark.parametrize(
    ("actor", "told"),
    [
        ("controller", "controller"),
        ("cli:alice", "operator"),
        ("console", "operator"),
        ("", "operator"),
    ],
)
def test_whoever_is_not_the_controller_is_an_operator(actor: str, told: str) -> None:
    metrics = make_metrics()
    metrics.changed(actor, "promote")

    assert value(metrics, "canary_weight_changes_total", actor=told, kind="promote") == 1


def test_words_of_no_closed_set_make_no_series_of_their_own() -> None:
    metrics = make_metrics()
    known = len(samples(metrics))
    for number in range(50):
        metrics.changed("cli:alice", f"word {number}")
        metrics.look(f"word {number}")
        metrics.rolled_back("iris", "v2", f"word {number}")

    assert value(metrics, "canary_weight_changes_total", actor="operator", kind="other") == 50
    assert value(metrics, "canary_controller_looks_total", outcome="other") == 50
    at = {"route": "iris", "version": "v2", "reason": "none"}
    assert value(metrics, "canary_rollbacks_total", **at) == 50
    assert len(samples(metrics)) == known + 3


def test_what_happened_is_counted() -> None:
    clock = Clock()
    metrics = make_metrics(clock)
    metrics.rolled_back("iris", "v2", "errors")
    metrics.rolled_back("iris", "v2", "operator")
    metrics.told(Event.ROLLBACK, Outcome.FAILED)
    metrics.unrecorded(3)
    metrics.look("judged")
    metrics.look("judged")
    for seconds in (0.05, 0.1, 0.7, 100.0):
        metrics.acknowledged("iris", seconds)
    at = {"route": "iris", "version": "v2"}

    assert value(metrics, "canary_rollbacks_total", **at, reason="errors") == 1
    assert value(metrics, "canary_rollbacks_total", **at, reason="operator") == 1
    assert value(metrics, "canary_notices_total", event="rollback", outcome="failed") == 1
    assert value(metrics, "canary_controller_unrecorded_changes") == 3
    assert value(metrics, "canary_controller_looks_total", outcome="judged") == 2
    assert value(metrics, "canary_controller_last_look_timestamp_seconds") == clock.now
    name = "canary_rollback_duration_seconds"
    buckets = [
        value(metrics, f"{name}_bucket", route="iris", le=le)
        for le in ("0.1", "0.25", "0.5", "1.0", "60.0", "+Inf")
    ]
    assert buckets == [2, 2, 2, 3, 3, 4]
    assert value(metrics, f"{name}_sum", route="iris") == pytest.approx(100.85)
    assert value(metrics, f"{name}_count", route="wine") == 0


def test_what_left_the_file_is_told_no_more_and_comes_back_at_zero() -> None:
    metrics = make_metrics()
    metrics.looked([Shown("iris", "v2", Phase.RAMPING), Shown("wine", "a", Phase.PROMOTED)])
    metrics.rolled_back("iris", "v2", "errors")
    metrics.rolled_back("iris", "v1", "operator")
    metrics.verdict_changed("wine", "b", make_verdict(Kind.FAILED, "errors"))
    metrics.acknowledged("iris", 1)
    metrics.acknowledged("wine", 1)
    metrics.known([make_route({"v1": "http://127.0.0.1:1"})])
    labels = {frozenset(labels) for _, labels in samples(metrics)}

    assert not [one for one in labels if ("version", "v2") in one or ("route", "wine") in one]
    at = {"route": "iris", "version": "v1", "reason": "operator"}
    assert value(metrics, "canary_rollbacks_total", **at) == 1
    assert value(metrics, "canary_rollback_duration_seconds_count", route="iris") == 1

    metrics.known([IRIS, WINE])
    metrics.looked([])
    told = samples(metrics)
    assert {key for key in expected_at_zero() if key not in told} == set()
    assert value(metrics, "canary_rollback_duration_seconds_count", route="wine") == 0


def test_a_controller_is_healthy_for_as_long_as_it_looks() -> None:
    clock = Clock()
    metrics = make_metrics(clock)
    assert metrics.trouble() == "the controller has not looked yet"
    metrics.look("bad_file")
    assert metrics.trouble() == ""
    clock.now += FRESH - 0.001
    assert metrics.trouble() == ""
    clock.now += 0.001
    assert metrics.trouble() == "the last look was 10 s ago; it looks once a second"
    clock.now -= 1_000_000
    assert metrics.trouble() == ""


def test_stable_has_a_phase_if_it_was_promoted_and_nothing_else() -> None:
    metrics = make_metrics()
    metrics.looked([Shown("iris", "v1", Phase.IDLE), Shown("wine", "a", Phase.PROMOTED)])
    of_stable = [
        (name, labels)
        for name, labels in samples(metrics)
        if dict(labels).get("version") in ("v1", "a")
    ]

    assert {name for name, _ in of_stable} == {"canary_rollout_phase"}
    assert {dict(labels)["route"] for _, labels in of_stable} == {"wine"}
    at = {"route": "wine", "version": "a"}
    assert value(metrics, "canary_rollout_phase", **at, phase="promoted") == 1
    assert value(metrics, "canary_rollout_phase", **at, phase="idle") == 0


def test_what_was_counted_of_a_candidate_stays_when_it_is_promoted() -> None:
    metrics = make_metrics()
    metrics.verdict_changed("iris", "v2", make_verdict(Kind.SUCCESSFUL, "proven"))
    promoted = replace(IRIS, stable="v2")
    metrics.known([promoted, WINE])
    at = {"route": "iris", "version": "v2", "verdict": "Successful", "reason": "none"}

    assert value(metrics, "canary_verdicts_total", **at) == 1
    assert "canary_verdict" not in {
        name for name, labels in samples(metrics) if ("version", "v2") in labels
    }
    rollback = {"route": "iris", "version": "v1", "reason": "errors"}
    assert value(metrics, "canary_rollbacks_total", **rollback) == 0


def test_drift_is_that_of_the_last_look() -> None:
    metrics = make_metrics()
    drift = {"psi": 0.3, "js": 0.04, "ks": 0.2}
    metrics.looked([Shown("iris", "v2", Phase.RAMPING, drift=drift)])
    at = {"route": "iris", "version": "v2"}

    told = {one: value(metrics, "canary_prediction_drift", **at, statistic=one) for one in drift}
    assert told == drift
    metrics.looked([])
    assert value(metrics, "canary_prediction_drift", **at, statistic="psi") == 0


@pytest.mark.parametrize(
    ("prediction", "statistics"),
    [
        (make_prediction(), {"psi", "js"}),
        (make_prediction(label=None, score="/scores/0"), {"psi", "js", "ks"}),
        (None, set()),
    ],
)
def test_only_drift_that_can_be_told_has_a_series(prediction: Any, statistics: set[str]) -> None:
    metrics = Metrics("0", Clock())
    metrics.known([make_route(analysis=Analysis(), prediction=prediction), WINE])
    told = {
        dict(labels)["statistic"]
        for name, labels in samples(metrics)
        if name == "canary_prediction_drift"
    }

    assert told == statistics


def split(evidence: float, kind: Kind = Kind.INCONCLUSIVE, *reasons: str) -> Verdict:
    return make_verdict(kind, *reasons, findings=(Finding("split", evidence),))


def test_the_split_of_a_route_is_told_by_a_p_value_and_by_the_verdict() -> None:
    metrics = make_metrics()
    metrics.looked([Shown("iris", "v2", Phase.RAMPING, verdict=split(0.5))])
    assert value(metrics, "canary_sample_ratio_pvalue", route="iris") == 1

    metrics.looked([Shown("iris", "v2", Phase.RAMPING, verdict=split(50.0))])
    assert value(metrics, "canary_sample_ratio_pvalue", route="iris") == pytest.approx(0.02)
    assert value(metrics, "canary_sample_ratio_mismatch", route="iris") == 0

    wrong = split(1e6, Kind.ERROR, "split")
    metrics.looked([Shown("iris", "v2", Phase.RAMPING, verdict=wrong)])
    assert value(metrics, "canary_sample_ratio_pvalue", route="iris") == pytest.approx(1e-6)
    assert value(metrics, "canary_sample_ratio_mismatch", route="iris") == 1

    metrics.looked([Shown("iris", "v2", Phase.RAMPING, verdict=error("no evidence", 100.0))])
    assert value(metrics, "canary_sample_ratio_pvalue", route="iris") == 1
    assert value(metrics, "canary_sample_ratio_mismatch", route="iris") == 0


def test_of_several_candidates_each_has_its_part_of_the_p_value() -> None:
    versions = {"v1": "http://127.0.0.1:1", "v2": ("http://127.0.0.1:2", 5)}
    three = make_route(versions | {"v3": ("http://127.0.0.1:3", 5)}, analysis=Analysis())
    metrics = Metrics("0", Clock())
    metrics.known([three])
    rows = [
        Shown("iris", "v2", Phase.RAMPING, verdict=split(1.0)),
        Shown("iris", "v3", Phase.RAMPING, verdict=split(200.0)),
    ]
    metrics.looked(rows)

    assert value(metrics, "canary_sample_ratio_pvalue", route="iris") == pytest.approx(2 / 200)


@pytest.mark.parametrize(
    "name", ['"', "\\", "\n", 'a"} 1\n# EOF', "{}", "\u2028", "é", "\U0001f600"]
)
def test_names_are_escaped(name: str) -> None:
    metrics = Metrics("0")
    versions = {"stable": "http://127.0.0.1:1", name: "http://127.0.0.1:2"}
    metrics.known([make_route(versions, name=name, analysis=Analysis())])
    metrics.looked([Shown(name, name, Phase.RAMPING, 7)])
    _, text = metrics.render(OPENMETRICS)

    assert value(metrics, "canary_rollout_step", route=name, version=name) == 7
    steps = [one for one in parse_openmetrics(text.decode()) if one.name == "canary_rollout_step"]
    assert steps[0].samples[0].labels == {"route": name, "version": name}


def test_openmetrics_is_told_to_who_asks_and_when_series_began_to_nobody() -> None:
    metrics = make_metrics()
    content_type, text = metrics.render(OPENMETRICS)

    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith(b"# EOF\n")
    assert b"_created" not in text + metrics.render("")[1]


def test_prometheus_finds_nothing_to_better() -> None:
    """Without Debian's package `prometheus` (tests/packages.txt) this fails, on purpose."""
    metrics = make_metrics()
    metrics.looked([Shown("iris", "v2", Phase.PAUSED, 1, 0, inf, make_verdict(Kind.FAILED))])
    metrics.acknowledged("iris", 0.5)
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=metrics.render("")[1],
        capture_output=True,
        check=False,
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
