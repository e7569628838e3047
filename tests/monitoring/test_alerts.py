"""Recording rules and alerts by reading, by Prometheus' own ``promtool``, and against what gateway
and controller really tell.
"""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gateway.config import parse
from gateway.metrics.collector import GatewayMetrics
from monitoring.metrics.collector import Metrics
from monitoring.runbooks import PATH, pages
from tests.builders import make_endpoint, make_report, with_readiness

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "monitoring" / "prometheus"
CASES = ROOT / "tests" / "data" / "alerts.test.yml"
RULES: list[dict[str, str]] = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"][0][
    "rules"
]
(GROUP,) = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
ALERTS: list[dict[str, Any]] = GROUP["rules"]
NAMES = sorted({alert["alert"] for alert in ALERTS})
METRIC = re.compile(r"\b(?:canary_\w+|\w+:canary_\w+:\w+|up)\b(?!\s*\()")
WINDOWS = ("1m", "5m", "1h")
TARGET = {"job", "instance"}  # Prometheus' own
each_alert = pytest.mark.parametrize(
    "alert", ALERTS, ids=[f"{one['alert']}-{one['labels']['severity']}" for one in ALERTS]
)


def told() -> dict[str, set[str]]:
    """The samples of gateway and controller before the first request, with their labels."""
    config = with_readiness(parse((ROOT / "routing.yaml").read_bytes()))
    several = tuple(make_endpoint(f"http://127.0.0.1:{port}") for port in (1, 2))
    routes = tuple(
        replace(
            route, versions=tuple(replace(version, endpoints=several) for version in route.versions)
        )
        for route in config.routes
    )
    config = replace(config, routes=routes)
    report = replace(make_report(config), refusals={"no_route": 1})
    registry = CollectorRegistry()
    registry.register(GatewayMetrics(lambda: report, "0"))
    controller = Metrics("0")
    controller.known(config.routes)
    labels: dict[str, set[str]] = defaultdict(set)
    for text in (generate_latest(registry), controller.render("")[1]):
        for family in text_string_to_metric_families(text.decode()):
            for sample in family.samples:
                labels[sample.name] |= set(sample.labels)
    return {**labels, "up": set()}


TOLD = told()


def labels_of(name: str) -> set[str]:
    """Of a metric, or of what a rule records: its name begins with them; KeyError for others."""
    if ":" not in name:
        return TOLD[name]
    assert name in {rule["record"] for rule in RULES}, name
    return {*name.partition(":")[0].split("_"), "role"}


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Without Debian's package `prometheus` (tests/packages.txt) this fails, on purpose."""
    return subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )


def cases(alert: str) -> list[list[dict[str, Any]]]:
    """What each case of an alert expects of it."""
    return [
        test["exp_alerts"]
        for case in yaml.safe_load(CASES.read_text())["tests"]
        for test in case["alert_rule_test"]
        if test["alertname"] == alert
    ]


# --- recording rules


def test_a_question_is_asked_of_every_window_alike() -> None:
    by_question: dict[str, dict[str, str]] = defaultdict(dict)
    for rule in RULES:
        question, window = re.fullmatch(r"(.+?)(1m|5m|1h)?", rule["record"]).groups()  # type: ignore[union-attr]
        if window is not None:
            text = re.sub(rf"\[{window}\]", "[WINDOW]", rule["expr"])
            text = re.sub(rf"(:canary_\w+:\w*?){window}\b", r"\1WINDOW", text)
            assert not re.search(r"\[\d|:\w+\d[mh]\b", text), rule["record"]
            by_question[question][window] = text

    assert len(by_question) == 8
    for question, texts in by_question.items():
        assert tuple(texts) == WINDOWS, question
        assert len(set(texts.values())) == 1, question


def test_every_window_is_tried() -> None:
    tried = (ROOT / "tests" / "data" / "windows.test.yml").read_text()
    windowed = [rule["record"] for rule in RULES if rule["record"].endswith(WINDOWS)]

    assert [name for name in windowed if name + "{" not in tried] == []


def test_the_rules_of_every_window_say_what_happened_in_it() -> None:
    tested = promtool("test", "rules", "tests/data/windows.test.yml")

    assert tested.returncode == 0, tested.stdout + tested.stderr


# --- alerts


def test_the_alerts_are_those_that_are_promised() -> None:
    assert GROUP["name"] == "canary-alerts"
    assert (
        sorted(
            (
                *(
                    "CanaryErrorRatioAboveStable",
                    "CanaryLatencyRegression",
                    "CanaryPredictionShift",
                ),
                *("CanaryInventedLabel", "CanarySampleRatioMismatch", "CanaryReloadFailed"),
                *("CanaryUpstreamDown", "CanaryVerdictStalled", "CanaryRolledBack"),
                *("CanaryGatewayDown", "CanaryControllerDown", "CanaryOverheadHigh"),
                "CanaryRouteWithoutTraffic",
            )
        )
        == NAMES
    )


def test_the_alerts_pass_every_lint() -> None:
    checked = promtool(
        "check", "rules", "--lint=all", "--lint-fatal", str(PROMETHEUS / "alerts.yml")
    )

    assert checked.returncode == 0, checked.stderr


def test_every_alert_fires_when_it_should_and_else_does_not() -> None:
    tested = promtool("test", "rules", str(CASES.relative_to(ROOT)))

    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_has_a_case_of_both_kinds(name: str) -> None:
    expected = cases(name)

    assert [] in expected
    severities = {one["labels"]["severity"] for one in ALERTS if one["alert"] == name}
    fired = [alert for each in expected for alert in each]
    assert {alert["exp_labels"]["severity"] for alert in fired} == severities
    for alert in fired:
        assert set(alert["exp_annotations"]) == {"summary", "description", "runbook_url"}


@each_alert
def test_an_alert_says_how_urgent_it_is_since_when_and_what_to_do(alert: dict[str, Any]) -> None:
    assert set(alert) == {"alert", "expr", "for", "labels", "annotations"}
    assert alert["labels"].keys() == {"severity"}
    assert alert["labels"]["severity"] in ("page", "ticket", "info")
    said = alert["annotations"]
    assert set(said) == {"summary", "description", "runbook_url"}
    assert said["runbook_url"] == f"http://127.0.0.1:8081{PATH}/{alert['alert']}"
    assert said["description"].endswith(".")
    assert not said["summary"].endswith(".")
    assert alert["alert"] in pages()


@each_alert
def test_what_an_alert_names_its_labels_after_is_left_by_its_expression(
    alert: dict[str, Any],
) -> None:
    text = " ".join(alert["annotations"].values())
    fired = [one["exp_labels"] for each in cases(alert["alert"]) for one in each]
    known = {label for labels in fired for label in labels}

    assert set(re.findall(r"\$labels\.(\w+)", text)) <= known
    assert known <= {"route", "version", "severity", "reason", "endpoint", "instance", "job"}


# --- metrics that exist


@pytest.mark.parametrize(
    "rule", [*RULES, *ALERTS], ids=lambda rule: rule.get("record") or rule["alert"]
)
def test_a_rule_names_metrics_and_labels_that_there_are(rule: dict[str, Any]) -> None:
    expression = re.sub(r'"[^"]*"', '""', rule["expr"])
    for name in METRIC.findall(re.sub(r"\{[^}]*\}|\b(?:by|on) \([^)]*\)", "", expression)):
        labels_of(name)
    for name, selector in re.findall(r"([\w:]+)\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)\s*[=!]", selector)) <= labels_of(name) | TARGET, name
    every = TARGET.union(*(labels_of(name) for name in (*TOLD, *(r["record"] for r in RULES))))
    for grouped in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
        assert {label.strip() for label in grouped.split(",")} <= every


def test_a_metric_or_label_that_there_is_not_would_be_noticed() -> None:
    for expression in (
        "sum(rate(canary_request_total[1m]))",
        'canary_requests_total{roule="stable"}',
        "sum by (rout) (canary_requests_total)",
        "route_version:canary_requests:rate2m",
    ):
        with pytest.raises((AssertionError, KeyError)):
            test_a_rule_names_metrics_and_labels_that_there_are({"expr": expression})
