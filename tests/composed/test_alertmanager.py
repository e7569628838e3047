"""What Alertmanager makes of alerts: who hears of them, and of which nobody does."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from tests.composed.harness import PATIENCE, Composed, eventually


def send(composed: Composed, *alerts: dict[str, str]) -> None:
    """As Prometheus does."""
    body = json.dumps([{"labels": labels} for labels in alerts]).encode()
    url = composed.url("alertmanager", 9093, "/api/v2/alerts")
    urlopen(Request(url, body, {"Content-Type": "application/json"}), timeout=PATIENCE).close()


def known(composed: Composed, **labels: str) -> dict[str, Any]:
    """What Alertmanager says of the one alert with these labels."""
    query = urlencode([("filter", f'{name}="{value}"') for name, value in labels.items()])
    url = composed.url("alertmanager", 9093, f"/api/v2/alerts?{query}")
    with urlopen(url, timeout=PATIENCE) as answer:
        (found,) = json.load(answer)
    assert isinstance(found, dict)
    return found


def state(composed: Composed, **labels: str) -> str:
    """``active`` or ``suppressed``, once Alertmanager has made up its mind."""
    eventually(
        lambda: known(composed, **labels)["status"]["state"] != "unprocessed", "it was looked at"
    )
    return str(known(composed, **labels)["status"]["state"])


def heard(composed: Composed, route: str) -> dict[str, str]:
    """Who was told of which alerts of a route."""
    return {
        line["alertname"]: line["receiver"]
        for line in composed.said("alerts", "alert firing")
        if line.get("route") == route
    }


@pytest.mark.parametrize("severity", ["page", "ticket", "info"])
def test_an_alert_reaches_who_is_meant(composed: Composed, severity: str) -> None:
    send(composed, {"alertname": "Any", "severity": severity, "route": f"of-{severity}"})

    eventually(lambda: heard(composed, f"of-{severity}"), f"somebody hears of a {severity}")
    assert heard(composed, f"of-{severity}") == {"Any": severity}


def test_after_a_rollback_nobody_hears_of_what_led_to_it(composed: Composed) -> None:
    where = {"route": "inhibited", "version": "v2"}
    worse = {"alertname": "CanaryErrorRatioAboveStable", "severity": "page"}
    send(composed, {"alertname": "CanaryRolledBack", "severity": "info"} | where)
    send(composed, worse | where, worse | where | {"version": "v3"})

    eventually(lambda: state(composed, **worse, **where) == "suppressed", "it is inhibited")
    assert known(composed, **worse, **where | {"version": "v3"})["status"]["inhibitedBy"] == []
    eventually(lambda: len(heard(composed, "inhibited")) == 2, "the others are heard of")
    told = composed.said("alerts", "alert firing")
    assert {
        line["version"]
        for line in told
        if line.get("route") == "inhibited"
        if line["alertname"] == "CanaryErrorRatioAboveStable"
    } == {"v3"}


def test_a_stable_version_that_is_down_is_heard_of_whatever_was_rolled_back(
    composed: Composed,
) -> None:
    where = {"route": "stable-is-down", "version": "v2"}
    down = {"alertname": "CanaryUpstreamDown"} | where
    send(composed, {"alertname": "CanaryRolledBack", "severity": "info"} | where)
    eventually(lambda: heard(composed, "stable-is-down"), "the rollback is known")
    send(composed, down | {"severity": "page"}, down | {"severity": "ticket"})

    assert state(composed, **down, severity="page") == "active"
    assert state(composed, **down, severity="ticket") == "suppressed"


def test_while_the_gateway_is_gone_nobody_hears_of_what_follows_from_it(
    composed: Composed,
) -> None:
    gone = {"alertname": "CanaryGatewayDown", "severity": "page", "route": "gone"}
    follows = {"alertname": "CanaryRouteWithoutTraffic", "severity": "ticket", "route": "other"}
    remains = {"alertname": "CanaryControllerDown", "severity": "page", "route": "other"}
    send(composed, gone)
    eventually(lambda: heard(composed, "gone"), "that it is gone is known")
    send(composed, follows, remains)

    assert state(composed, **follows) == "suppressed"
    assert state(composed, **remains) == "active"
