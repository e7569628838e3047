"""What Prometheus scrapes and records of a rollback."""

from __future__ import annotations

import re

from tests.composed.harness import ROOT, Composed, Told


def test_every_target_is_up(composed: Composed, told: Told) -> None:
    targets = composed.prometheus("targets")["activeTargets"]

    assert {target["labels"]["job"]: target["health"] for target in targets} == {
        "gateway": "up",
        "controller": "up",
    }


def test_every_rule_is_loaded_and_evaluates(composed: Composed, told: Told) -> None:
    rules = [rule for group in composed.prometheus("rules")["groups"] for rule in group["rules"]]
    written = "".join(
        (ROOT / "monitoring/prometheus" / name).read_text() for name in ("rules.yml", "alerts.yml")
    )

    assert {rule["name"] for rule in rules} == set(re.findall(r"(?:record|alert): (\S+)", written))
    assert {rule["name"]: rule["lastError"] for rule in rules if rule["health"] != "ok"} == {}


def test_prometheus_counts_what_the_clients_saw(composed: Composed, told: Told) -> None:
    query = "sum by (route, version, assignment) (canary_requests_total) > 0"
    found = composed.prometheus("query", query=query, time=told.ended)["result"]
    counted = {
        (each["metric"]["route"], each["metric"]["version"], each["metric"]["assignment"]): int(
            each["value"][1]
        )
        for each in found
    }

    assert counted == told.load.seen
    saved = 'sum(canary_fallbacks_total{route="breast-cancer", assigned="v2"})'
    gave_way = composed.value(saved)
    assert gave_way is not None
    # Who had given way when the file changed is assigned anew: one client, one change, one such
    # answer at most, and it is a draw's again.
    assert 0 <= gave_way - told.load.seen["breast-cancer", "v1", "fallback"] <= 1
