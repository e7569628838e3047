"""One rollback, asked after in every place that tells of it: they say the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from monitoring.cli import application
from tests.composed.harness import Composed, Told, eventually

WHERE = {"route": "breast-cancer", "version": "v2"}
SELECTOR = 'route="breast-cancer", version="v2"'
REASON = "errors"  # the signal that the story's fault is proven by


def canary(composed: Composed, *words: str) -> Any:
    """What a command prints with --json."""
    ended = CliRunner().invoke(
        application(),
        [*words, "--file", str(composed.routing_file), "--json"],
        env={
            "CANARY_ADMIN": composed.url("gateway", 8081, ""),
            "CANARY_ADMIN_TOKEN_FILE": str(composed.secrets / "admin-token"),
        },
        catch_exceptions=False,
    )
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.output)


@dataclass(frozen=True)
class Row:
    """The rollback in the history, and the verdict that it follows from."""

    change: dict[str, Any]
    verdict: dict[str, Any]


@pytest.fixture
def row(composed: Composed, told: Told) -> Row:
    rows = canary(composed, "history", "--limit", "1000")
    (change,) = (one for one in rows if one["row"] == "change" and one["action"] == "rollback")
    (verdict,) = (one for one in rows if one["row"] == "verdict" and one["verdict"] == "Failed")
    return Row(change, verdict)


def test_the_history_has_it_once_with_the_numbers_of_its_verdict(row: Row) -> None:
    counts = row.verdict["numbers"]["candidate"]

    assert {name: row.change[name] for name in WHERE} == WHERE
    assert {name: row.verdict[name] for name in WHERE} == WHERE
    assert row.change["reason"] == row.verdict["sentence"]
    assert f"{counts['bad']} bad of {counts['assigned']} (" in row.change["reason"]
    assert row.verdict["evidence"] >= row.verdict["limit"]


def test_the_metrics_of_the_controller_count_it_once_under_its_reason(
    composed: Composed, told: Told, row: Row
) -> None:
    found = composed.prometheus("query", query="canary_rollbacks_total > 0")["result"]
    (counted,) = found

    assert {name: counted["metric"][name] for name in WHERE} == WHERE
    assert (counted["metric"]["reason"], counted["value"][1]) == (REASON, "1")
    changes = 'canary_weight_changes_total{actor="controller", kind="rollback"}'
    assert composed.value(changes) == 1
    # Known with the next look, and the next scrape after it.
    for eventual in (
        f'canary_rollout_phase{{{SELECTOR}, phase="rolled_back"}}',
        'canary_rollback_duration_seconds_count{route="breast-cancer"}',
    ):
        eventually(lambda query=eventual: composed.value(query) == 1, eventual)


def test_the_metrics_of_the_gateway_hold_at_least_what_it_was_judged_by(
    composed: Composed, told: Told, row: Row
) -> None:
    """Counting goes on between the look and the edit, so more may have come."""
    judged = row.verdict["numbers"]["candidate"]
    bad = composed.value(f"sum(canary_request_errors_total{{{SELECTOR}}})")
    answered = composed.value(f"sum(canary_requests_total{{{SELECTOR}}})")
    saved = composed.value('sum(canary_fallbacks_total{route="breast-cancer", assigned="v2"})')

    assert bad is not None
    assert answered is not None
    assert saved == bad  # no client saw one of them
    assert 0 < judged["bad"] <= bad
    assert judged["assigned"] <= answered + bad
    assert composed.value(f"canary_route_weight_ratio{{{SELECTOR}}}") == row.change["after"]["v2"]


def test_one_alert_tells_of_it(composed: Composed, told: Told, row: Row) -> None:
    (alert,) = (
        one
        for one in composed.prometheus("alerts")["alerts"]
        if one["labels"]["alertname"] == "CanaryRolledBack"
    )

    assert alert["state"] == "firing"
    assert {name: alert["labels"][name] for name in WHERE} == WHERE
    assert alert["labels"]["reason"] == REASON
    assert float(alert["value"]) > 0
    assert datetime.fromisoformat(alert["activeAt"]) >= datetime.fromisoformat(row.change["at"])


def test_alertmanager_sends_it_once_with_the_same_labels(composed: Composed, told: Told) -> None:
    (line,) = (
        line
        for line in composed.said("alerts", "alert firing")
        if line["alertname"] == "CanaryRolledBack" and line["route"] in ("breast-cancer", "iris")
    )

    assert {name: line[name] for name in WHERE} == WHERE
    assert (line["reason"], line["severity"], line["receiver"]) == (REASON, "info", "info")
    assert line["runbook_url"].endswith("/runbooks/CanaryRolledBack")


def test_the_notice_of_the_controller_is_the_row_of_the_history(
    composed: Composed, told: Told, row: Row
) -> None:
    eventually(lambda: composed.receiver.requests, "the notice came")
    (notice,) = (json.loads(request.body) for request in composed.receiver.requests)

    for name in ("id", "at", "by", "route", "version", "before", "after"):
        assert notice[name] == row.change[name]
    assert notice["event"] == "rollback"
    assert notice["sentence"] == row.change["reason"]
    assert notice["generation"] == row.change["after_hash"]


def test_the_log_of_the_controller_says_the_same(composed: Composed, told: Told, row: Row) -> None:
    (edited,) = composed.said("controller", "file edited")

    assert {name: edited[name] for name in WHERE} == WHERE
    assert (edited["action"], edited["why"]) == ("rollback", row.change["reason"])
    assert edited["generation"] == row.change["after_hash"]


def test_the_status_says_the_same(composed: Composed, told: Told, row: Row) -> None:
    status = canary(composed, "status")
    (line,) = (line for line in status["rollouts"] if line.startswith("breast-cancer v2:"))

    assert row.change["reason"] in line
    assert row.change["at"] in line
    assert status["generation"] == row.change["after_hash"]
    assert status["routes"]["breast-cancer"]["versions"]["v2"]["weight"] == 0


def test_nobody_hears_of_the_route_that_is_well(composed: Composed, told: Told) -> None:
    fired = composed.prometheus(
        "query_range",
        query='ALERTS{route="iris", alertstate="firing"}',
        start=told.began,
        end=told.ended,
        step=0.5,
    )["result"]

    assert fired == []
    assert [
        line for line in composed.said("alerts", "alert firing") if line.get("route") == "iris"
    ] == []
